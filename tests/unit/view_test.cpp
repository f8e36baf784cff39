// SPDX-License-Identifier: MIT
// The rules of uenv for env.json and for views, one line each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "view/choice.h"
#include "view/metadata.h"
#include "view/variable.h"

namespace squenv::view {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A file with one view, whose "env" has these "values".
std::string file_with(const std::string& values) {
    return R"({"mount": "/u", "views": {"v": {"env": {"values": )" + values + "}}}}";
}

Metadata parsed(const std::string& text) {
    auto metadata = parse_metadata(text);
    EXPECT_TRUE(metadata) << (metadata ? "" : metadata.error().message());
    return metadata ? *metadata : Metadata{};
}

std::string error_of(const std::string& text) {
    const auto metadata = parse_metadata(text);
    return metadata ? "" : metadata.error().message();
}

/// The variables after the view of file_with(values).
Variables after(const std::string& values, const Variables& before) {
    const auto applied = apply_patch(parsed(file_with(values)).views.at("v").patch, before);
    EXPECT_TRUE(applied);
    return applied ? applied->variables : Variables{};
}

TEST(EnvJson, ReadsEveryField) {
    const auto metadata = parsed(R"({
        "name": "prgenv-gnu", "description": "compilers", "mount": "/user-environment",
        "default-view": "default", "modules": {"root": "/user-environment/modules"},
        "views": {"default": {"description": "all of it", "root": "/user-environment/env/default",
            "activate": "/user-environment/env/default/activate.sh", "recipe_variables": {},
            "env": {"version": 1, "type": "spack-view", "values": {
                "list": {"PATH": [{"op": "prepend", "value": ["/a", "/b"]}]},
                "scalar": {"CUDA_HOME": "/c", "OLD": null}}}}}})");
    EXPECT_EQ(metadata.name, "prgenv-gnu");
    EXPECT_EQ(metadata.description, "compilers");
    EXPECT_EQ(metadata.mount, "/user-environment");
    EXPECT_EQ(metadata.default_view, "default");
    EXPECT_THAT(metadata.notes, ElementsAre());
    const View& view = metadata.views.at("default");
    EXPECT_EQ(view.description, "all of it");
    EXPECT_FALSE(view.has_script_only);
    EXPECT_EQ(view.patch.scalars.at("CUDA_HOME"), "/c");
    EXPECT_EQ(view.patch.scalars.at("OLD"), std::nullopt);
    EXPECT_EQ(view.patch.lists.at("PATH").front(),
              (ListUpdate{ListUpdate::Kind::prepend, {"/a", "/b"}}));
    EXPECT_THAT(view.patch.names(), ElementsAre("CUDA_HOME", "OLD", "PATH"));
}

TEST(EnvJson, HasDefaults) {
    const auto metadata = parsed(R"({"mount": "/u", "description": null, "default-view": null})");
    EXPECT_EQ(metadata.name, "unnamed");
    EXPECT_EQ(metadata.description + metadata.default_view, "");
    EXPECT_TRUE(metadata.views.empty());
    EXPECT_TRUE(parsed(R"({"mount": "/u", "views": [1]})").views.empty());
    EXPECT_TRUE(parsed(R"({"mount": "/u", "views": {"v": {"activate": "/x"}}})")
                    .views.at("v")
                    .has_script_only);
    EXPECT_TRUE(parsed(R"({"mount": "/u", "views": {"v": 1}})").views.at("v").has_script_only);
}

