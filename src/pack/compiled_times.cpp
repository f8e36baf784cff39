// SPDX-License-Identifier: MIT
#include "pack/compiled_times.h"

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/little_endian.h"
#include "pack/inode_table.h"

namespace squenv::pack {

namespace {

/// A compiled module begins with a magic number, flags, and without flags the time and the size of
/// its source, each in four bytes (PEP 552, Python 3.7 and later).
constexpr std::size_t kFlagsAt = 4;
constexpr std::size_t kTimeAt = 8;
constexpr std::size_t kSizeAt = 12;
constexpr std::size_t kHeaderSize = 16;

constexpr std::string_view kSuffix = ".pyc";

/// The last part of `name` from a dot on, which `name` loses; empty without a dot.
std::string_view take_part(std::string_view& name) {
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos) return {};
    const std::string_view part = name.substr(dot);
    name = name.substr(0, dot);
    return part;
}

/// The source of a compiled module: "m.py" beside "__pycache__" for "m.cpython-311.pyc" and
/// "m.cpython-311.opt-1.pyc" in it. kNoEntry when there is none.
EntryId source_of(const Tree& tree, EntryId compiled) {
    const Node& node = tree.at(compiled);
    std::string_view name = node.name_view();
    if (!name.ends_with(kSuffix) || node.parent == kNoEntry) return kNoEntry;
    const Node& cache = tree.at(node.parent);
    if (cache.name_view() != "__pycache__" || cache.parent == kNoEntry) return kNoEntry;
    name.remove_suffix(kSuffix.size());
    std::string_view tag = take_part(name);
    if (tag.starts_with(".opt-")) tag = take_part(name);
    if (tag.empty()) return kNoEntry;
    const EntryId found = tree.child_of(cache.parent, std::string(name) + ".py");
    if (found == kNoEntry) return kNoEntry;
    const EntryId source = tree.inode_of(found);
    return tree.at(source).type == format::InodeType::file ? source : kNoEntry;
}

class RetimedReader final : public FileReader {
  public:
    RetimedReader(std::unique_ptr<FileReader> inner, const Tree& tree, const Options& options)
        : inner_(std::move(inner)), tree_(tree), options_(options) {}

    Status read(EntryId node, std::uint64_t offset, MutableBytes out) override {
        SQUENV_TRY(inner_->read(node, offset, out));
        // Pieces of files are larger than the header, and the first one begins with it.
        if (offset == 0 && out.size() >= kHeaderSize) fit_time(node, out);
        return {};
    }
    Result<std::uint64_t> next_data(EntryId node, std::uint64_t offset) override {
        return inner_->next_data(node, offset);
    }

  private:
    void fit_time(EntryId id, MutableBytes bytes) const {
        const EntryId source_id = source_of(tree_, id);
        if (source_id == kNoEntry) return;
        const auto word = [bytes](std::size_t at) {
            return load<Le32>(ByteView(bytes).subspan(at)).get();
        };
        const Node& source = tree_.at(source_id);
        bool is_clamped = false;
        const std::uint32_t packed = mtime_of(source, options_, is_clamped);
        const auto real = static_cast<std::uint32_t>(source.mtime_seconds);
        // With flags it is compared by a hash, or not at all.
        if (packed == real || word(kFlagsAt) != 0) return;
        const auto size = static_cast<std::uint32_t>(source.size_bytes);
        std::uint32_t time = packed;
        if (word(kTimeAt) != real || word(kSizeAt) != size) {
            // It belongs to another state of the source, and must not begin to fit by chance.
            if (word(kTimeAt) != packed) return;
            time = packed + 1;
        }
        const Le32 stored(time);
        std::memcpy(bytes.data() + kTimeAt, &stored, sizeof stored);
    }

    const std::unique_ptr<FileReader> inner_;
    const Tree& tree_;
    const Options& options_;
};

}  // namespace

std::unique_ptr<FileReader> RetimedSource::open_reader(const Tree& tree) const {
    return std::make_unique<RetimedReader>(inner_.open_reader(tree), tree, options_);
}

}  // namespace squenv::pack
