// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace squenv {

std::string Error::message() const {
    std::string text = context;
    if (sys_errno != 0) {
        if (!text.empty()) text += ": ";
        text += is_short_of_memory(*this) ? kNotEnoughMemory
                                          : std::generic_category().message(sys_errno);
    }
    if (!hint.empty()) text += "; " + hint;
    return text;
}

bool is_short_of_memory(const Error& error) {
    return error.code == Errc::limit && error.sys_errno == ENOMEM;
}

tl::unexpected<Error> fail_memory(std::string context, std::string hint) {
    return fail_errno(ENOMEM, std::move(context), std::move(hint));
}

tl::unexpected<Error> fail(Errc code, std::string context, std::string hint) {
    return tl::unexpected(Error{code, 0, std::move(context), std::move(hint)});
}

tl::unexpected<Error> fail_errno(int sys_errno, std::string context, std::string hint) {
    return tl::unexpected(
        Error{errc_of(sys_errno), sys_errno, std::move(context), std::move(hint)});
}

tl::unexpected<Error> with_context(Error error, std::string_view context) {
    std::string text(context);
    if (!error.context.empty()) text += ": " + error.context;
    error.context = std::move(text);
    return tl::unexpected(std::move(error));
}

Errc errc_of(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ENOTDIR:
        case ENODATA: return Errc::not_found;
        case EEXIST:
        case ENOTEMPTY: return Errc::exists;
        case EACCES:
        case EPERM:
        case EROFS: return Errc::denied;
        case EBUSY:
        case ETXTBSY: return Errc::busy;
        case EINVAL:
        case EISDIR:
        case ENAMETOOLONG: return Errc::invalid_argument;
        case ENODEV:
        case ENXIO:
        case ENOSYS: return Errc::environment;
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return Errc::limit;
        case EINTR:
        case ECANCELED: return Errc::cancelled;
        default: return Errc::io;
    }
}

int to_errno(const Error& error) {
    switch (error.code) {
        case Errc::io: return error.sys_errno == ESTALE ? ESTALE : EIO;
        case Errc::corrupt: return EIO;
        case Errc::unsupported: return EOPNOTSUPP;
        case Errc::limit: return error.sys_errno != 0 ? error.sys_errno : E2BIG;
        case Errc::not_found: return error.sys_errno != 0 ? error.sys_errno : ENOENT;
        case Errc::exists: return EEXIST;
        case Errc::denied: return error.sys_errno != 0 ? error.sys_errno : EACCES;
        case Errc::busy: return EBUSY;
        case Errc::invalid_argument: return error.sys_errno != 0 ? error.sys_errno : EINVAL;
        case Errc::environment: return error.sys_errno != 0 ? error.sys_errno : ENODEV;
        case Errc::cancelled: return EINTR;
        case Errc::internal: return EIO;
    }
    return EIO;
}

int exit_code(Errc code) {
    switch (code) {
        case Errc::invalid_argument: return 2;
        case Errc::corrupt: return 3;
        case Errc::environment: return 4;
        default: return 1;
    }
}

}  // namespace squenv