TEST(EnvJson, AnErrorNamesTheField) {
    for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
             {"", "not a JSON object"},
             {"[]", "not a JSON object"},
             {"{\"mount\": \"/u\"", "not a JSON object"},
             {"{}", "mount: is missing"},
             {R"({"mount": null})", "mount: not a string"},
             {R"({"mount": "u"})", "mount: is no absolute path"},
             {R"({"mount": "/u\u0000v"})", "mount: has a NUL"},
             {R"({"mount": "/u", "name": 1})", "name: not a string"},
             {R"({"mount": "/u", "description": []})", "description: not a string"},
             {R"({"mount": "/u", "default-view": 1})", "default-view: not a string"},
             {R"({"mount": "/u", "views": {"v": {"description": 1}}})", "views.v.description: not"},
             {R"({"mount": "/u", "views": {"v": {"env": 1}}})", "views.v.env: not an object"},
             {R"({"mount": "/u", "views": {"v": {"env": {"values": 1}}}})",
              "views.v.env.values: not an object"},
             {file_with(R"({"list": {"P": [{"op": "set", "value": ["/a", 1]}]}})"),
              "views.v.env.values.list.P[0].value[1]: not a string"},
             {file_with(R"({"scalar": {"S": "a\u0000b"}})"), "views.v.env.values.scalar.S: has a"},
             {std::string(33, '[') + std::string(33, ']'), "nested too deeply"},
             {std::string(kMaxMetadata + 1, ' '), "longer than 1 MiB"}})
        EXPECT_THAT(error_of(text), HasSubstr(field)) << text.substr(0, 200);
}

TEST(EnvJson, PassesOverWithANote) {
    for (const auto& [values, note] : std::vector<std::pair<std::string, std::string>>{
             {R"({"list": {"P": [{"value": ["/a"]}]}})", "views.v.env.values.list.P[0]: has no"},
             {R"({"list": {"P": [{"op": "set"}]}})", "views.v.env.values.list.P[0]: has no"},
             {R"({"list": {"P": [1]}})", "views.v.env.values.list.P[0]: has no"},
             {R"({"list": {"P": [{"op": "set", "value": "/a"}]}})",
              "views.v.env.values.list.P[0].value: not an array"},
             {R"({"list": {"P:Q": [{"op": "set", "value": ["/a"]}]}})",
              "views.v.env.values.list.P:Q: no name"},
             {R"({"scalar": {"1S": "a"}})", "views.v.env.values.scalar.1S: no name"},
             {R"({"scalar": {"S": 1}})", "views.v.env.values.scalar.S: neither"}}) {
        const auto metadata = parsed(file_with(values));
        ASSERT_EQ(metadata.notes.size(), 1U) << values;
        EXPECT_THAT(metadata.notes.front(), HasSubstr(note));
        EXPECT_EQ(after(values, {{"X", "1"}}), (Variables{{"X", "1"}})) << values;
    }
}

