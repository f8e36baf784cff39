// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/command.h"
#include "cli/image_argument.h"
#include "mount/live_statistics.h"
#include "mount/mount_table.h"

namespace squenv::cli {

namespace {

struct Row {
    std::string mountpoint;
    std::string image;
    std::string state;
    int pid = 0;          ///< of the daemon, 0 when it does not answer
    std::string error{};  ///< what is known beyond a state that is not "ok"
};

const char* state_of(const Error& error) {
    if (error.sys_errno == ENOTCONN) return "dead";
    switch (error.code) {
        case Errc::busy: return "no answer";
        case Errc::unsupported: return "unknown";
        case Errc::denied: return "denied";
        default: return "error";
    }
}

Row describe(const mount::MountEntry& entry) {
    Row row{entry.mountpoint, entry.source, "ok"};
    auto text = mount::query_statistics(entry.mountpoint, mount::kQueryTimeout, &entry);
    const auto json = nlohmann::json::parse(text ? *text : "", nullptr, false);
    if (text && !json.is_object())
        text = fail(Errc::unsupported, entry.mountpoint + ": the daemon's answer is not JSON");
    if (!text) {
        row.state = state_of(text.error());
        row.error = text.error().message();
        return row;
    }
    row.pid = json.value("pid", 0);
    row.image = json.value("image", row.image);
    return row;
}

class ListCommand final : public Command {
  public:
    const char* name() const override { return "list"; }
    const char* summary() const override { return "Show the mounts of this user on this node"; }
    void declare(CLI::App& app) override {
        app.add_flag("--json", is_json_, "Print a JSON array");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto entries, mount::read_mount_table());
        std::vector<Row> rows;
        for (const auto& entry : entries)
            if (entry.is_squenv() && (::getuid() == 0 || entry.user_id == ::getuid()))
                rows.push_back(describe(entry));
        if (is_json_) {
            auto json = nlohmann::ordered_json::array();
            for (const auto& row : rows) {
                json.push_back({{"mountpoint", row.mountpoint},
                                {"image", row.image},
                                {"state", row.state},
                                {"pid", row.pid}});
                if (!row.error.empty()) json.back()["error"] = row.error;
            }
            io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
            return {};
        }
        for (const auto& row : rows) {
            io.out << fmt::format("{:<9} {:>7}  {}  {}\n", row.state, row.pid,
                                  printable(row.mountpoint), printable(row.image));
            if (row.state == "error") io.err << "squenv list: " << printable(row.error) << '\n';
        }
        return {};
    }

  private:
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_list_command() {
    return std::make_unique<ListCommand>();
}

}  // namespace squenv::cli
