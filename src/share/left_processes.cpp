// SPDX-License-Identifier: MIT
#include "share/left_processes.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <sstream>
#include <vector>

#include "base/file_io.h"
#include "base/text.h"

namespace squenv::share {

namespace {

constexpr std::string_view kVariable = "SQUENV_MOUNTS=";
/// Reading the environment of a hanging process may block. Two seconds in total.
constexpr int kWaits = 1000;
constexpr timespec kWait{0, 2'000'000};
/// Other processes may be made without end. A program becomes a daemon with two forks.
constexpr int kMostLooks = 8;
/// An environment that is empty in so many looks is no matter of a moment.
constexpr int kEmptyLooks = 3;

bool is_same_namespace(const std::string& process, const struct stat& own) {
    struct stat other {};
    return ::stat((process + "/ns/mnt").c_str(), &other) == 0 && other.st_ino == own.st_ino &&
           other.st_dev == own.st_dev;
}

}  // namespace

bool names_mountpoint(std::string_view environment, const std::string& mountpoint) {
    const std::string place = ':' + escaped(mountpoint, ",:");
    while (!environment.empty()) {
        const std::string_view variable = environment.substr(0, environment.find('\0'));
        environment.remove_prefix(std::min(environment.size(), variable.size() + 1));
        if (!variable.starts_with(kVariable)) continue;
        for (auto at = variable.find(place); at != std::string_view::npos;
             at = variable.find(place, at + 1)) {
            const auto end = at + place.size();
            const bool is_escaped = variable[at - 1] == '\\';
            if (!is_escaped && (end == variable.size() || variable[end] == ',')) return true;
        }
    }
    return false;
}

namespace {

/// What looking at the processes gives. The last two are worth another look.
enum class Look : std::uint8_t {
    none,
    found,
    empty,   ///< a process has an empty environment, perhaps for a moment
    unsure,  ///< a process starts a program
};

/// What /proc/PID/stat tells of a process. Its numbers are those of proc(5).
class Facts {
  public:
    explicit Facts(const std::string& process) {
        const std::string stat = file_content(process + "/stat").value_or("");
        const auto name_end = stat.rfind(')');  // the name may contain anything
        if (name_end == std::string::npos) return;
        std::istringstream rest(stat.substr(name_end + 1));
        fields_.assign(std::istream_iterator<std::string>(rest), {});
    }
    /// In clock ticks since the machine started; 0 when it is not known.
    [[nodiscard]] std::uint64_t start() const { return number(22); }
    /// Why an environment was just read as empty. In execve(2) the new memory has none for a
    /// moment, then one without bytes for another moment, then the real one.
    [[nodiscard]] Look reason_of_empty() const {
        constexpr std::uint64_t kKernelThread = 0x00200000;
        const std::uint64_t memory = number(23);
        const std::uint64_t begin = number(50);
        const std::uint64_t end = number(51);
        if (memory == 0 || (number(9) & kKernelThread) != 0) return Look::none;
        return end != 0 && begin == end ? Look::empty : Look::unsure;
    }

  private:
    [[nodiscard]] std::uint64_t number(std::size_t field) const {
        const std::size_t at = field - 3;  // process number and name are before the rest
        return at < fields_.size() ? std::strtoull(fields_[at].c_str(), nullptr, 10) : 0;
    }
    std::vector<std::string> fields_{};
};

/// The number of the process that was made last, in this namespace of processes.
std::string last_process() {
    const std::string load = file_content("/proc/loadavg").value_or("");
    return load.substr(load.rfind(' ') + 1);
}

/// The youngest is the last, unless the numbers have started again.
std::vector<std::string> all_processes() {
    std::vector<std::string> processes;
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &::closedir);
    while (const dirent* entry = all ? ::readdir(all.get()) : nullptr)
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0)
            processes.push_back(fmt::format("/proc/{}", entry->d_name));
    return processes;
}

/// Processes older than `since` are skipped: the variable comes from another place. Examples are a
/// batch job started from a shell with the environment, and an old terminal multiplexer.
Look look_once(const std::string& mountpoint, std::uint64_t since, const struct stat& own) {
    const std::vector<std::string> processes = all_processes();
    Look result = Look::none;
    // The youngest first: they may end at once.
    for (auto process = processes.rbegin(); process != processes.rend(); ++process) {
        struct stat info {};
        if (::stat(process->c_str(), &info) != 0 || info.st_uid != ::geteuid()) continue;
        // Not permitted: a program that gained privileges or refuses to be looked at.
        const auto environment = file_content(*process + "/environ");
        if (!environment) continue;
        const bool is_named = names_mountpoint(*environment, mountpoint);
        if (!is_named && !environment->empty()) continue;
        const Facts facts(*process);
        if (facts.start() < since) continue;
        if (is_named && is_same_namespace(*process, own)) return Look::found;
        if (environment->empty()) result = std::max(result, facts.reason_of_empty());
    }
    return result;
}

/// A process that forks and ends during a look hides its child, which was not there when the kernel
/// listed the processes. So a look counts when no process was made meanwhile.
bool look_for_processes(const std::string& mountpoint, std::uint64_t since) {
    struct stat own {};
    if (::stat("/proc/self/ns/mnt", &own) != 0) return false;
    int empty_looks = 0;
    for (int looks = 1;; ++looks) {
        const std::string last = last_process();
        const Look look = look_once(mountpoint, since, own);
        if (look == Look::found) return true;
        if (look == Look::unsure || (look == Look::empty && ++empty_looks < kEmptyLooks))
            ::nanosleep(&kWait, nullptr);
        else if (last == last_process() || looks >= kMostLooks)
            return false;
    }
}

}  // namespace

bool has_left_processes(const std::string& mountpoint) {
    const std::uint64_t since = Facts("/proc/self").start();
    const pid_t child = ::fork();
    if (child < 0) return look_for_processes(mountpoint, since);
    if (child == 0) ::_exit(look_for_processes(mountpoint, since) ? 1 : 0);
    for (int wait = 0; wait < kWaits; ++wait) {
        int status = 0;
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child) return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        if (ended < 0 && errno != EINTR) return false;
        ::nanosleep(&kWait, nullptr);
    }
    ::kill(child, SIGKILL);  // reaped by init, or with the next child
    return true;
}

}  // namespace squenv::share