TEST(View, ChangesVariables) {
    struct Case {
        const char* what;
        const char* values;
        Variables before;
        Variables after;
    };
    for (const auto& [what, values, before, expected] : std::vector<Case>{
             {"a scalar is set", R"({"scalar": {"S": "new"}})", {{"S", "old"}}, {{"S", "new"}}},
             {"a null removes", R"({"scalar": {"S": null}})", {{"S", "old"}}, {}},
             {"an empty scalar is set", R"({"scalar": {"S": ""}})", {}, {{"S", ""}}},
             {"set replaces all",
              R"({"list": {"P": [{"op": "set", "value": ["/a", "/b"]}]}})",
              {{"P", "/old"}},
              {{"P", "/a:/b"}}},
             {"prepend keeps its own order",
              R"({"list": {"P": [{"op": "prepend", "value": ["/a", "/b"]}]}})",
              {{"P", "/old"}},
              {{"P", "/a:/b:/old"}}},
             {"append is at the end",
              R"({"list": {"P": [{"op": "append", "value": ["/a", "/b"]}]}})",
              {{"P", "/old"}},
              {{"P", "/old:/a:/b"}}},
             {"updates in their order",
              R"({"list": {"P": [{"op": "prepend", "value": ["/a"]},
                                 {"op": "prepend", "value": ["/b"]},
                                 {"op": "append", "value": ["/c"]}]}})",
              {},
              {{"P", "/b:/a:/c"}}},
             {"the first of duplicates is kept, empty ones go",
              R"({"list": {"P": [{"op": "append", "value": ["/a", "", "/c"]}]}})",
              {{"P", "/a::/b:/a:"}},
              {{"P", "/a:/b:/c"}}},
             {"unset removes",
              R"({"list": {"P": [{"op": "unset", "value": []}]}})",
              {{"P", "/a"}},
              {}},
             {"any other op removes",
              R"({"list": {"P": [{"op": "perpend", "value": ["/a"]}]}})",
              {{"P", "/a"}},
              {}},
             {"an op that is no word removes",
              R"({"list": {"P": [{"op": 1, "value": ["/a"]}]}})",
              {{"P", "/a"}},
              {}},
             {"what follows unset sets again",
              R"({"list": {"P": [{"op": "unset", "value": []},
                                 {"op": "append", "value": ["/b"]}]}})",
              {{"P", "/a"}},
              {{"P", "/b"}}},
             {"an empty result is the empty string",
              R"({"list": {"P": [{"op": "set", "value": []}]}})",
              {{"P", "/a"}},
              {{"P", ""}}},
             {"no update, no change", R"({"list": {"P": []}})", {{"P", ":x:"}}, {{"P", ":x:"}}},
             {"in one view a scalar replaces the list of its name",
              R"({"list": {"P": [{"op": "append", "value": ["/a"]}]}, "scalar": {"P": "/s"}})",
              {{"P", "/old"}},
              {{"P", "/s"}}},
             {"a scalar is expanded",
              R"({"scalar": {"S": "${@HOME@}/x/${@USER@}"}})",
              {{"HOME", "/h"}, {"USER", "u"}},
              {{"HOME", "/h"}, {"USER", "u"}, {"S", "/h/x/u"}}},
             {"a list is expanded after it is joined",
              R"({"list": {"P": [{"op": "append", "value": ["${@L@}", "/a"]}]}})",
              {{"L", "/x:/a"}},
              {{"L", "/x:/a"}, {"P", "/x:/a:/a"}}},
             {"scalars come before lists",
              R"({"list": {"A": [{"op": "append", "value": ["${@Z@}"]}]}, "scalar": {"Z": "/z"}})",
              {},
              {{"A", "/z"}, {"Z", "/z"}}},
             {"scalars are sorted by name",
              R"({"scalar": {"B": "${@A@}b", "A": "a", "C": "${@B@}c"}})",
              {},
              {{"A", "a"}, {"B", "ab"}, {"C", "abc"}}},
             {"exported functions stay",
              R"({"scalar": {"S": "x"}})",
              {{"BASH_FUNC_f%%", "() { :\n}"}},
              {{"BASH_FUNC_f%%", "() { :\n}"}, {"S", "x"}}}})
        EXPECT_EQ(after(values, before), expected) << what;
}

TEST(View, ExpandsOnce) {
    struct Case {
        const char* text;
        const char* expanded;
        std::size_t notes;
    };
    const Variables variables{{"A", "${@B@}"}, {"B", "b"}, {"1", "one"}};
    for (const auto& [text, expanded, note_count] :
         std::vector<Case>{{"", "", 0},
                           {"plain", "plain", 0},
                           {"${@B@}", "b", 0},
                           {"-${@B@}${@B@}-", "-bb-", 0},
                           {"${@A@}", "${@B@}", 0},  // a value is not expanded again
                           {"$B ${B} $@B@ {@B@}", "$B ${B} $@B@ {@B@}", 0},
                           {"<${@NONE@}>", "<>", 1},
                           {"<${@1@}>", "<>", 1},
                           {"<${@@}>", "<>", 1},
                           {"<${@B}>", "<", 1},
                           {"<${@", "<", 1},
                           {"$${@B@}", "$b", 0}}) {
        std::vector<std::string> notes;
        const auto result = expand(text, variables, notes);
        ASSERT_TRUE(result) << text;
        EXPECT_EQ(*result, expanded) << text;
        EXPECT_EQ(notes.size(), note_count) << text;
    }
}

