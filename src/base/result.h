// SPDX-License-Identifier: MIT
// Results as values. Every function that can fail for outside reasons returns Result<T>; the alias
// keeps a later move to std::expected mechanical.
#pragma once

#include <squenv/error.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace squenv {

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// A failure that no system call reported.
[[nodiscard]] tl::unexpected<Error> fail(Errc code, std::string context, std::string hint = {});
/// A failure of a system call; the code is derived from `sys_errno`.
[[nodiscard]] tl::unexpected<Error> fail_errno(int sys_errno, std::string context,
                                               std::string hint = {});
/// There was no memory for `context`.
[[nodiscard]] tl::unexpected<Error> fail_memory(std::string context, std::string hint = {});
/// Whether that is what happened: a limit of this process, and no fault of the object.
[[nodiscard]] bool is_short_of_memory(const Error& error);
/// How Error::message() says so.
inline constexpr const char* kNotEnoughMemory = "not enough memory";
/// Puts "context: " in front of the error's text. One call per layer.
[[nodiscard]] tl::unexpected<Error> with_context(Error error, std::string_view context);

/// The kind of failure an errno value stands for.
[[nodiscard]] Errc errc_of(int sys_errno);
/// The errno that a file system operation returns. Corruption is always EIO.
[[nodiscard]] int to_errno(const Error& error);
/// The exit status of the commands: 1 failure, 2 usage, 3 image corrupt, 4 no way to mount.
[[nodiscard]] int exit_code(Errc code);

}  // namespace squenv

/// Returns from the calling function when `expr` (a Status or Result) failed.
#define SQUENV_TRY(expr)                                             \
    do {                                                             \
        if (auto squenv_status = (expr); !squenv_status)             \
            return tl::unexpected(std::move(squenv_status).error()); \
    } while (false)

#define SQUENV_CONCAT_(a, b) a##b
#define SQUENV_CONCAT(a, b) SQUENV_CONCAT_(a, b)
#define SQUENV_TRY_ASSIGN_(tmp, lhs, expr)                   \
    auto tmp = (expr);                                       \
    if (!tmp) return tl::unexpected(std::move(tmp).error()); \
    lhs = std::move(*tmp)
/// `SQUENV_TRY_ASSIGN(auto x, f())`: the value of f(), or return its error.
#define SQUENV_TRY_ASSIGN(lhs, expr) \
    SQUENV_TRY_ASSIGN_(SQUENV_CONCAT(squenv_result_, __LINE__), lhs, expr)
