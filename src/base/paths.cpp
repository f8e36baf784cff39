// SPDX-License-Identifier: MIT
#include "base/paths.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/shell_word.h"

namespace squenv {

Result<std::string> existing_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    if (!real) return fail_errno(errno, path);
    return std::string(real.get());
}

std::string real_path(const std::string& path) {
    return existing_path(path).value_or(path);
}

bool exists(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0;
}

std::string permission_remedy(const std::string& path, const std::string& rights) {
    struct stat info {};
    const std::string word = quoted_if_needed(path);
    if (::stat(path.c_str(), &info) == 0 && info.st_uid == ::geteuid())
        return fmt::format("run 'chmod u+{} {}'", rights, word);
    return fmt::format("its owner runs 'setfacl -m u:{}:{} {}'", ::geteuid(), rights, word);
}

std::string closed_directory(const std::string& path) {
    std::filesystem::path at;
    for (const auto& part : std::filesystem::path(path).parent_path()) {
        at /= part;
        if (::access(at.c_str(), X_OK) != 0 && errno == EACCES) return at.string();
    }
    return {};
}

}  // namespace squenv