TEST(View, AValueThatNoProgramCanGetIsAnError) {
    Patch patch;
    patch.scalars["A"] = std::string(70'000, 'a');
    patch.scalars["B"] = "${@A@}${@A@}";
    const auto applied = apply_patch(patch, {});
    ASSERT_FALSE(applied);
    EXPECT_THAT(applied.error().message(), HasSubstr("B: the value is longer"));
}

TEST(View, ViewsAreMergedInOrder) {
    Patch first;
    first.scalars = {{"S", "one"}, {"X", "x"}};
    first.lists["P"] = {{ListUpdate::Kind::prepend, {"/1"}}};
    first.lists["X2"] = {{ListUpdate::Kind::set, {"/l"}}};
    Patch second;
    second.scalars = {{"S", "two"}, {"X2", "/s"}};
    second.lists["P"] = {{ListUpdate::Kind::prepend, {"/2"}}};
    first.merge(second);
    // A name that is a scalar in one and a list in another stays both: the list has the last word.
    const auto applied = apply_patch(first, {{"P", "/0"}});
    ASSERT_TRUE(applied);
    EXPECT_EQ(applied->variables,
              (Variables{{"P", "/2:/1:/0"}, {"S", "two"}, {"X", "x"}, {"X2", "/l"}}));
}

class Choice : public testing::Test {
  protected:
    Choice() {
        gnu_.views = {{"default", {}}, {"spack", {}}};
        gnu_.default_view = "default";
        tools_.views = {{"tools", {}}, {"spack", {}}};
        tools_.default_view = "tools";
        uenvs_ = {{"gnu", &gnu_}, {"anonymous", nullptr}, {"tools", &tools_}};
    }
    /// "gnu:default ..." or the error.
    std::string chosen(const std::string& asked, bool use_defaults = true) {
        std::vector<ViewName> names;
        if (!asked.empty()) {
            auto parsed_names = parse_view_list(asked);
            if (!parsed_names) return parsed_names.error().message();
            names = *parsed_names;
        }
        const auto views = choose_views(uenvs_, names, use_defaults);
        if (!views) return views.error().message();
        std::string text;
        for (const auto& view : *views)
            text += (text.empty() ? "" : " ") + uenvs_[view.uenv].name + ':' + view.view;
        return text;
    }
    Metadata gnu_;
    Metadata tools_;
    std::vector<SessionUenv> uenvs_;
};

TEST_F(Choice, FollowsTheRules) {
    EXPECT_EQ(chosen(""), "gnu:default tools:tools");
    EXPECT_EQ(chosen("", false), "");
    EXPECT_EQ(chosen("default"), "gnu:default tools:tools");
    // Once a view of it is asked for, the default view of a uenv does not apply.
    EXPECT_EQ(chosen("gnu:spack"), "gnu:spack tools:tools");
    EXPECT_EQ(chosen("tools:spack"), "tools:spack gnu:default");
    EXPECT_EQ(chosen("tools,gnu:spack"), "tools:tools gnu:spack");
    EXPECT_EQ(chosen("tools:spack,", false), "tools:spack");
    EXPECT_EQ(chosen(" tools:spack , default "), "tools:spack gnu:default");
}

TEST_F(Choice, AnErrorListsTheCandidates) {
    EXPECT_THAT(chosen("spack"), HasSubstr("several uenvs have one; name one of gnu:spack, "
                                           "tools:spack"));
    EXPECT_THAT(chosen("none"), HasSubstr("view 'none' does not exist; there are gnu:default, "
                                          "gnu:spack, tools:spack, tools:tools"));
    EXPECT_THAT(chosen("gnu:tools"), HasSubstr("view 'gnu:tools' does not exist"));
    EXPECT_THAT(chosen("anonymous:x"), HasSubstr("view 'anonymous:x' does not exist"));
    for (const char* text : {"a::b", ":a", "a:", ",a", "a,,b", "a:b:c"})
        EXPECT_THAT(chosen(text), HasSubstr("is no name of a view")) << text;
    gnu_.default_view = "gone";
    EXPECT_THAT(chosen(""), HasSubstr("gnu: default-view: there is no view 'gone'"));
    EXPECT_EQ(chosen("gnu:spack"), "gnu:spack tools:tools");
}

TEST(SessionNames, AreUnique) {
    EXPECT_THAT(*session_names({"", "gnu", "", ""}),
                ElementsAre("anonymous", "gnu", "anonymous0", "anonymous1"));
    EXPECT_THAT(*session_names({"anonymous", ""}), ElementsAre("anonymous", "anonymous0"));
    const auto twice = session_names({"gnu", "x", "gnu"});
    ASSERT_FALSE(twice);
    EXPECT_THAT(twice.error().message(), HasSubstr("two uenvs are called 'gnu'"));
}

}  // namespace
}  // namespace squenv::view
