// SPDX-License-Identifier: MIT
#include "label/toml_file.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "base/log.h"

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

/// The value `key` of `table`; `otherwise` without one. Errors: corrupt (of another type).
template <class Value>
Result<Value> value_of(const toml::table& table, const char* key, Value otherwise,
                       const std::string& expected, const std::string& path) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return otherwise;
    if (const auto value = node->value_exact<Value>()) return *value;
    return wrong(path, node->source(), std::string(key) + " is not " + expected);
}

/// One line for each key of `table` that is not used here, of this program or of a later uenv.
void note_unknown(const toml::table& table, std::initializer_list<std::string_view> known,
                  const std::string& path) {
    for (const auto& [key, node] : table)
        if (std::find(known.begin(), known.end(), key.str()) == known.end())
            log::debug("{}: line {}: key '{}' is not used", path, key.source().begin.line,
                       key.str());
}

Result<Repository> parse_repository(const toml::node& node, const std::string& path) {
    const toml::table* entry = node.as_table();
    if (entry == nullptr || !(*entry)["path"].is_string())
        return wrong(path, node.source(), "a repository without a path");
    note_unknown(*entry, {"path", "name", "priority"}, path);
    Repository repository;
    SQUENV_TRY_ASSIGN(repository.path, value_of(*entry, "path", std::string(), "a text", path));
    if (repository.path.find_first_of("/.$") != 0)
        return wrong(path, entry->get("path")->source(),
                     "path '" + repository.path + "' does not begin with /, . or ${");
    SQUENV_TRY_ASSIGN(repository.name, value_of(*entry, "name", std::string(), "a text", path));
    SQUENV_TRY_ASSIGN(
        const auto priority,
        value_of<std::int64_t>(*entry, "priority", repository.priority, "a whole number", path));
    constexpr std::int64_t kMost = 1'000'000;
    if (priority < -kMost || priority > kMost)
        return wrong(path, entry->get("priority")->source(), "priority is beyond 1000000");
    repository.priority = static_cast<int>(priority);
    return repository;
}

}  // namespace

Result<Settings> parse_toml(std::string_view text, const std::string& path) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return wrong(path, parsed.error().source(), std::string(parsed.error().description()));
    const toml::table& table = parsed.table();
    note_unknown(table, {"system_name", "repositories"}, path);
    Settings settings;
    SQUENV_TRY_ASSIGN(settings.system,
                      value_of(table, "system_name", std::string(), "a text", path));
    const toml::node* list = table.get("repositories");
    if (list == nullptr) return settings;
    if (!list->is_array())
        return wrong(path, list->source(), "repositories is not written as [[repositories]]");
    for (const toml::node& node : *list->as_array()) {
        SQUENV_TRY_ASSIGN(auto repository, parse_repository(node, path));
        settings.repositories.push_back(std::move(repository));
    }
    return settings;
}

}  // namespace squenv::label
