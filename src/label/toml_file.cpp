// SPDX-License-Identifier: MIT
#include "label/toml_file.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace squenv::label {

namespace {

tl::unexpected<Error> wrong(const std::string& path, const toml::source_region& source,
                            const std::string& reason) {
    return fail(Errc::corrupt, path + ": line " + std::to_string(source.begin.line) + ": " + reason,
                "correct that line, or name the repository in UENV_REPO_PATH");
}

}  // namespace

Result<Settings> parse_toml(std::string_view text, const std::string& path) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return wrong(path, parsed.error().source(), std::string(parsed.error().description()));
    const toml::table& table = parsed.table();
    Settings settings;
    settings.system = table["system_name"].value_or(std::string());
    const toml::array* repositories = table["repositories"].as_array();
    if (repositories == nullptr) return settings;
    for (const toml::node& node : *repositories) {
        const toml::table* entry = node.as_table();
        if (entry == nullptr || !(*entry)["path"].is_string())
            return wrong(path, node.source(), "a repository without a path");
        Repository repository;
        repository.path = (*entry)["path"].value_or(std::string());
        repository.name = (*entry)["name"].value_or(std::string());
        repository.priority = (*entry)["priority"].value_or(repository.priority);
        settings.repositories.push_back(std::move(repository));
    }
    return settings;
}

}  // namespace squenv::label
