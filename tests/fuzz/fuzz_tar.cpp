// SPDX-License-Identifier: MIT
// Any bytes as a tar archive, compressed or not. The tree is one that an image can hold, stays
// inside its root, and every file can be read to its end.
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/file_io.h"
#include "base/unique_fd.h"
#include "format/bounds.h"
#include "format/directory.h"
#include "pack/tar_source.h"
#include "tar_archive.h"
#include "target.h"

namespace squenv::fuzz {
namespace {

using format::InodeType;

/// Compressed bytes can become twenty thousand times as many; what one input takes is bounded by
/// its length.
constexpr std::size_t kMaxInput = 16U << 10;
/// Of the spool, and so of what an archive can say that its files have.
constexpr rlim_t kMaxSpool = 32U << 20;
/// Read of one tree: files of zeros are long.
constexpr std::uint64_t kMaxRead = 4U << 20;
constexpr std::size_t kPiece = 64U << 10;

/// Done once, for the whole process: no input fills the disk, and none starts the programs by which
/// libarchive decompresses what it cannot itself.
bool limit_process() {
    const rlimit size{kMaxSpool, kMaxSpool};
    ::setrlimit(RLIMIT_FSIZE, &size);
    std::signal(SIGXFSZ, SIG_IGN);
    ::setenv("PATH", "/nonexistent", 1);
    return true;
}

UniqueFd file_of(ByteView bytes) {
    UniqueFd file(::memfd_create("archive", MFD_CLOEXEC));
    require(file && write_all(file.get(), bytes), "a file in memory can be made");
    return file;
}

void require_refusal(const Error& error) {
    // The end of the spool, see kMaxSpool.
    if (error.code == Errc::io && error.sys_errno == EFBIG) return;
    require_code(error, {Errc::corrupt, Errc::unsupported, Errc::limit, Errc::invalid_argument});
}

void check_attributes(const pack::Node& node, const pack::XattrSets& xattrs) {
    constexpr std::uint32_t kMaxId = std::numeric_limits<std::uint32_t>::max() - 1;
    require((node.mode & ~07777) == 0, "a mode is permissions only");
    require(node.uid <= kMaxId && node.gid <= kMaxId, "an owner is one that Linux knows");
    require(node.xattrs == pack::kNoXattrs || node.xattrs < xattrs.size(),
            "the attributes of an entry are there");
    if (node.type == InodeType::file)
        require(node.size_bytes <= format::kMaxFileSize, "a file has a size that a file can have");
    if (node.type == InodeType::symlink)
        require(node.target != nullptr && node.size_bytes > 0 &&
                    node.size_bytes <= format::kMaxSymlinkTarget,
                "a symlink leads somewhere");
}

void check_children(const pack::Tree& tree, pack::EntryId id) {
    const pack::Node& directory = tree.at(id);
    if (directory.child_count == 0) return;
    require(directory.type == InodeType::directory, "only a directory has something in it");
    require(directory.first_child > id && directory.first_child < tree.nodes.size() &&
                directory.child_count <= tree.nodes.size() - directory.first_child,
            "what is in a directory is there");
    std::string_view before;
    for (std::uint32_t i = 0; i < directory.child_count; ++i) {
        const pack::Node& child = tree.at(directory.first_child + i);
        require(child.parent == id, "what is in a directory knows it");
        require(before < child.name_view(), "names are sorted, each is there once");
        before = child.name_view();
    }
}

void check_tree(const pack::Scanned& scanned) {
    const pack::Tree& tree = scanned.tree;
    require(!tree.nodes.empty() && tree.at(pack::kRootEntry).type == InodeType::directory,
            "the root is a directory");
    for (pack::EntryId id = 0; id < tree.nodes.size(); ++id) {
        const pack::Node& node = tree.at(id);
        require(id == pack::kRootEntry || format::check_name(node.name_view()).has_value(),
                "a name is one that a directory can hold");
        check_attributes(node, scanned.xattrs);
        check_children(tree, id);
    }
}

void check_contents(const pack::Source& source, const pack::Tree& tree) {
    const auto reader = source.open_reader(tree);
    std::uint64_t left = kMaxRead;
    ByteVector piece(kPiece);
    for (pack::EntryId id = 0; id < tree.nodes.size(); ++id) {
        const pack::Node& node = tree.at(id);
        if (node.type != InodeType::file || node.is_left_out) continue;
        const auto data = reader->next_data(id, 0);
        require(data && *data <= node.size_bytes, "data begins inside the file");
        for (std::uint64_t offset = 0; offset < node.size_bytes && left > 0;) {
            const std::uint64_t size =
                std::min({std::uint64_t{kPiece}, node.size_bytes - offset, left});
            require(reader->read(id, offset, MutableBytes(piece).first(size)).has_value(),
                    "a file can be read as far as its size says");
            offset += size;
            left -= size;
        }
        if (node.size_bytes != 0)
            require(reader->read(id, node.size_bytes - 1, MutableBytes(piece).first(1)).has_value(),
                    "the last byte of a file is there");
    }
}

/// Whether `bytes` are an archive that is taken.
bool check_archive(ByteView bytes) {
    static const bool is_limited = limit_process();
    static const std::string spool_directory = std::filesystem::temp_directory_path().string();
    (void)is_limited;
    const UniqueFd file = file_of(bytes);
    pack::Options options;
    options.exclude = {"*.pyc"};
    const auto source = pack::open_tar_source(fmt::format("/proc/self/fd/{}", file.get()),
                                              spool_directory, options);
    if (!source) {
        require_refusal(source.error());
        return false;
    }
    const auto scanned = (*source)->scan();
    if (!scanned) {
        require_refusal(scanned.error());
        return false;
    }
    check_tree(*scanned);
    check_contents(**source, scanned->tree);
    return true;
}

std::vector<std::string> archives() {
    const std::string long_name = std::string(90, 'd') + '/' + std::string(90, 'f');
    return {
        tar_archive({}),
        tar_archive({{"./", '5'},
                     {"lib/", '5'},
                     {"lib/os.py", '0', "import sys\n"},
                     {"lib/os.pyc", '0', "left out"},
                     {"lib64", '2', "", "lib"},
                     {"lib/again.py", '1', "", "lib/os.py"},
                     {"null", '3'},
                     {"pipe", '6'}}),
        tar_archive({pax_header({{"path", long_name}, {"SCHILY.xattr.user.origin", "here"}}),
                     {"short", '0', std::string(700, 'x')}}),
        tar_archive({{"././@LongLink", 'L', long_name + '\0'}, {"short", '0', "content"}}),
        sparse_archive("holes", std::string(512, 'x'), 4096, 1U << 20),
    };
}

}  // namespace

std::vector<ByteVector> seeds() {
    std::vector<ByteVector> all;
    for (const std::string& archive : archives()) {
        all.push_back(bytes_of(archive));
        // The first one has no files, which is refused.
        require(check_archive(all.back()) == (all.size() > 1), "a valid archive is taken");
    }
    return all;
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squenv::fuzz;
    if (size > kMaxInput) return 0;
    (void)check_archive(view(data, size));
    return 0;
}
