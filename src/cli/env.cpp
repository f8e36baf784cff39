// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/process.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/image_list.h"
#include "cli/session_views.h"
#include "cli/shell_words.h"

namespace squenv::cli {

namespace {

using Changes = std::map<std::string, std::optional<std::string>>;

/// What `after` sets or changes, and without a value what it has not got any more.
Changes changes_between(const view::Variables& before, const view::Variables& after) {
    Changes changes;
    for (const auto& [name, value] : before)
        if (!after.contains(name)) changes[name] = std::nullopt;
    for (const auto& [name, value] : after) {
        const auto found = before.find(name);
        if (found == before.end() || found->second != value) changes[name] = value;
    }
    return changes;
}

std::string json_of(const Changes& changes) {
    nlohmann::json json = nlohmann::json::object();
    for (const auto& [name, value] : changes)
        json[name] = value ? nlohmann::json(*value) : nlohmann::json(nullptr);
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

class EnvCommand final : public Command {
  public:
    const char* name() const override { return "env"; }
    const char* summary() const override { return "Print what run would set, for scripts"; }
    void declare(Options options) override {
        options.add("IMAGES", images_, "IMAGE[:PATH][,IMAGE[:PATH]...]").required();
        views_.declare(options);
        options.add("--format", format_, "sh (default), fish or json").type_name("FORMAT");
        options.footer("Nothing is mounted; 'squenv mount' does that.");
    }
    Status run(Io& io) override {
        if (format_ != "sh" && format_ != "fish" && format_ != "json")
            return fail(Errc::invalid_argument, "--format " + format_ + ": not known",
                        "use sh, fish or json");
        SQUENV_TRY_ASSIGN(const auto list, parse_image_list(images_));
        SQUENV_TRY_ASSIGN(const auto images, resolve_images(list, {}, false));
        SQUENV_TRY_ASSIGN(const auto views, session_views(images, views_));
        std::vector<std::string> roots;
        for (const auto& image : images) roots.push_back(image.wanted.request.mountpoint);
        const view::Variables before = process_variables();
        SQUENV_TRY_ASSIGN(const auto applied, session_variables(images, roots, views, before));
        print(io, changes_between(before, applied.variables));
        auto notes = views.notes;
        notes.insert(notes.end(), applied.notes.begin(), applied.notes.end());
        if (!io.is_quiet)
            for (const auto& note : notes) io.err << "squenv env: " << printable(note) << '\n';
        return {};
    }

  private:
    void print(Io& io, const Changes& changes) const {
        if (format_ == "json") {
            io.out << json_of(changes);
            return;
        }
        for (const auto& [name, value] : changes)
            io.out << (format_ == "fish" ? fish_line(name, value) : shell_line(name, value));
    }

    std::string images_;
    ViewOptions views_;
    std::string format_ = "sh";
};

}  // namespace

std::unique_ptr<Command> make_env_command() {
    return std::make_unique<EnvCommand>();
}

}  // namespace squenv::cli
