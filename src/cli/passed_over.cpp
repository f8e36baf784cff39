// SPDX-License-Identifier: MIT
#include "cli/passed_over.h"

#include <algorithm>
#include <iterator>

namespace squenv::cli {

namespace {

constexpr PassedOver kEverywhere[] = {
    // Always in effect.
    {"ro"},
    {"nosuid"},
    {"nodev"},
    {"auto_unmount"},
    {"nonempty"},
    {"default_permissions"},
    // For mount(8) itself, which mounts at boot or for users. It writes noexec out where a user may
    // mount, so that nothing follows from these.
    {"defaults"},
    {"auto"},
    {"noauto"},
    {"nofail"},
    {"_netdev"},
    {"user"},
    {"user="},
    {"nouser"},
    {"users"},
    {"nousers"},
    {"owner"},
    {"noowner"},
    {"group"},
    {"nogroup"},
    {"comment="},
    {"silent"},
    {"loud"},
    // The times of an image never change.
    {"atime"},
    {"noatime"},
    {"diratime"},
    {"nodiratime"},
    {"relatime"},
    {"norelatime"},
    {"strictatime"},
    {"nostrictatime"},
    {"lazytime"},
    {"nolazytime"},
    {"iversion"},
    {"noiversion"},
    // Nothing is ever written.
    {"sync"},
    {"async"},
    {"dirsync"},
    {"mand"},
    {"nomand"},
};

constexpr PassedOver kOfMount[] = {
    // mount(8) adds rw, and mount.fuse3 adds dev and suid, by default: these do not show what the
    // user wants.
    {"rw"},
    {"dev"},
    {"suid"},
    // The called program does what these ask for.
    {"loop"},
    {"helper="},
    {"uhelper="},
    {"remount"},
    {"context=", "the kernel labels a FUSE mount by the policy's default for fuse"},
    {"fscontext=", "the kernel labels a FUSE mount by the policy's default for fuse"},
    {"defcontext=", "the kernel labels a FUSE mount by the policy's default for fuse"},
    {"rootcontext=", "the kernel labels a FUSE mount by the policy's default for fuse"},
};

constexpr PassedOver kOfSquashfuse[] = {
    {"rw", "images are mounted read-only"},
    {"dev", "images are mounted nodev"},
    {"suid", "images are mounted nosuid"},
    // An image does not change: the kernel keeps contents, names and attributes for good.
    {"kernel_cache"},
    {"auto_cache"},
    {"noauto_cache"},
    {"attr_timeout="},
    {"ac_attr_timeout="},
    {"entry_timeout="},
    {"negative_timeout="},
    {"direct_io"},
    // Nodes are named by their place in the image: there is no table to forget from, and the inode
    // numbers are those of the image.
    {"noforget"},
    {"remember="},
    {"use_ino"},
    {"readdir_ino"},
    // One thread takes requests, the others sleep; more descriptors of the device gain nothing.
    {"clone_fd"},
    {"max_idle_threads="},
    // Replies may have any size, and the kernel negotiates the sizes.
    {"max_read="},
    {"max_readahead="},
    {"max_write="},
    {"max_background="},
    {"congestion_threshold="},
    {"large_read"},
    {"big_writes"},
    {"async_read"},
    {"sync_read"},
    {"splice_read"},
    {"no_splice_read"},
    {"splice_move"},
    {"no_splice_move"},
    {"splice_write"},
    {"no_splice_write"},
    // About writing, deleting and locking, which the kernel does alone or refuses.
    {"hard_remove"},
    {"atomic_o_trunc"},
    {"no_rofd_flush"},
    {"nopath"},
    {"nullpath_ok"},
    {"no_remote_lock"},
    {"no_remote_flock"},
    {"no_remote_posix_lock"},
    {"intr"},
    {"intr_signal="},
};

template <class Table>
const PassedOver* find_in(const Table& table, std::string_view option) {
    const auto found = std::find_if(std::begin(table), std::end(table),
                                    [&](const PassedOver& one) { return one.option == option; });
    return found == std::end(table) ? nullptr : &*found;
}

constexpr PassedOver kUserspace{"x-"};

}  // namespace

const PassedOver* find_passed_over(std::string_view option, Dialect dialect) {
    // Comments of fstab by convention.
    if (option.starts_with("x-") || option.starts_with("X-")) return &kUserspace;
    if (const auto* found = find_in(kEverywhere, option)) return found;
    if (dialect == Dialect::mount) return find_in(kOfMount, option);
    if (dialect == Dialect::squashfuse) return find_in(kOfSquashfuse, option);
    return nullptr;
}

}  // namespace squenv::cli
