// SPDX-License-Identifier: MIT
#include "cli/output_stream.h"

#include <unistd.h>

#include <string_view>

#include "base/bytes.h"
#include "base/file_io.h"

namespace squenv::cli {

OutputStream::Buffer::Buffer(int file) : file_(file), is_terminal_(::isatty(file) != 0) {
    setp(bytes_.data(), bytes_.data() + bytes_.size());
}

int OutputStream::Buffer::sync() {
    const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    setp(bytes_.data(), bytes_.data() + bytes_.size());
    if (failure_ != 0) return -1;
    const auto written = write_all(file_, as_bytes(text));
    if (!written) failure_ = written.error().sys_errno;
    return written ? 0 : -1;
}

OutputStream::Buffer::int_type OutputStream::Buffer::overflow(int_type character) {
    if (sync() != 0) return traits_type::eof();
    if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(0);
    return sputc(traits_type::to_char_type(character));
}

std::streamsize OutputStream::Buffer::xsputn(const char* text, std::streamsize size) {
    const std::streamsize put = std::streambuf::xsputn(text, size);
    const std::string_view lines(text, static_cast<std::size_t>(put));
    if (is_terminal_ && lines.find('\n') != lines.npos && sync() != 0) return 0;
    return put;
}

OutputStream::OutputStream(int file) : std::ostream(nullptr), buffer_(file) {
    rdbuf(&buffer_);
}

OutputStream::~OutputStream() {
    flush();
}

}  // namespace squenv::cli
