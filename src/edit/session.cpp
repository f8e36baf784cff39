// SPDX-License-Identifier: MIT
#include "edit/session.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file_io.h"
#include "base/file_lock.h"
#include "base/temporary_name.h"
#include "cache/entry.h"

namespace squenv::edit {

namespace {

namespace fs = std::filesystem;

/// The name of a record begins so.
constexpr const char* kRecord = "session-";

/// One for each user: the directory may be shared.
std::string record_path(const std::string& image) {
    return fmt::format("{}.versions/{}{}.json", image, kRecord, ::geteuid());
}

std::string to_json(const Session& session) {
    const nlohmann::json record{{"image", session.image},
                                {"staging", session.staging},
                                {"kind", session.kind == Kind::overlay ? "overlay" : "tree"},
                                {"mountpoint", session.mountpoint},
                                {"host", session.host},
                                {"started", session.started},
                                {"pid", session.pid},
                                {"parent", session.parent},
                                {"parent_digest", session.parent_digest},
                                {"begun", session.is_begun}};
    return record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

Result<Session> from_json(const std::string& path, const std::string& text) {
    try {
        const auto record = nlohmann::json::parse(text);
        Session session;
        record.at("image").get_to(session.image);
        record.at("staging").get_to(session.staging);
        session.kind = record.at("kind") == "tree" ? Kind::tree : Kind::overlay;
        record.at("mountpoint").get_to(session.mountpoint);
        record.at("host").get_to(session.host);
        record.at("started").get_to(session.started);
        record.at("pid").get_to(session.pid);
        record.at("parent").get_to(session.parent);
        record.at("parent_digest").get_to(session.parent_digest);
        record.at("begun").get_to(session.is_begun);
        return session;
    } catch (const nlohmann::json::exception&) {
        return fail(Errc::corrupt, path + ": is no record of a session",
                    "remove it, and the directory squenv-edit-* that it names");
    }
}

/// What a record says is done with files of this user, so no other user may have written it.
Result<std::string> read_own_record(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto file, open_regular_file(path, O_RDONLY));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return fail_errno(errno, path);
    if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(Errc::denied, path + ": another user can have written it", "remove it");
    auto text = read_to_end(file.get());
    if (!text) return with_context(text.error(), path);
    return text;
}

/// Whether it can have been made for a session of this user. What is on another node cannot be
/// seen.
bool is_staging(const Session& session) {
    const fs::path path(session.staging);
    if (!path.is_absolute() || !path.filename().string().starts_with(kStaging)) return false;
    struct stat info {};
    if (session.host != host_name() || ::lstat(path.c_str(), &info) != 0) return true;
    return S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

Status write_record(const std::string& path, const std::string& text) {
    SQUENV_TRY_ASSIGN(const auto file, open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
    if (const auto status = write_all(file.get(), as_bytes(text)); !status)
        return with_context(status.error(), path);
    return {};
}

}  // namespace

Result<std::optional<Session>> find_session(const std::string& image) {
    const std::string path = record_path(image);
    const auto text = read_own_record(path);
    if (!text) {
        const int error = text.error().sys_errno;
        if (error == ENOENT || error == ENOTDIR) return std::optional<Session>();
        return tl::unexpected(text.error());
    }
    SQUENV_TRY_ASSIGN(auto session, from_json(path, *text));
    if (!is_staging(session))
        return fail(Errc::corrupt, path + ": names no directory of a session of yours",
                    "remove it");
    session.image = image;  // the file may have been moved with its versions
    return std::optional<Session>(std::move(session));
}

std::map<std::uint64_t, std::string> edited_versions(const std::string& image) {
    std::map<std::uint64_t, std::string> versions;
    std::error_code error;
    for (fs::directory_iterator at(image + ".versions", error), end; !error && at != end;
         at.increment(error)) {
        const fs::path& path = at->path();
        if (!path.filename().string().starts_with(kRecord) || path.extension() != ".json") continue;
        const auto file = open_regular_file(path.string(), O_RDONLY);
        const auto text = file ? read_to_end(file->get()) : tl::unexpected(file.error());
        const auto session = text ? from_json(path.string(), *text) : tl::unexpected(text.error());
        if (session)
            versions[session->parent] = "an edit " + describe(*session) + " began with it";
        else
            versions[0] = path.string() + " does not say which version an edit began with";
    }
    return versions;
}

Status record_session(const Session& session) {
    const std::string path = record_path(session.image);
    const std::string fresh = unique_name(path + '.');
    auto status = write_record(fresh, to_json(session));
    if (status && ::rename(fresh.c_str(), path.c_str()) != 0) status = fail_errno(errno, path);
    if (!status) ::unlink(fresh.c_str());
    return status;
}

void end_session(Session session) {
    // What is removed by halves is not offered again.
    session.is_begun = false;
    (void)record_session(session);
    if (session.host == host_name()) cache::remove_tree(session.staging);
    ::unlink(record_path(session.image).c_str());
}

std::string host_name() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

Result<UniqueFd> hold_session(const Session& session) {
    SQUENV_TRY_ASSIGN(auto directory,
                      open_file(session.staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (lock_file(directory.get(), LOCK_EX | LOCK_NB) == Locking::busy)
        return fail(Errc::busy,
                    fmt::format("{}: what the session {} started still runs", session.image,
                                describe(session)),
                    "end that first");
    return directory;
}

std::string describe(const Session& session) {
    std::array<char, 32> text{};
    const std::time_t time = session.started;
    struct tm local {};
    if (::localtime_r(&time, &local) != nullptr)
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
    return fmt::format("since {} on {} (process {})", text.data(), session.host, session.pid);
}

}  // namespace squenv::edit
