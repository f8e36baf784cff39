// SPDX-License-Identifier: MIT
#include "share/rendezvous.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "share/kill_scope.h"

namespace squenv::share {

namespace {

std::uint64_t mount_namespace() {
    struct stat info {};
    return ::stat("/proc/self/ns/mnt", &info) == 0 ? info.st_ino : 0;
}

}  // namespace

std::string rendezvous_name(const std::vector<SharedMount>& mounts, const std::string& kind) {
    std::string key = fmt::format("{}\n{}\n{}\n", kind, mount_namespace(), kill_scope());
    for (const auto& [image, view, mountpoint] : mounts)
        key += fmt::format("{} {} {} {}\n{}\n{}\n", image.device, image.inode, image.size_bytes,
                           image.mtime_ns, view, mountpoint);
    const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
    return fmt::format("squenv/{}/{:016x}{:016x}", ::geteuid(), hash.high64, hash.low64);
}

}  // namespace squenv::share
