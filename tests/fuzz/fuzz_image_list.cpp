// SPDX-License-Identifier: MIT
// Any text as IMAGE[:PATH][,IMAGE[:PATH]...], as IMAGE and as --offset. No image is opened; the
// parser asks whether a name exists, and nothing else of the file system.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <string>

#include "cli/image_argument.h"
#include "cli/image_list.h"
#include "cli/mount_options.h"
#include "cli/options.h"
#include "target.h"

namespace squenv::fuzz {
namespace {

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == ',' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string text_of(const std::vector<cli::ListedImage>& list) {
    std::string text;
    for (const cli::ListedImage& listed : list) {
        if (!text.empty()) text += ',';
        text += escaped(listed.image);
        if (!listed.path.empty()) text += ':' + escaped(listed.path);
    }
    return text;
}

bool is_same(const std::vector<cli::ListedImage>& a, const std::vector<cli::ListedImage>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const cli::ListedImage& one, const cli::ListedImage& other) {
                          return one.image == other.image && one.path == other.path;
                      });
}

void check_list(const std::string& text) {
    const auto list = cli::parse_image_list(text);
    if (!list) return require_code(list.error(), {Errc::invalid_argument});
    require(!list->empty(), "a list names an image");
    for (const cli::ListedImage& listed : *list)
        require(!listed.image.empty(), "an image has a name");
    const std::string written = text_of(*list);
    // A file of that very name is one image, whatever stands in the name.
    if (::access(written.c_str(), F_OK) == 0) return;
    const auto again = cli::parse_image_list(written);
    require(again && is_same(*again, *list), "a list is written and read as the same");
}

void check_offset(const std::string& text) {
    image::OpenOptions options;
    if (const auto status = cli::parse_offset(text, options); !status)
        return require_code(status.error(), {Errc::invalid_argument});
    require(options.find_offset == (text == "auto"), "only auto looks for the image");
    if (options.find_offset) return;
    constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();
    require(options.offset <= kMaxOffset, "an offset is one that a file can have");
    image::OpenOptions again;
    require(cli::parse_offset(std::to_string(options.offset), again).has_value() &&
                again.offset == options.offset,
            "an offset is written and read as the same");
}

/// After "--", every word is the name of an image.
void check_argument(const std::string& text) {
    CLI::App app;
    cli::ImageArgument argument;
    argument.declare(cli::Options(app));
    // CLI11 takes the words from the end.
    std::vector<std::string> words{text, "--"};
    app.parse(words);
    require(argument.path() == text, "the name of an image is taken as it is");
}

}  // namespace

std::vector<ByteVector> seeds() {
    std::vector<ByteVector> all;
    for (const char* text : {"a.sqfs", "a.sqfs,b.sqfs:/opt/b,c.sqfs:d", "host:image:/path",
                             "a\\,b\\:c:/p\\:q,d", "auto", "4096", "9223372036854775807"}) {
        require(cli::parse_image_list(text).has_value(), "a valid list is read");
        all.push_back(bytes_of(text));
    }
    return all;
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squenv::fuzz;
    // A word of a command line ends at its first NUL.
    std::string text(squenv::as_text(view(data, size)));
    text.resize(std::min(text.size(), text.find('\0')));
    check_list(text);
    check_offset(text);
    check_argument(text);
    return 0;
}
