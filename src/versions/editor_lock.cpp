// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/file_lock.h"
#include "base/json_depth.h"
#include "versions/refusal.h"
#include "versions/store.h"
#include "versions/versions.h"

namespace squenv::versions {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBytes = 4096;
constexpr int kLockAttempts = 100;

struct Editor {
    std::string user{};
    std::string host{};
    std::int64_t pid = 0;
    std::int64_t since = 0;  ///< seconds since 1970
};

std::string own_host() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

/// Nothing in a file that no editor has written, or that the last one has left.
std::optional<Editor> read_editor(int file) {
    std::string text(kMostBytes, '\0');
    const ssize_t size = ::pread(file, text.data(), text.size(), 0);
    if (size <= 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(size));
    if (!is_shallow(text, 2)) return std::nullopt;
    const Json json = Json::parse(text, nullptr, false);
    const auto is_text = [&](const char* key) {
        return json.contains(key) && json[key].is_string();
    };
    const auto is_number = [&](const char* key) {
        return json.contains(key) && json[key].is_number_integer();
    };
    if (!json.is_object() || !is_text("user") || !is_text("host") || !is_number("pid") ||
        !is_number("since"))
        return std::nullopt;
    return Editor{json["user"], json["host"], json["pid"], json["since"]};
}

Status write_editor(int file, const std::string& path) {
    const Json json{{"user", user_name(::geteuid())},
                    {"host", own_host()},
                    {"pid", ::getpid()},
                    {"since", now()}};
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    if (::ftruncate(file, 0) != 0) return refused(errno, path);
    const auto status = write_at(file, std::as_bytes(std::span(text)), 0);
    if (!status) return refused(status.error().sys_errno, path);
    return {};
}

/// Without locks: one of this host is asked for its process, one of another host is believed.
bool may_live(const Editor& editor) {
    if (editor.host != own_host()) return true;
    return ::kill(static_cast<pid_t>(editor.pid), 0) == 0 || errno == EPERM;
}

std::string local_time(std::int64_t seconds) {
    const time_t time = seconds;
    tm parts{};
    std::array<char, 32> text{};
    ::localtime_r(&time, &parts);
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts)};
}

tl::unexpected<Error> is_edited(const std::string& image, const std::optional<Editor>& editor,
                                const std::string& path, bool is_locked) {
    const std::string who = editor
                                ? fmt::format("{}@{} (process {}) since {}", editor->user,
                                              editor->host, editor->pid, local_time(editor->since))
                                : "another process";
    return fail(
        Errc::busy, fmt::format("{}: is being edited by {}", image, who),
        is_locked ? "wait until that has ended" : fmt::format("remove {} if that has ended", path));
}

}  // namespace

EditorLock::EditorLock(std::string path, UniqueFd file, bool made_directory)
    : path_(std::move(path)), file_(std::move(file)), made_directory_(made_directory) {
}

EditorLock::EditorLock(EditorLock&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      made_directory_(std::exchange(other.made_directory_, false)) {
}

EditorLock::~EditorLock() {
    if (!file_) return;
    (void)!::ftruncate(file_.get(), 0);
    if (!made_directory_) return;
    // In use the directory has a log, and stays.
    struct stat info {};
    const std::string directory = path_.substr(0, path_.rfind('/'));
    if (::stat((directory + "/log").c_str(), &info) == 0) return;
    ::unlink(path_.c_str());
    ::rmdir(directory.c_str());
}

Result<EditorLock> EditorLock::take(const std::string& image) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    const std::string path = place.directory + "/editor";
    for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
        SQUENV_TRY_ASSIGN(const bool is_new, make_directory(place));
        auto opened = open_shared(place, path, 0);
        // The last editor has removed the directory meanwhile.
        if (!opened && opened.error().sys_errno == ENOENT) continue;
        if (!opened) {
            if (is_new) ::rmdir(place.directory.c_str());
            return tl::unexpected(opened.error());
        }
        const Locking locking = lock_file(opened->get(), LOCK_EX | LOCK_NB);
        const auto editor = read_editor(opened->get());
        if (locking == Locking::busy) return is_edited(image, editor, path, true);
        if (locking == Locking::impossible && editor && may_live(*editor))
            return is_edited(image, editor, path, false);
        if (!is_named(opened->get(), path)) continue;
        const auto status = write_editor(opened->get(), path);
        // With a lock it only names the editor to others, and --discard is wanted on a full disk.
        if (!status && (locking == Locking::impossible || status.error().code != Errc::limit))
            return tl::unexpected(status.error());
        return EditorLock(path, std::move(*opened), is_new);
    }
    return fail(Errc::busy, image + ": other editors begin and end all the time", "try again");
}

}  // namespace squenv::versions
