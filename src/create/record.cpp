// SPDX-License-Identifier: MIT
#include "create/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/secrets.h"
#include "base/sha256.h"
#include "base/shell_word.h"

namespace squenv::create {

namespace {

namespace fs = std::filesystem;

std::string hexadecimal(const Sha256& digest) {
    std::string text;
    for (const std::byte byte : digest) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    return text;
}

/// Locks name every file of every package: long, and made by a program.
bool is_lock(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    return name == "uv.lock" || name.starts_with("pylock.");
}

/// Directories that hold the packages of an environment.
std::vector<fs::path> package_directories(const std::string& tree) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator at(tree + "/lib", error), end; !error && at != end;
         at.increment(error))
        if (const fs::path packages = at->path() / "site-packages";
            at->path().filename().string().starts_with("python") && fs::is_directory(packages))
            found.push_back(packages);
    return found;
}

}  // namespace

std::string quoted(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words)
        line += (line.empty() ? "" : " ") + quoted_if_needed(without_secrets(word));
    return line;
}

Result<Creation> describe(const Inputs& inputs, const Tools& tools,
                          const std::vector<std::string>& words) {
    Creation creation;
    creation.command = quoted(words);
    for (const std::string& package : inputs.packages)
        creation.inputs.push_back({without_secrets(package), "", ""});
    for (const std::string& file : inputs.files) {
        SQUENV_TRY_ASSIGN(const std::string text, file_content(file));
        creation.inputs.push_back({file, is_lock(file) ? "" : without_secrets(text),
                                   hexadecimal(sha256_of(as_bytes(text)))});
    }
    for (const Tool* tool : {&tools.uv, &tools.python, &tools.conda})
        if (*tool)
            creation.tools.push_back(tool->version.empty() ? tool->name
                                                           : tool->name + ' ' + tool->version);
    return creation;
}

void add_pip(const std::string& tree, Creation& creation) {
    constexpr std::string_view kPrefix = "pip-";
    constexpr std::string_view kSuffix = ".dist-info";
    std::error_code error;
    for (const fs::path& directory : package_directories(tree))
        for (fs::directory_iterator at(directory, error), end; !error && at != end;
             at.increment(error)) {
            const std::string name = at->path().filename().string();
            if (name.starts_with(kPrefix) && name.ends_with(kSuffix))
                creation.tools.push_back(
                    "pip " +
                    name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
        }
}

std::string find_mention(const std::string& tree, const std::string& text) {
    std::error_code error;
    for (fs::recursive_directory_iterator at(tree, error), end; !error && at != end;
         at.increment(error)) {
        bool has_it = false;
        if (at->is_symlink(error)) {
            has_it = fs::read_symlink(at->path(), error).string().find(text) != std::string::npos;
        } else if (at->is_regular_file(error)) {
            const auto content = file_content(at->path().string());
            has_it = content && content->find(text) != std::string::npos;
        }
        if (has_it) return at->path().lexically_relative(tree).string();
    }
    return {};
}

}  // namespace squenv::create
