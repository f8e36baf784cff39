// SPDX-License-Identifier: MIT
// Any text as meta/env.json of a uenv, and its views applied to an environment.
#include <algorithm>
#include <string>

#include "target.h"
#include "view/choice.h"
#include "view/metadata.h"
#include "view/variable.h"

namespace squenv::fuzz {
namespace {

constexpr std::size_t kLongest = (128U << 10) - 1;

const view::Variables& environment() {
    static const view::Variables kVariables{
        {"PATH", "/usr/bin:/bin"}, {"HOME", "/home/u"}, {"BASH_FUNC_f%%", "() { :\n}"}};
    return kVariables;
}

void check_applied(const view::Patch& patch) {
    const auto applied = view::apply_patch(patch, environment());
    if (!applied) return require_code(applied.error(), {Errc::limit});
    const auto names = patch.names();
    for (const auto& [name, value] : applied->variables) {
        require(value.find('\0') == std::string::npos, "a value has no NUL");
        const auto before = environment().find(name);
        const bool is_same = before != environment().end() && before->second == value;
        require(is_same || std::binary_search(names.begin(), names.end(), name),
                "only the variables of the view change");
        require(is_same || view::is_variable_name(name), "what is set has a name of a variable");
        require(name.size() + 1 + value.size() <= kLongest, "a value can be given to a program");
    }
    require(applied->variables.contains("BASH_FUNC_f%%"), "exported functions stay");
}

void check_metadata(const view::Metadata& metadata) {
    require(metadata.mount.starts_with('/'), "the path is absolute");
    require(metadata.notes.size() <= 20, "notes are few");
    view::Patch patch;
    for (const auto& [name, view] : metadata.views) {
        check_applied(view.patch);
        patch.merge(view.patch);
    }
    check_applied(patch);
    const std::vector<view::SessionUenv> uenvs{{"u", &metadata}};
    if (const auto chosen = view::choose_views(uenvs, {}, true); !chosen)
        require_code(chosen.error(), {Errc::corrupt});
}

void check_list(const std::string& text) {
    const auto names = view::parse_view_list(text);
    if (!names) return require_code(names.error(), {Errc::invalid_argument});
    std::string written;
    for (const view::ViewName& name : *names)
        written += (name.uenv.empty() ? "" : name.uenv + ':') + name.view + ',';
    const auto again = view::parse_view_list(written);
    require(again && *again == *names, "a list of views is written and read as the same");
}

}  // namespace

std::vector<ByteVector> seeds() {
    return {bytes_of(R"({"mount": "/u", "name": "n", "default-view": "v", "views": {"v": {
        "description": "d", "env": {"version": 1, "values": {
        "list": {"PATH": [{"op": "prepend", "value": ["/a", "${@HOME@}/b"]},
                          {"op": "unset", "value": []}]},
        "scalar": {"S": "${@PATH@}", "T": null}}}}}})"),
            bytes_of(R"({"mount": "/u", "views": {"v": {"activate": "/u/activate.sh"}}})"),
            bytes_of("gnu:default,spack")};
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squenv::fuzz;
    const std::string text(squenv::as_text(view(data, size)));
    check_list(text);
    const auto metadata = squenv::view::parse_metadata(text);
    if (metadata)
        check_metadata(*metadata);
    else
        require_code(metadata.error(), {squenv::Errc::corrupt});
    return 0;
}
