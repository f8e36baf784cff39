// SPDX-License-Identifier: MIT
// The report as one HTML page. Nothing is fetched: it can be mailed, and read without a network.
#include <fmt/core.h>

#include <algorithm>

#include "base/units.h"
#include "cli/bench_report.h"

namespace squenv::cli {

namespace {

constexpr double kPlotWidth = 720;
constexpr double kLabelWidth = 190;
constexpr double kValueWidth = 90;
constexpr double kBarHeight = 26;
constexpr double kBarGap = 12;

std::string html_escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default:
                // Bytes that are no characters of a page, whatever a file was called.
                out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
        }
    }
    return out;
}

struct Bar {
    std::string label;
    double value = 0;
    std::string text;
    std::vector<double> samples{};
};

/// Horizontal bars from zero, with a dot for every sample.
std::string plot(const std::string& title, const std::vector<Bar>& bars) {
    double largest = 0;
    for (const Bar& bar : bars) {
        largest = std::max(largest, bar.value);
        for (const double sample : bar.samples) largest = std::max(largest, sample);
    }
    if (largest <= 0) largest = 1;
    const double room = kPlotWidth - kLabelWidth - kValueWidth;
    const double height = static_cast<double>(bars.size()) * (kBarHeight + kBarGap);
    std::string out =
        fmt::format("<h2>{}</h2>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                    html_escaped(title), kPlotWidth, height, html_escaped(title));
    double top = 0;
    for (const Bar& bar : bars) {
        const double middle = top + kBarHeight / 2;
        const double width = room * bar.value / largest;
        out += fmt::format("<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>\n", kLabelWidth - 10,
                           middle + 5, html_escaped(bar.label));
        out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" rx=\"3\"/>\n",
                           kLabelWidth, top, std::max(width, 1.0), kBarHeight);
        double right = width;
        for (const double sample : bar.samples) {
            right = std::max(right, room * sample / largest);
            out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{}\" r=\"3\"/>\n",
                               kLabelWidth + room * sample / largest, middle);
        }
        out += fmt::format("<text x=\"{:.1f}\" y=\"{}\">{}</text>\n", kLabelWidth + right + 10,
                           middle + 5, html_escaped(bar.text));
        top += kBarHeight + kBarGap;
    }
    return out + "</svg>\n";
}

constexpr const char* kStyle = R"(
body { font: 16px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
code { background: #f0f0f0; padding: .1em .3em; overflow-wrap: anywhere; }
svg { width: 100%; font-size: 14px; }
svg rect { fill: #3b76af; } svg circle { fill: #d9822b; } svg text { fill: #222; }
svg text.label { text-anchor: end; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3em .6em; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1b1b1b; } code { background: #333; }
  svg text { fill: #ddd; } th, td { border-color: #444; } }
)";

std::vector<Bar> estimate_bars(const BenchReport& report) {
    std::vector<Bar> bars;
    const auto add = [&](const char* name, double operation, double seconds) {
        bars.push_back({fmt::format("{}, {} ms", name, operation * 1000),
                        seconds,
                        fmt::format("{:.1f} s", seconds),
                        {}});
    };
    for (const BenchEstimate& estimate : estimates(report)) {
        if (estimate.directory_seconds > 0)
            add("directory", estimate.operation_seconds, estimate.directory_seconds);
        add("image", estimate.operation_seconds, estimate.image_seconds);
    }
    return bars;
}

}  // namespace

std::string as_page(const BenchReport& report) {
    std::vector<Bar> times;
    std::vector<Bar> requests;
    std::string table =
        "<table><tr><th></th><th>median</th><th>best</th><th>worst</th><th>requests</th>"
        "<th>ahead</th></tr>\n";
    std::string notes;
    for (const BenchRow& row : report.rows) {
        const double middle = median(row.seconds);
        times.push_back({row.name, middle, fmt::format("{:.3f} s", middle), row.seconds});
        const std::uint64_t total = request_count(row);
        if (!row.requests.empty())
            requests.push_back({row.name, static_cast<double>(total), std::to_string(total), {}});
        const auto [best, worst] = std::minmax_element(row.seconds.begin(), row.seconds.end());
        table += fmt::format(
            "<tr><td>{}</td><td>{:.3f} s</td><td>{:.3f} s</td><td>{:.3f} s</td><td>{}</td>"
            "<td>{}</td></tr>\n",
            html_escaped(row.name), middle, *best, *worst,
            row.requests.empty() ? std::string() : std::to_string(total),
            row.requests.empty() ? std::string() : std::to_string(row.walker_requests));
        notes += fmt::format("<li><b>{}</b>: {}</li>\n", html_escaped(row.name),
                             html_escaped(row.explanation));
    }
    table += "</table>\n";
    std::string page = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<title>squenv bench: {0}</title>\n<style>{1}</style></head><body>\n"
        "<h1>{0}</h1>\n<p><code>{2}</code></p>\n"
        "<p>{3} at <code>{4}</code>. The command causes {5} metadata operations and reads {6} of "
        "{7} files.</p>\n",
        html_escaped(report.image), kStyle, html_escaped(report.command),
        format_size(report.image_bytes), html_escaped(report.mountpoint),
        report.metadata_operations, format_size(report.bytes_read), report.files_read);
    page += plot("Time, less is better", times);
    if (!requests.empty()) page += plot("Requests of the command to the file system", requests);
    page += plot("First run on slow storage, by time for an operation: an estimate",
                 estimate_bars(report));
    page += table;
    page += "<ul>\n" + notes + "</ul>\n</body></html>\n";
    return page;
}

}  // namespace squenv::cli
