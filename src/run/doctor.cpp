// SPDX-License-Identifier: MIT
#include "run/doctor.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <initializer_list>
#include <utility>

#include "base/paths.h"
#include "base/units.h"
#include "cache/cache_directory.h"
#include "image/image.h"
#include "mount/fuse_device.h"
#include "mount/fusermount_program.h"
#include "mount/mountpoint.h"
#include "mount/userns_mounts.h"
#include "run/trial.h"
#include "system/mount_table.h"

namespace squenv::run {

namespace {

Probe judge(std::string subject, const Status& status, std::string if_passed) {
    if (status) return {std::move(subject), true, std::move(if_passed), {}};
    Error error = status.error();
    const std::string remedy = std::exchange(error.hint, {});
    return {std::move(subject), false, error.message(), remedy};
}

Status try_namespaces() {
    SQUENV_TRY(system::check_single_thread());
    SQUENV_TRY(mount::make_userns_mounts({}));
    return {};
}

Probe probe_cache() {
    const auto cache = check_cache();
    if (!cache) return judge("unpacking", tl::unexpected(cache.error()), {});
    // The probe removes the directory again when it was not there before.
    const std::string parent = std::filesystem::path(cache->directory).parent_path().string();
    struct statvfs disk {};
    if (::statvfs(cache->directory.c_str(), &disk) != 0) ::statvfs(parent.c_str(), &disk);
    const std::string room =
        fmt::format("into {}, {} free", cache->directory,
                    format_size(static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize));
    if (cache->has_locks) return {"unpacking", true, room, {}};
    return {
        "cache without locks", true, "unpacking " + room + "; files cannot be locked there", {}};
}

Probe probe_image(const std::string& path) {
    const auto image = image::Image::open(path);
    if (!image) return judge("image", tl::unexpected(image.error()), {});
    return {"image", true, path + " can be read", {}};
}

/// What is at `path`, for methods that mount in place.
Result<std::string> look_at(const std::string& path, const std::string& image) {
    SQUENV_TRY(mount::check_place(path));
    SQUENV_TRY_ASSIGN(const auto present, system::find_mount(path));
    // A mount of another user is not queried, and counts as that user's whatever it reports.
    if (present && present->is_squenv() && ::geteuid() != 0 && !present->is_trusted_by(::geteuid()))
        return fail(Errc::exists,
                    fmt::format("{}: a mount of user {}", path, present->user_id.value_or(0)),
                    "'squenv run' uses a namespace; or name another path");
    // The first check, because all others would wait for a daemon that does not answer.
    SQUENV_TRY(check_answers(path));
    SQUENV_TRY_ASSIGN(const auto mounted, system::find_mount(path));
    if (has_dead_mount(path)) return std::string("a dead mount, which will be replaced");
    if (mounted && mounted->is_squenv()) {
        if (mounted->source == image && mounted->user_id == ::geteuid())
            return std::string("this image is mounted there, 'run' joins it");
        return fail(Errc::exists, path + ": " + mounted->source + " is mounted there",
                    "'squenv run' joins it or uses a namespace; 'squenv umount' removes it");
    }
    SQUENV_TRY_ASSIGN(const auto existing, mount::nearest_directory(path));
    if (existing == path) {
        SQUENV_TRY(mount::check_mountpoint(path));
        return std::string("can be mounted on");
    }
    if (::access(existing.c_str(), W_OK) == 0) return std::string("will be made");
    return fail(Errc::denied, path + ": does not exist and cannot be made",
                "only a user namespace can show it");
}

Probe probe_place(const Wanted& wanted, const std::string& image) {
    const auto path = system::canonical_mountpoint(wanted.request.mountpoint);
    if (!path) return judge("mount point", tl::unexpected(path.error()), {});
    const auto finding = look_at(*path, image);
    if (!finding) return judge("mount point", tl::unexpected(finding.error()), {});
    return {"mount point", true, *path + ": " + *finding, {}};
}

/// The verdict for the machine alone: a method works when all that it needs works.
Verdict verdict(mount::Method method, std::initializer_list<const Probe*> needed) {
    for (const Probe* probe : needed)
        if (!probe->is_passed) return {method, false, probe->finding};
    return {method, true, {}};
}

/// The verdicts for an image at its path, from the steps of `run`.
std::vector<Verdict> verdicts_of(const DiagnosisSubject& subject) {
    std::vector<Verdict> verdicts;
    if (subject.wanted && !subject.refusal) {
        for (const auto& [method, refusal, note] : attempt(*subject.wanted))
            verdicts.push_back({method, !refusal, refusal ? refusal->message() : note});
        return verdicts;
    }
    for (const mount::Method method : mount::kMethods)
        if (method != mount::Method::automatic)
            verdicts.push_back({method, false, subject.refusal ? subject.refusal->message() : ""});
    return verdicts;
}

/// The part that depends on nothing but the machine and the user.
Diagnosis diagnose_machine() {
    const Probe device = judge("/dev/fuse", mount::check_fuse_device(), "can be opened");
    const Probe direct =
        judge("mount(2)",
              mount::may_mount_directly() ? try_on_scratch(mount::Method::direct)
                                          : fail(Errc::denied, "needs CAP_SYS_ADMIN",
                                                 "only root has it; not needed if "
                                                 "another way works"),
              "works: CAP_SYS_ADMIN is there");
    const Probe helper =
        judge("fusermount3", mount::check_fusermount(), mount::describe_fusermount());
    const Probe helper_mount =
        helper.is_passed
            ? judge("fusermount3 mount", try_on_scratch(mount::Method::fusermount), "works")
            : Probe{"fusermount3 mount", false, helper.finding, helper.remedy};
    const Probe namespaces =
        judge("user namespace", try_namespaces(),
              system::needs_no_user_namespace() ? "not needed: CAP_SYS_ADMIN makes mount namespaces"
                                                : "can be made");
    const Probe private_mount =
        namespaces.is_passed
            ? judge("FUSE in a user namespace", try_on_scratch(mount::Method::userns), "works")
            : Probe{"FUSE in a user namespace", false, namespaces.finding, namespaces.remedy};
    const Probe cache = probe_cache();
    Diagnosis diagnosis;
    diagnosis.probes = {device, direct, helper, helper_mount, namespaces, private_mount, cache};
    diagnosis.verdicts = {verdict(mount::Method::direct, {&device, &direct}),
                          verdict(mount::Method::fusermount, {&device, &helper_mount}),
                          verdict(mount::Method::userns, {&device, &private_mount}),
                          verdict(mount::Method::extract, {&cache})};
    return diagnosis;
}

}  // namespace

bool Diagnosis::has_way() const {
    return std::any_of(verdicts.begin(), verdicts.end(),
                       [](const Verdict& verdict) { return verdict.works; });
}

Diagnosis diagnose(const DiagnosisSubject& subject) {
    Diagnosis diagnosis = diagnose_machine();
    if (subject.image.empty()) return diagnosis;
    auto& probes = diagnosis.probes;
    probes.push_back(probe_image(subject.image));
    if (!probes.back().is_passed && !subject.wanted) return diagnosis;
    // A defect that no way to mount mends comes first.
    if (subject.interpreter)
        probes.insert(subject.interpreter->is_passed ? probes.end() : probes.begin(),
                      *subject.interpreter);
    if (subject.wanted) probes.push_back(probe_place(*subject.wanted, real_path(subject.image)));
    if (subject.refusal) probes.push_back(judge("path", tl::unexpected(*subject.refusal), {}));
    diagnosis.verdicts = verdicts_of(subject);
    return diagnosis;
}

}  // namespace squenv::run
