// SPDX-License-Identifier: MIT
#include "pack/file_kind.h"

namespace squenv::pack {

std::string_view extension_of(std::string_view name) {
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos || dot == 0 ? std::string_view() : name.substr(dot);
}

FileKind kind_of(std::string_view name) {
    const std::string_view extension = extension_of(name);
    if (extension == ".pyc") return FileKind::compiled_module;
    // "libz.so.1.2" is one as well.
    if (extension == ".so" || name.find(".so.") != std::string_view::npos)
        return FileKind::shared_object;
    if (extension == ".py" || extension == ".pyi") return FileKind::source;
    return FileKind::other;
}

}  // namespace squenv::pack
