// SPDX-License-Identifier: MIT
#include "mount/diagnosis.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/paths.h"
#include "base/units.h"
#include "cache/cache_directory.h"
#include "image/image.h"
#include "mount/fuse_device.h"
#include "mount/fusermount_program.h"
#include "mount/live_statistics.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/private_mounts.h"
#include "mount/signal_block.h"
#include "mount/unmount.h"

namespace squenv::mount {

namespace {

/// A directory that is there for one attempt.
class ScratchDirectory {
  public:
    ScratchDirectory() {
        const char* temporary = std::getenv("TMPDIR");
        for (const std::string place :
             {temporary != nullptr ? temporary : "/tmp", "/tmp", "/var/tmp"}) {
            path_ = place + "/squenv-doctor-XXXXXX";
            if (::mkdtemp(path_.data()) != nullptr) return;
        }
        path_.clear();
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory() {
        if (!path_.empty()) ::rmdir(path_.c_str());
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] Status status() const {
        if (!path_.empty()) return {};
        return fail(Errc::denied, "no directory can be made in TMPDIR, /tmp or /var/tmp",
                    "make one of them writable");
    }

  private:
    std::string path_;
};

Probe judge(std::string subject, const Status& status, std::string if_passed) {
    if (status) return {std::move(subject), true, std::move(if_passed), {}};
    Error error = status.error();
    const std::string remedy = std::exchange(error.hint, {});
    return {std::move(subject), false, error.message(), remedy};
}

/// Mounts an empty connection, which no daemon ever answers, and takes it away.
template <class Mount>
Status try_mount(const Mount& mount) {
    const SignalBlock block;
    const ScratchDirectory scratch;
    SQUENV_TRY(scratch.status());
    KernelMount request;
    request.mountpoint = scratch.path();
    request.source = "squenv-doctor";
    auto device = mount(request);
    if (!device) return tl::unexpected(device.error());
    device->reset();
    return unmount(scratch.path(), UnmountMode::lazy);
}

Status try_namespaces() {
    SQUENV_TRY(make_private_mounts({}));
    return {};
}

Status try_private_mount() {
    const SignalBlock block;
    const ScratchDirectory scratch;
    SQUENV_TRY(scratch.status());
    PrivateMount mount;
    mount.kernel.mountpoint = scratch.path();
    mount.kernel.source = "squenv-doctor";
    SQUENV_TRY(make_private_mounts({mount}));
    return {};
}

Probe probe_cache() {
    struct stat info {};
    const bool is_there = ::lstat(cache::cache_path().c_str(), &info) == 0;
    if (const auto limit = cache::cache_size_limit(); !limit)
        return judge("unpacking", tl::unexpected(limit.error()), {});
    const auto directory = cache::cache_directory();
    if (!directory) return judge("unpacking", tl::unexpected(directory.error()), {});
    struct statvfs disk {};
    ::statvfs(directory->c_str(), &disk);
    if (!is_there) ::rmdir(directory->c_str());  // asking leaves nothing behind
    return {"unpacking", true,
            fmt::format("into {}, {} free", *directory,
                        format_size(static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize)),
            {}};
}

Probe probe_image(const std::string& path) {
    const auto image = image::Image::open(path);
    if (!image) return judge("image", tl::unexpected(image.error()), {});
    return {"image", true, path + " can be read", {}};
}

/// Where the ways differ in what they ask of the mount point.
struct Place {
    bool is_ours = true;   ///< can be mounted on in place
    bool is_free = false;  ///< nothing is there: a link could be made
    bool can_be_covered = true;  ///< a namespace can show something else there
    std::string reason{};
};

Probe probe_place(const std::string& mountpoint, const std::string& image, Place& place) {
    const auto path = canonical_mountpoint(mountpoint);
    if (!path) return judge("mount point", tl::unexpected(path.error()), {});
    const auto mounted = find_mount(*path);
    const bool is_squenv = mounted && *mounted && (*mounted)->is_squenv();
    const Probe dead{"mount point", true, *path + ": a dead mount, which will be replaced", {}};
    const auto unusable = [&place](const Error& error) {
        place = {false, false, false, error.context};
        return judge("mount point", tl::unexpected(error), {});
    };
    Status status = check_place(*path);
    if (!status) return unusable(status.error());
    // What another user serves is asked for nothing, and is none of ours whatever it says.
    if (is_squenv && ::geteuid() != 0 && !(*mounted)->is_trusted_by(::geteuid())) {
        status = fail(Errc::exists,
                      fmt::format("{}: a mount of user {}", *path, (*mounted)->user_id.value_or(0)),
                      "'squenv run' uses a namespace; or name another path");
        place = {false, false, true, status.error().message()};
        return judge("mount point", status, {});
    }
    // First, because anything else would wait for a daemon that does not answer.
    if (is_squenv) {
        const auto statistics = query_statistics(*path, kQueryTimeout, &**mounted);
        if (!statistics && statistics.error().sys_errno == ENOTCONN) return dead;
        if (!statistics && statistics.error().code == Errc::busy)
            return unusable(statistics.error());
    }
    const auto existing = is_stale(*path) ? *path : nearest_directory(*path).value_or("");
    struct stat info {};
    if (is_squenv && (*mounted)->source == image && (*mounted)->user_id == ::geteuid())
        return {"mount point", true, *path + ": this image is mounted there, 'run' joins it", {}};
    if (::stat(path->c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
        status = fail(Errc::invalid_argument, *path + ": not a directory",
                      "an image is mounted on a directory");
        place.can_be_covered = false;
    } else if (is_squenv && !is_stale(*path))
        status = fail(Errc::exists, *path + ": " + (*mounted)->source + " is mounted there",
                      "'squenv run' joins it or uses a namespace; 'squenv umount' removes it");
    else if (is_stale(*path))
        return dead;
    else if (existing == *path)
        status = check_mountpoint(*path);
    else if (existing.empty() || ::access(existing.c_str(), W_OK) != 0)
        status = fail(Errc::denied, *path + ": does not exist and cannot be made",
                      "only a user namespace can show it");
    place.is_ours = status.has_value();
    place.is_free = status && existing != *path;
    if (!status) place.reason = status.error().message();
    return judge("mount point", status,
                 *path + (place.is_free ? ": will be made" : ": can be mounted on"));
}

Verdict verdict(Method method, std::initializer_list<const Probe*> needed, const Place& place,
                bool in_place) {
    Verdict result{method, true, {}};
    for (const Probe* probe : needed)
        if (!probe->is_passed && result.works) {
            result.works = false;
            result.reason = probe->finding;
        }
    if (result.works && (in_place ? !place.is_ours : !place.can_be_covered)) {
        result.works = false;
        result.reason = place.reason;
    }
    return result;
}

}  // namespace

bool Diagnosis::has_way() const {
    return std::any_of(verdicts.begin(), verdicts.end(),
                       [](const Verdict& verdict) { return verdict.works; });
}

Diagnosis diagnose(const DiagnosisSubject& subject) {
    const Probe device = judge("/dev/fuse", check_fuse_device(), "can be opened");
    const Probe direct =
        judge("mount(2)",
              may_mount_directly()
                  ? try_mount(mount_direct)
                  : fail(Errc::denied, "needs CAP_SYS_ADMIN", "only root has it; not needed if "
                                                              "another way works"),
              "works: CAP_SYS_ADMIN is there");
    const Probe helper = judge("fusermount3", check_fusermount(), describe_fusermount());
    const Probe helper_mount =
        helper.is_passed ? judge("fusermount3 mount", try_mount(mount_by_fusermount), "works")
                         : Probe{"fusermount3 mount", false, helper.finding, helper.remedy};
    const Probe namespaces = judge("user namespace", try_namespaces(), "can be made");
    const Probe private_mount =
        namespaces.is_passed
            ? judge("FUSE in a user namespace", try_private_mount(), "works")
            : Probe{"FUSE in a user namespace", false, namespaces.finding, namespaces.remedy};
    const Probe cache = probe_cache();
    Diagnosis diagnosis;
    diagnosis.probes = {device, direct, helper, helper_mount, namespaces, private_mount, cache};
    Place place;
    place.is_free = true;
    Probe image{{}, true, {}, {}};
    if (!subject.image.empty()) diagnosis.probes.push_back(image = probe_image(subject.image));
    if (!subject.mountpoint.empty())
        diagnosis.probes.push_back(probe_place(subject.mountpoint, real_path(subject.image), place));
    diagnosis.verdicts = {
        verdict(Method::direct, {&image, &device, &direct}, place, true),
        verdict(Method::fusermount, {&image, &device, &helper_mount}, place, true),
        verdict(Method::userns, {&image, &device, &private_mount}, place, false),
        verdict(Method::extract, {&image, &cache}, place, false)};
    Verdict& extract = diagnosis.verdicts.back();
    if (extract.works && !place.is_free && !namespaces.is_passed && !subject.is_relocatable) {
        extract.works = false;
        extract.reason = "the unpacked tree cannot be put at the path: something is there, and " +
                         namespaces.finding;
    }
    return diagnosis;
}

}  // namespace squenv::mount
