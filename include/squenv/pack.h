// SPDX-License-Identifier: MIT
// Packing a tree into a squashfs image: what to pack, how, and what came of it. The functions that
// do it return values that say what failed; nothing here prints, and nothing is read from the
// environment.
#pragma once

#include <squenv/creation.h>
#include <squenv/error.h>
#include <squenv/touch.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace squenv::pack {

/// How blocks are compressed. `none` stores them as they are.
enum class Codec { none, gzip, lzo, xz, lz4, zstd };

/// Whose files the image says they are.
struct Ownership {
    enum class Kind { keep, fixed };
    Kind kind = Kind::keep;
    std::uint32_t uid = 0;  ///< `fixed` only
    std::uint32_t gid = 0;
};

/// How far packing has come. Handed to Options::progress from one thread at a time.
struct Progress {
    std::uint64_t files_done = 0;
    std::uint64_t files_total = 0;
    std::uint64_t bytes_done = 0;   ///< of the source
    std::uint64_t bytes_total = 0;  ///< of the source
    std::uint64_t bytes_written = 0;
};

struct Report;

/// The passes an image is made in, one after the other.
enum class Pass {
    scan,    ///< the source is listed
    order,   ///< the files get their order
    store,   ///< contents are read, compared, compressed and written
    tables,  ///< metadata and appendix are written
    sync,    ///< everything is on the disk, the superblock last
    verify,  ///< the image was read back and compared, when that was asked for
};

/// A pass that is done.
struct PassDone {
    Pass pass = Pass::scan;
    double seconds = 0;    ///< it took, on the clock
    const Report& report;  ///< what is known until now; valid during the call
};

/// What the image records of the tree for its mounts. Empty strings are facts that do not apply.
struct Manifest {
    std::string mount_point;     ///< where the image wants to be mounted
    std::string python_version;  ///< of the environment
    std::string python_home;     ///< directory of the base interpreter
    bool is_relocatable = false;
    Creation creation{};  ///< what the tree was created from
};

struct Options {
    Codec codec = Codec::zstd;
    std::optional<int> level;  ///< the codec's preset when not set (zstd: 3)
    /// Bytes; a power of two from 4096 to 1048576. 256 KiB makes an environment 4 % smaller than
    /// 128 KiB and its first import no slower (measured through squenv's mount).
    std::uint32_t block_size = 262144;
    bool has_fragments = true;  ///< small files share blocks
    bool has_duplicates_removed = true;

    unsigned jobs = 0;     ///< threads that compress; 0: as many as this process may use
    unsigned readers = 0;  ///< threads that read; 0: a few, enough for a local disk
    /// For file data under way; metadata comes on top. 0: what the threads need, 12 MiB for two.
    std::uint64_t memory_bytes = 0;

    Ownership owner;
    /// Every file's, seconds since 1970. Compiled Python modules hold the time of their source;
    /// where this or the next one changes that, it is changed in them as well.
    std::optional<std::uint32_t> mtime;
    /// Newer times are lowered to this, and the image says it was made then (SOURCE_DATE_EPOCH).
    std::optional<std::uint32_t> newest_mtime;

    std::vector<std::string> exclude;  ///< patterns as in a .gitignore file, in order
    bool stays_on_file_system = false;
    bool ignores_unreadable = false;  ///< leave such files out instead of failing
    bool is_strict = false;           ///< refuse to lose extended attributes
    /// The new image keeps mode, group and ACL of the old one.
    bool replaces_output = false;
    bool has_appendix = true;  ///< manifest and digests follow the image
    Manifest manifest;

    /// In the order in which it is needed: files with ranges here are stored first and in this
    /// order, the tables of these directories lie together, and the list is recorded in the image,
    /// so that a mount can be ahead of the program. What the tree has not got is left out.
    std::vector<Touch> hot;

    /// Set from any thread or a signal handler to stop; the temporary file is removed.
    const std::atomic<bool>* cancel = nullptr;
    std::function<void(const Progress&)> progress;
    std::function<void(const PassDone&)> pass_done;  ///< called by the thread that packs
};

/// A file that could not be packed, or that was packed with less than it has.
struct Finding {
    std::string path;  ///< relative to the tree
    std::string reason;
    Errc code = Errc::busy;  ///< corrupt: what is packed is an image, and this is damaged in it
};

struct Report {
    std::uint64_t entries = 0;  ///< names found in the source, and its root
    std::uint64_t inodes = 0;   ///< in the image
    std::uint64_t files = 0;    ///< regular ones, links to the same inode counted once
    std::uint64_t directories = 0;
    std::uint64_t source_bytes = 0;     ///< of regular files
    std::uint64_t image_bytes = 0;      ///< size of the output file
    std::uint64_t duplicate_files = 0;  ///< stored once already
    std::uint64_t duplicate_bytes = 0;
    std::uint64_t blocks = 0;           ///< stored, of file data
    std::uint64_t fragment_blocks = 0;  ///< those of them that hold several small files
    std::uint64_t raw_blocks = 0;       ///< those that compression does not make smaller
    std::uint64_t block_bytes = 0;      ///< of all of them, as stored
    std::uint64_t metadata_bytes = 0;   ///< everything else in the image
    std::uint64_t hot_files = 0;        ///< stored first
    std::uint64_t lost_xattrs = 0;      ///< attributes that squashfs cannot hold
    std::string lost_xattr_example;     ///< name of one of them
    std::uint64_t clamped_mtimes = 0;   ///< outside 1970..2106, or newer than newest_mtime
    /// What the image could not keep of the access rights of the file that it replaces, as one
    /// line, or "". Fewer may read it then.
    std::string access_note;
    std::vector<Finding> left_out;  ///< with ignores_unreadable, or named by the error
};

/// What came of it: a report, or an error and the files it is about.
struct Outcome {
    std::optional<Error> error;
    std::vector<Finding> findings;  ///< with an error: every file that could not be packed
    Report report;                  ///< without one
};

/// Packs the directory into a new image at `image`, or where that leads as a symbolic link. Without
/// success no file of that name is made or changed. Thread-safe; uses up to Options::jobs +
/// Options::readers threads of its own meanwhile, fewer where the system refuses them.
/// Errors: invalid_argument (options), not_found, denied, exists, limit (disk full, limits of the
/// format), unsupported, io, cancelled; busy when files could not be read or changed.
[[nodiscard]] Outcome pack_tree(const std::string& directory, const std::string& image,
                                const Options& options = {});

}  // namespace squenv::pack
