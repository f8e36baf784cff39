// SPDX-License-Identifier: MIT
// The functions of libarchive that are used here, each forwarded to the library once that is
// loaded. The declarations are those of <archive.h>, so a difference does not compile.
#include "pack/archive_library.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>

#include <array>
#include <cstdarg>
#include <cstdio>

#include "base/memory.h"

namespace squenv::pack {

namespace {

/// The name of the binary interface that <archive.h> of every 3.x describes.
constexpr const char* kLibrary = "libarchive.so.13";

struct Loaded {
    void* handle = nullptr;
    bool is_short_of_memory = false;
};

Loaded load() {
    void* const handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    const char* const reason = handle == nullptr ? ::dlerror() : nullptr;
    return {handle, reason != nullptr && says_no_memory(reason)};
}

/// Loaded once and never unloaded. Thread-safe, as the initialisation of a static is.
const Loaded& library() {
    static const Loaded loaded = load();
    return loaded;
}

/// Only after load_archive_library() succeeded.
template <class Function>
Function* symbol(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(library().handle, name));
}

}  // namespace

Status load_archive_library() {
    if (library().handle != nullptr) return {};
    if (library().is_short_of_memory) return fail_memory(kLibrary);
    return fail(Errc::environment, std::string(kLibrary) + ", which reads archives, is not here",
                "install it with 'apt install libarchive13' or 'dnf install libarchive', or unpack "
                "the archive and pack the directory");
}

}  // namespace squenv::pack

extern "C" {

using squenv::pack::symbol;

#define FORWARD(result, name, parameters, arguments)                    \
    result name parameters {                                            \
        static auto* const function = symbol<result parameters>(#name); \
        return function arguments;                                      \
    }

FORWARD(struct archive*, archive_read_new, (void), ())
FORWARD(int, archive_read_free, (struct archive * a), (a))
FORWARD(int, archive_read_support_filter_all, (struct archive * a), (a))
FORWARD(int, archive_read_support_format_raw, (struct archive * a), (a))
FORWARD(int, archive_read_support_format_empty, (struct archive * a), (a))
FORWARD(int, archive_read_support_format_tar, (struct archive * a), (a))
FORWARD(int, archive_read_support_format_gnutar, (struct archive * a), (a))
FORWARD(int, archive_read_open,
        (struct archive * a, void* data, archive_open_callback* open, archive_read_callback* read,
         archive_close_callback* close),
        (a, data, open, read, close))
FORWARD(int, archive_read_next_header, (struct archive * a, struct archive_entry** entry),
        (a, entry))
FORWARD(int, archive_read_data_block,
        (struct archive * a, const void** data, size_t* size, la_int64_t* offset),
        (a, data, size, offset))
FORWARD(la_int64_t, archive_read_header_position, (struct archive * a), (a))
FORWARD(int, archive_filter_count, (struct archive * a), (a))
FORWARD(la_int64_t, archive_filter_bytes, (struct archive * a, int n), (a, n))
FORWARD(int, archive_file_count, (struct archive * a), (a))
FORWARD(int, archive_errno, (struct archive * a), (a))
FORWARD(const char*, archive_error_string, (struct archive * a), (a))
FORWARD(const char*, archive_entry_hardlink, (struct archive_entry * e), (e))
FORWARD(const char*, archive_entry_pathname, (struct archive_entry * e), (e))
FORWARD(const char*, archive_entry_symlink, (struct archive_entry * e), (e))
FORWARD(la_int64_t, archive_entry_uid, (struct archive_entry * e), (e))
FORWARD(la_int64_t, archive_entry_gid, (struct archive_entry * e), (e))
FORWARD(la_int64_t, archive_entry_size, (struct archive_entry * e), (e))
FORWARD(time_t, archive_entry_mtime, (struct archive_entry * e), (e))
FORWARD(__LA_MODE_T, archive_entry_mode, (struct archive_entry * e), (e))
FORWARD(__LA_MODE_T, archive_entry_filetype, (struct archive_entry * e), (e))
FORWARD(dev_t, archive_entry_rdevmajor, (struct archive_entry * e), (e))
FORWARD(dev_t, archive_entry_rdevminor, (struct archive_entry * e), (e))
FORWARD(int, archive_entry_xattr_reset, (struct archive_entry * e), (e))
FORWARD(int, archive_entry_xattr_next,
        (struct archive_entry * e, const char** name, const void** value, size_t* size),
        (e, name, value, size))

#undef FORWARD

void archive_set_error(struct archive* a, int code, const char* format, ...) {
    static auto* const function =
        symbol<void(struct archive*, int, const char*, ...)>("archive_set_error");
    std::array<char, 512> text;
    va_list values;
    va_start(values, format);
    std::vsnprintf(text.data(), text.size(), format, values);
    va_end(values);
    function(a, code, "%s", text.data());
}

}  // extern "C"
