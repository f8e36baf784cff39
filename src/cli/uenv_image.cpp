// SPDX-License-Identifier: MIT
// uenv image ls and uenv image inspect.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/image_name.h"
#include "cli/uenv.h"
#include "cli/uenv_metadata.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;
using Fields = std::vector<std::pair<std::string, std::string>>;

std::string dumped(const Json& json, int indent) {
    return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

Status check_formats(bool is_json, const std::string& format) {
    if (!is_json || format.empty()) return {};
    return fail(Errc::invalid_argument, "--json and --format exclude each other",
                "use one of them");
}

Fields fields_of(const label::Record& record) {
    const label::Label& label = record.label;
    return {{"name", label.name},      {"version", label.version},
            {"tag", label.tag},        {"system", label.system},
            {"uarch", label.uarch},    {"id", record.id},
            {"digest", record.sha256}, {"size", std::to_string(record.size_bytes)},
            {"date", record.date}};
}

std::string table_of(const std::vector<label::Record>& records, bool has_header,
                     const UenvOptions& options, const std::string& margin = "") {
    constexpr std::size_t kColumns = 6;
    using Row = std::array<std::string, kColumns>;
    constexpr std::uint64_t kMebibyte = 1U << 20;
    std::vector<Row> rows{{"uenv", "arch", "system", "id", "size(MB)", "date"}};
    for (const label::Record& record : records) {
        const label::Label& label = record.label;
        const label::Label name{label.name, label.version, label.tag, {}, {}};
        rows.push_back({printable(text_of(name)), printable(label.uarch), printable(label.system),
                        printable(record.id), fmt::format("{:>6}", record.size_bytes / kMebibyte),
                        printable(record.date)});
    }
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (std::size_t number = has_header ? 0 : 1; number < rows.size(); ++number) {
        std::string line;
        for (std::size_t i = 0; i + 1 < kColumns; ++i)
            line += fmt::format("{:<{}}", rows[number][i], widths[i] + 2);
        line += rows[number].back();
        text += margin + (number == 0 ? options.yellow(line) : line) + '\n';
    }
    return text;
}

/// Of several repositories, each of which has a heading, as in uenv 10.
Result<std::string> tables_of(const std::vector<label::Repository>& repositories,
                              const label::Label& label, bool is_partial, bool has_header,
                              const UenvOptions& options) {
    std::string text;
    for (const label::Repository& repository : repositories) {
        SQUENV_TRY_ASSIGN(const auto records, label::list_records({repository}, label, is_partial));
        if (records.empty()) continue;
        const std::string& name = repository.name.empty() ? repository.path : repository.name;
        if (has_header) text += (text.empty() ? "" : "\n") + ("repo " + printable(name)) + '\n';
        text += table_of(records, has_header, options, has_header ? "  " : "");
    }
    return text;
}

class UenvImageLs final : public UenvCommand {
  public:
    Options declare(Options options) override {
        Options ls = options.add_subcommand("ls", "List the uenvs that can be started");
        ls.add("uenv", label_, "A label, or a part of one");
        ls.add_flag("--no-header", no_header_, "The uenvs alone");
        ls.add_flag("--json", is_json_, "Print a JSON object");
        ls.add("--format", format_, "A line for each, as '{name}/{version}'");
        ls.add_flag("--no-partials", no_partials_, "The name is a whole one");
        return ls;
    }
    Status run(const UenvOptions& options, Io& io) override {
        SQUENV_TRY(check_formats(is_json_, format_));
        label::Label label;
        if (!label_.empty()) {
            SQUENV_TRY_ASSIGN(label, label::parse_label(label_));
        }
        SQUENV_TRY_ASSIGN(const auto settings, label::load_settings(options.sources()));
        if (settings.repositories.empty())
            return fail(Errc::not_found, "there is no repository of uenvs",
                        "name one with --repo or UENV_REPO_PATH");
        SQUENV_TRY_ASSIGN(const auto records,
                          label::list_records(settings.repositories,
                                              label::for_system(label, settings), !no_partials_));
        if (is_json_) {
            Json list = Json::array();
            for (const auto& record : records) list.push_back(to_json(record));
            io.out << dumped({{"records", list}}, -1);
        } else if (!format_.empty()) {
            for (const auto& record : records) {
                SQUENV_TRY_ASSIGN(const auto line, fill_template(format_, fields_of(record)));
                io.out << printable(line) << '\n';
            }
        } else if (records.empty()) {
            if (!no_header_) io.out << "no matching uenv\n";
        } else if (settings.repositories.size() == 1) {
            io.out << table_of(records, !no_header_, options);
        } else {
            SQUENV_TRY_ASSIGN(const auto tables,
                              tables_of(settings.repositories, label::for_system(label, settings),
                                        !no_partials_, !no_header_, options));
            io.out << tables;
        }
        return {};
    }

  private:
    static Json to_json(const label::Record& record) {
        Json json;
        for (const auto& [name, value] : fields_of(record)) json[name] = value;
        json["size"] = record.size_bytes;
        return json;
    }

    std::string label_;
    std::string format_;
    bool no_header_ = false;
    bool is_json_ = false;
    bool no_partials_ = false;
};

/// An image and all that is known of it.
struct Inspected {
    std::string image{};  ///< absolute
    std::optional<label::Record> record{};
    std::optional<view::Metadata> metadata{};
};

Json text_or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

Json to_json(const Inspected& uenv) {
    const std::string directory = std::filesystem::path(uenv.image).parent_path().string();
    std::error_code error;
    const bool has_meta = std::filesystem::is_regular_file(directory + "/meta/env.json", error);
    const view::Metadata metadata = uenv.metadata.value_or(view::Metadata{.name = ""});
    const label::Record record = uenv.record.value_or(label::Record{});
    Json views = Json::array();
    for (const auto& [name, view] : metadata.views)
        views.push_back({{"name", name}, {"description", view.description}});
    return {{"sqfs", uenv.image},
            {"path", directory},
            {"meta", has_meta ? Json(directory + "/meta") : Json()},
            {"description", text_or_null(metadata.description)},
            {"mount", text_or_null(metadata.mount)},
            {"views", views},
            {"name", text_or_null(record.label.name.empty() ? metadata.name : record.label.name)},
            {"version", text_or_null(record.label.version)},
            {"tag", text_or_null(record.label.tag)},
            {"digest", text_or_null(record.sha256)},
            {"id", text_or_null(record.id)},
            {"date", text_or_null(record.date)},
            {"system", text_or_null(record.label.system)},
            {"uarch", text_or_null(record.label.uarch)}};
}

/// As in uenv: "none" for what is not known, and the digest under both of its names.
Fields template_fields(const Json& json) {
    Fields fields;
    for (const auto& [name, value] : json.items())
        if (name != "views") fields.emplace_back(name, value.is_null() ? "none" : value);
    fields.emplace_back("sha256", json["digest"].is_null() ? "none" : json["digest"]);
    std::string views;
    for (const auto& view : json["views"])
        views += (views.empty() ? "" : ", ") + view["name"].get<std::string>() + " (" +
                 view["description"].get<std::string>() + ')';
    fields.emplace_back("views", views);
    return fields;
}

class UenvImageInspect final : public UenvCommand {
  public:
    Options declare(Options options) override {
        Options inspect = options.add_subcommand("inspect", "Show what is known of a uenv");
        inspect.add("--format", format_, "A line, as '{name} at {mount}'");
        inspect.add_flag("--json", is_json_, "Print a JSON object");
        inspect.add("uenv", uenv_, "An image or a label").required();
        return inspect;
    }
    Status run(const UenvOptions& options, Io& io) override {
        SQUENV_TRY(check_formats(is_json_, format_));
        SQUENV_TRY_ASSIGN(const auto inspected, inspect(options));
        const Json json = to_json(inspected);
        if (is_json_) {
            io.out << dumped(json, 2);
        } else if (!format_.empty()) {
            SQUENV_TRY_ASSIGN(const auto line, fill_template(format_, template_fields(json)));
            io.out << printable(line) << '\n';
        } else {
            print(io, inspected);
        }
        return {};
    }

  private:
    [[nodiscard]] Result<Inspected> inspect(const UenvOptions& options) const;
    static void print(Io& io, const Inspected& uenv) {
        const std::string name = printable(uenv.record && !uenv.record->label.name.empty()
                                               ? label::text_of(uenv.record->label)
                                               : uenv.image);
        if (!uenv.metadata) {
            io.out << name << " can be mounted, but it has no set mount point or views\n";
            return;
        }
        io.out << name << " mount at " << printable(uenv.metadata->mount) << '\n';
        io.out << (uenv.metadata->views.empty() ? "views: none\n" : "views:\n");
        for (const auto& [view_name, view] : uenv.metadata->views)
            io.out << "  " << printable(view_name) << ": " << printable(view.description) << '\n';
    }

    std::string uenv_;
    std::string format_;
    bool is_json_ = false;
};

Result<Inspected> UenvImageInspect::inspect(const UenvOptions& options) const {
    Inspected found;
    SQUENV_TRY_ASSIGN(const auto list, parse_uenv_images(uenv_, options));
    if (list.size() != 1 || !list.front().path.empty())
        return fail(Errc::invalid_argument, uenv_ + ": one image is shown, without a path",
                    "name an image or a label");
    if (!list.front().label_name.empty() || list.front().image != uenv_) {
        SQUENV_TRY_ASSIGN(const auto label, label::parse_label(uenv_));
        SQUENV_TRY_ASSIGN(const auto settings, label::load_settings(options.sources()));
        SQUENV_TRY_ASSIGN(found.record, find_label(label, settings));
    }
    found.image = std::filesystem::absolute(list.front().image).lexically_normal().string();
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(found.image));
    SQUENV_TRY_ASSIGN(found.metadata, read_uenv_metadata(found.image, *image));
    return found;
}

}  // namespace

std::unique_ptr<UenvCommand> make_uenv_image_ls() {
    return std::make_unique<UenvImageLs>();
}

std::unique_ptr<UenvCommand> make_uenv_image_inspect() {
    return std::make_unique<UenvImageInspect>();
}

}  // namespace squenv::cli
