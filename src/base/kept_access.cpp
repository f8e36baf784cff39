// SPDX-License-Identifier: MIT
#include "base/kept_access.h"

#include <fmt/core.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/little_endian.h"

namespace squenv {

namespace {

constexpr const char* kAclName = "system.posix_acl_access";

/// One entry of that attribute, as <linux/posix_acl_xattr.h> has it. Four bytes of version stand in
/// front of the first.
struct AclEntry {
    Le16 tag;
    Le16 permissions;
    Le32 id;
};
static_assert(sizeof(AclEntry) == 8);
constexpr std::size_t kAclHeader = 4;
/// From <linux/posix_acl.h>.
constexpr std::uint16_t kGroupOwner = 0x04;
constexpr std::uint16_t kMask = 0x10;
constexpr std::uint16_t kOther = 0x20;

/// The rights of all but the owner.
struct Access {
    mode_t mode = 0;   ///< with an ACL its group bits are the mask
    ByteVector acl{};  ///< empty when there is none
};

/// Calls `change(entry)` for each entry of the ACL, and writes back what became of it.
template <class Change>
void for_each_entry(ByteVector& acl, Change&& change) {
    for (std::size_t at = kAclHeader; at + sizeof(AclEntry) <= acl.size(); at += sizeof(AclEntry)) {
        auto entry = load<AclEntry>(ByteView(acl).subspan(at));
        change(entry);
        std::memcpy(acl.data() + at, &entry, sizeof entry);
    }
}

/// What the group of the file may do.
mode_t group_permissions(Access& access) {
    mode_t own = (access.mode >> 3) & 07U;
    mode_t mask = 07;
    for_each_entry(access.acl, [&](const AclEntry& entry) {
        if (entry.tag.get() == kGroupOwner) own = entry.permissions.get();
        if (entry.tag.get() == kMask) mask = entry.permissions.get();
    });
    return own & mask;
}

/// For a file whose group is another one than it was: that may do nothing. Those of the old group
/// count as others from now on, and may not do more than before.
void drop_group(Access& access) {
    const mode_t group = group_permissions(access);
    for_each_entry(access.acl, [&](AclEntry& entry) {
        const std::uint16_t tag = entry.tag.get();
        if (tag == kGroupOwner) entry.permissions = std::uint16_t{0};
        if (tag == kOther)
            entry.permissions = static_cast<std::uint16_t>(entry.permissions.get() & group);
    });
    if (access.acl.empty()) access.mode &= ~mode_t{070};
    access.mode &= ~mode_t{07} | group;
}

/// For a file that does not get its ACL, which may have shut out members of the group, and others:
/// the owner alone is left.
void drop_acl(Access& access) {
    access.mode &= 0700U;
    access.acl.clear();
}

/// Nothing when it cannot be told.
std::optional<ByteVector> read_acl(const std::string& path) {
    ByteVector acl(XATTR_SIZE_MAX);
    const ssize_t size = ::getxattr(path.c_str(), kAclName, acl.data(), acl.size());
    if (size < 0 && errno != ENODATA && errno != EOPNOTSUPP) return std::nullopt;
    acl.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return acl;
}

bool set_acl(int file, const ByteVector& acl) {
    if (!acl.empty()) return ::fsetxattr(file, kAclName, acl.data(), acl.size(), 0) == 0;
    // It may have got one from its directory.
    return ::fgetxattr(file, kAclName, nullptr, 0) <= 0 || ::fremovexattr(file, kAclName) == 0;
}

}  // namespace

std::optional<std::string> keep_access(int file, const std::string& path) {
    struct stat old {};
    struct stat made {};
    if (::stat(path.c_str(), &old) != 0 || ::fstat(file, &made) != 0) return std::nullopt;
    std::string lost;
    const auto lose = [&](const std::string& what, int sys_errno) {
        lost += fmt::format("{}{} ({})", lost.empty() ? "" : ", ", what,
                            std::generic_category().message(sys_errno));
    };
    // The bits that lend the owner's rights are for programs, and no image is one.
    Access access{old.st_mode & 0777U};
    if (auto acl = read_acl(path)) {
        access.acl = std::move(*acl);
    } else {
        lose("the ACL", errno);
        drop_acl(access);
    }
    if (old.st_gid != made.st_gid && ::fchown(file, static_cast<uid_t>(-1), old.st_gid) != 0) {
        lose(fmt::format("group {}", old.st_gid), errno);
        drop_group(access);
    }
    if (!set_acl(file, access.acl)) {
        lose("the ACL", errno);
        drop_acl(access);
    }
    // An ACL brings the mode with it. Some file systems have one mode for all files.
    const bool needs_mode = access.acl.empty() && access.mode != (made.st_mode & 0777U);
    if (needs_mode && ::fchmod(file, access.mode) != 0) lose("the mode", errno);
    if (lost.empty()) return lost;
    return fmt::format(
        "{}: not kept of the image that it replaces: {}; fewer may read it now, set "
        "what is missing with chgrp, chmod or setfacl",
        path, lost);
}

}  // namespace squenv
