// SPDX-License-Identifier: MIT
#include "create/staging.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <fstream>

#include "base/file_io.h"
#include "base/file_lock.h"
#include "cache/entry.h"

namespace squenv::create {

namespace {

std::string base_name() {
    return fmt::format("squenv-create-{}", ::geteuid());
}

std::string notes_in(const std::string& staging) {
    return staging + "/elsewhere";
}

/// Each ends with a NUL: a name may have a newline in it.
std::vector<std::string> read_notes(const std::string& staging) {
    std::vector<std::string> paths;
    std::ifstream file(notes_in(staging));
    for (std::string path; std::getline(file, path, '\0');) paths.push_back(path);
    return paths;
}

bool is_link_to(const std::string& path, const std::string& target) {
    std::array<char, PATH_MAX> text{};
    const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
    return size > 0 && std::string(text.data(), static_cast<std::size_t>(size)) == target;
}

/// Removing a directory would detach what is mounted on it in other namespaces; those who do so
/// hold a lock on it.
void remove_empty_directory(const std::string& path) {
    const auto directory = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) return;
    if (lock_file(directory->get(), LOCK_EX | LOCK_NB) == Locking::busy) return;
    ::rmdir(path.c_str());
}

void remove_notes(const std::string& staging) {
    const auto paths = read_notes(staging);
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
        if (is_link_to(*path, staging + "/tree"))
            ::unlink(path->c_str());
        else
            remove_empty_directory(*path);
    }
}

/// A directory without room is told with what would do.
tl::unexpected<Error> not_made(Error error) {
    if (error.code == Errc::limit) error.hint = "name a directory with more room: --staging DIR";
    return tl::unexpected(std::move(error));
}

bool is_own_directory(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && info.st_uid == ::geteuid();
}

}  // namespace

Result<Staging> Staging::make(const std::string& directory) {
    auto entry = cache::make_partial_entry(directory, base_name());
    if (!entry) return not_made(with_context(entry.error(), "staging directory").value());
    Staging staging(entry->path, std::move(entry->directory));
    for (const std::string& made : {staging.tree(), staging.temporary()})
        if (::mkdir(made.c_str(), 0777) != 0) return not_made(fail_errno(errno, made).value());
    return staging;
}

Staging::Staging(Staging&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {
}

Staging::~Staging() {
    if (path_.empty()) return;
    remove_notes(path_);
    // Processes that were told to end may have made files meanwhile.
    constexpr int kRemovals = 5;
    std::error_code error;
    for (int i = 0; i < kRemovals && std::filesystem::exists(path_, error); ++i)
        cache::remove_tree(path_);
}

Status Staging::note(const std::vector<std::string>& paths) {
    std::string text;
    for (const std::string& path : paths) text += path + '\0';
    const std::string file = notes_in(path_);
    const auto fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!fd) return not_made(fd.error());
    if (const auto status = write_all(fd->get(), as_bytes(text)); !status)
        return not_made(with_context(status.error(), file).value());
    return {};
}

void Staging::remove_noted() {
    remove_notes(path_);
}

void sweep_staging(const std::string& directory) {
    const std::string prefix = base_name() + ".partial-";
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        const std::string path = at->path().string();
        if (!at->path().filename().string().starts_with(prefix)) continue;
        const auto entry = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!entry || !is_own_directory(entry->get()) || !cache::is_unused(entry->get()) ||
            !is_named(entry->get(), path))
            continue;
        remove_notes(path);
        cache::remove_tree(path);
    }
}

}  // namespace squenv::create
