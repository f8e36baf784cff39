// SPDX-License-Identifier: MIT
// The standard output as a stream that knows why a write failed. std::cout forgets the reason of a
// write that was made before the end.
#pragma once

#include <array>
#include <ostream>
#include <streambuf>

namespace squenv::cli {

/// Writes to a descriptor through a buffer; to a terminal line by line. Flushed by the destructor.
/// After a write that failed, the stream is bad. Not thread-safe.
class OutputStream final : public std::ostream {
  public:
    /// `file` is lent.
    explicit OutputStream(int file);
    ~OutputStream() override;
    OutputStream(const OutputStream&) = delete;
    OutputStream& operator=(const OutputStream&) = delete;
    /// The errno value of the first write that failed; 0 when none did.
    [[nodiscard]] int failure() const { return buffer_.failure(); }

  private:
    class Buffer final : public std::streambuf {
      public:
        explicit Buffer(int file);
        [[nodiscard]] int failure() const { return failure_; }

      private:
        int_type overflow(int_type character) override;
        std::streamsize xsputn(const char* text, std::streamsize size) override;
        int sync() override;

        std::array<char, 8192> bytes_;
        int file_;
        bool is_terminal_;
        int failure_ = 0;
    };

    Buffer buffer_;
};

}  // namespace squenv::cli
