// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/mounted_run.h"
#include "cli/trace_report.h"
#include "trace/trace.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

Json to_json(const trace::Trace& trace, const TraceReport& report,
             const std::optional<ImageShare>& share) {
    Json json{{"files_read", report.files_read}, {"bytes_read", report.bytes_read},
              {"looked_at", report.looked_at},   {"directories_listed", report.listed},
              {"links_read", report.links},      {"names_missing", report.missing},
              {"is_full", trace.is_full},        {"requests_by_kind", trace.requests}};
    json["slowest"] = Json::array();
    for (const auto& slow : trace.slowest)
        json["slowest"].push_back({{"microseconds", slow.microseconds},
                                   {"kind", slow.kind},
                                   {"offset", slow.offset},
                                   {"size", slow.size_bytes},
                                   {"path", slow.path}});
    json["most_read"] = Json::array();
    for (const auto& file : report.most_read)
        json["most_read"].push_back({{"path", file.path}, {"bytes", file.bytes}});
    if (share)
        json["image"] = {{"files", share->files},
                         {"bytes", share->bytes},
                         {"stored_bytes", share->stored_bytes},
                         {"touched_stored_bytes", share->touched_stored_bytes},
                         {"unknown_paths", share->unknown_paths}};
    return json;
}

void print_report(std::ostream& out, const trace::Trace& trace, const TraceReport& report,
                  const std::optional<ImageShare>& share) {
    out << fmt::format("read         {} files, {}\n", report.files_read,
                       format_size(report.bytes_read));
    out << fmt::format("looked at    {}, {} directories listed, {} links read\n", report.looked_at,
                       report.listed, report.links);
    out << fmt::format("not there    {}\n", report.missing);
    if (share) {
        out << fmt::format("of the tree  {:.1f} % of {} files, {:.1f} % of {}\n",
                           percent(report.files_read, share->files), share->files,
                           percent(report.bytes_read, share->bytes), format_size(share->bytes));
        out << fmt::format("of the image {:.1f} %, {} of {}\n",
                           percent(share->touched_stored_bytes, share->stored_bytes),
                           format_size(share->touched_stored_bytes),
                           format_size(share->stored_bytes));
        if (share->unknown_paths != 0)
            out << fmt::format("unknown      {} paths that the image has not got\n",
                               share->unknown_paths);
    }
    std::uint64_t total = 0;
    for (const auto& [kind, count] : trace.requests) total += count;
    out << fmt::format("requests     {}\n", total);
    for (const auto& [kind, count] : trace.requests)
        out << fmt::format("  {:<12} {:>10}\n", kind, count);
    if (!report.most_read.empty()) out << "most read\n";
    for (const auto& file : report.most_read)
        out << fmt::format("{:>12}  {}\n", format_size(file.bytes), trace::escaped(file.path));
    if (!trace.slowest.empty()) out << "slowest requests\n";
    for (const auto& slow : trace.slowest)
        out << fmt::format(
            "{:>9.2f} ms  {:<8} {}{}\n", static_cast<double>(slow.microseconds) / 1000, slow.kind,
            trace::escaped(slow.path),
            slow.kind == "read" ? fmt::format(" {}+{}", slow.offset, slow.size_bytes) : "");
    if (trace.is_full) out << "More was touched than a trace holds.\n";
}

class TraceCommand final : public Command {
  public:
    const char* name() const override { return "trace"; }
    const char* summary() const override { return "Merge traces, or say what is in one"; }
    void declare(Options options) override {
        options.require_subcommand();
        merge_ = options.add_subcommand("merge", "Everything several traces touched, as one");
        merge_.add("FILE", files_, "Traces, the first one first").required();
        merge_.add("-o,--output", output_, "Default: the standard output").type_name("FILE");
        report_ = options.add_subcommand("report", "What a trace touched");
        report_.add("FILE", file_, "The trace").required();
        report_.add("IMAGE", image_, "An image of the tree, to show the share of it");
        report_.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override { return merge_.parsed() ? merge(io) : report(io); }

  private:
    Status merge(Io& io);
    Status report(Io& io);

    Options merge_;
    Options report_;
    std::vector<std::string> files_;
    std::string output_;
    std::string file_;
    std::string image_;
    bool is_json_ = false;
};

Status TraceCommand::merge(Io& io) {
    trace::Trace merged;
    for (const std::string& file : files_) {
        SQUENV_TRY_ASSIGN(const auto next, trace::load(file));
        merged = trace::merge(merged, next);
    }
    const std::string text = trace::encode(merged);
    if (!output_.empty()) return write_text_file(output_, text);
    io.out << text;
    return {};
}

Status TraceCommand::report(Io& io) {
    SQUENV_TRY_ASSIGN(const auto trace, trace::load(file_));
    std::optional<ImageShare> share;
    if (!image_.empty()) {
        SQUENV_TRY_ASSIGN(const std::string path, versions::resolve(image_));
        SQUENV_TRY_ASSIGN(const auto image, image::Image::open(path));
        auto counted = share_of(trace, *image);
        if (!counted) return with_context(counted.error(), image_);
        share = *counted;
    }
    const TraceReport report = count(trace);
    if (is_json_)
        io.out << to_json(trace, report, share)
                      .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
               << '\n';
    else
        print_report(io.out, trace, report, share);
    return {};
}

}  // namespace

std::unique_ptr<Command> make_trace_command() {
    return std::make_unique<TraceCommand>();
}

}  // namespace squenv::cli
