// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "cli/command.h"
#include "cli/image_argument.h"
#include "mount/answer.h"
#include "mount/live_statistics.h"
#include "system/mount_table.h"

namespace squenv::cli {

namespace {

struct Row {
    std::string mountpoint;
    std::string image;
    std::string state;
    std::uint64_t pid = 0;  ///< of the daemon, 0 when it does not answer
    std::string error{};    ///< details of a state that is not "ok"
    bool is_odd = false;    ///< the user should learn of that
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

/// Reads the answer of a daemon: its process id, and the image when the answer names one. A process
/// id 1 from another user is false: only a container has such a daemon, and its own user sees it.
Status take_answer(const std::string& text, bool is_ours, Row& row) {
    SQUENV_TRY_ASSIGN(const auto answer, mount::parse_answer(text));
    const auto pid = mount::number_in(answer, "pid", is_ours ? 1U : 2U, mount::kMaxPid);
    if (!pid) return fail(Errc::unsupported, "does not answer properly");
    row.pid = *pid;
    row.image = mount::text_in(answer, "image").value_or(row.image);
    return {};
}

Row describe(const system::MountEntry& entry, const Result<std::string>& text) {
    Row row{entry.mountpoint, entry.source, "ok"};
    if (!text) {
        row.state = state_of(text.error());
        row.error = text.error().message();
        row.is_odd = text.error().code != Errc::unsupported && text.error().code != Errc::denied;
        return row;
    }
    if (const auto status = take_answer(*text, entry.user_id == ::geteuid(), row); !status) {
        row.state = state_of(status.error());
        row.error = entry.mountpoint + ": " + status.error().message();
        row.is_odd = true;
    }
    return row;
}

/// One row for each mount of this user, or of all users for root.
Result<std::vector<Row>> rows_of_mounts() {
    SQUENV_TRY_ASSIGN(auto entries, system::read_mount_table());
    std::erase_if(entries, [](const system::MountEntry& entry) {
        return !entry.is_squenv() || (::getuid() != 0 && entry.user_id != ::getuid());
    });
    std::vector<mount::Question> questions;
    for (const auto& entry : entries) questions.push_back({entry.mountpoint, &entry});
    const auto answers = mount::query_all_statistics(questions, mount::kQueryTimeout);
    std::vector<Row> rows;
    for (std::size_t i = 0; i < entries.size(); ++i)
        rows.push_back(describe(entries[i], answers[i]));
    return rows;
}

class ListCommand final : public Command {
  public:
    const char* name() const override { return "list"; }
    const char* summary() const override { return "Show the mounts of this user on this node"; }
    void declare(Options options) override {
        options.add_flag("--json", is_json_, "Print a JSON array");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto rows, rows_of_mounts());
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
            if (row.is_odd) io.err << "squenv list: " << printable(row.error) << '\n';
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
