// SPDX-License-Identifier: MIT
// A tree of the cache is what its image says, whatever happens to the files of both.
#include "cache/tree_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "support/file_times.h"
#include "support/memory_source.h"
#include "support/reading.h"

namespace squenv::test {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kStranger = 54321;

class TreeCache : public testing::Test {
  protected:
    TreeCache() {
        std::string name = testing::TempDir() + "squenv-trees-XXXXXX";
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        base_ = fs::canonical(name);
        ::setenv("SQUENV_CACHE", (base_ / "cache").c_str(), 1);
        ::unsetenv("SQUENV_CACHE_SIZE");
    }
    ~TreeCache() override {
        EXPECT_TRUE(cache::remove_unused_trees());
        if (fs::exists(base_ / "cache")) {
            EXPECT_TRUE(fs::is_empty(base_ / "cache"));
        }
        fs::remove_all(base_);
        ::unsetenv("SQUENV_CACHE");
        ::unsetenv("SQUENV_CACHE_SIZE");
    }

    static BuiltImage built(const std::string& content) {
        ImageBuilder builder;
        builder.root().mode = 0755;
        builder.directory("d").mode = 0755;
        builder.file("d/f", content);
        builder.file("other", "the same");
        return builder.build();
    }
    /// An image file that we alone can change.
    std::string write_image(const std::string& name, const std::string& content) const {
        const auto image = built(content);
        const std::string path = (base_ / name).string();
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(image.bytes.data()),
                   static_cast<std::streamsize>(image.bytes.size()));
        EXPECT_EQ(::chmod(path.c_str(), 0644), 0);
        return path;
    }
    static std::unique_ptr<image::Image> open(const std::string& path) {
        auto image = image::Image::open(path);
        EXPECT_TRUE(image) << image.error().message();
        return std::move(image.value());
    }
    static cache::CachedTree obtain(const std::string& path) {
        auto tree = cache::obtain_tree(path, *open(path));
        EXPECT_TRUE(tree) << tree.error().message();
        return std::move(tree.value());
    }
    static std::string text(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    static void allow_changes(const fs::path& directory) {
        fs::permissions(directory, fs::perms::owner_all, fs::perm_options::add);
    }
    [[nodiscard]] std::size_t objects_in_cache() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(base_ / "cache"), fs::directory_iterator()));
    }

    fs::path base_;
};

TEST_F(TreeCache, IsUnpackedOnceAndNotWritable) {
    const auto image = write_image("image", "content");
    {
        const auto tree = obtain(image);
        EXPECT_TRUE(tree.is_new);
        EXPECT_EQ(text(fs::path(tree.path) / "d/f"), "content");
        struct stat info {};
        ASSERT_EQ(::stat(tree.path.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0222, 0U);
    }
    EXPECT_FALSE(obtain(image).is_new);
    const auto copy = write_image("copy", "content");
    EXPECT_FALSE(obtain(copy).is_new) << "copies share a tree";
    EXPECT_EQ(cache::list_trees()->size(), 1U);
}

TEST_F(TreeCache, IsLockedForCleanersWhileItIsUsed) {
    const auto image = write_image("image", "content");
    auto tree = obtain(image);
    // As systemd-tmpfiles asks before it goes into a directory.
    const int fd = ::open(tree.entry.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_NE(::flock(fd, LOCK_EX | LOCK_NB), 0);
    EXPECT_EQ(errno, EWOULDBLOCK);
    EXPECT_TRUE(cache::list_trees()->front().is_used);
    EXPECT_TRUE(cache::remove_unused_trees()->empty());
    EXPECT_TRUE(fs::exists(tree.path));
    tree.lock.reset();
    EXPECT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
    ::close(fd);
    EXPECT_EQ(cache::remove_unused_trees()->size(), 1U);
}

enum class Damage { deleted, changed, added, chmod, no_record, half_record };
class DamagedTree : public TreeCache, public testing::WithParamInterface<Damage> {
  protected:
    static void damage(const cache::CachedTree& tree) {
        const fs::path directory = fs::path(tree.path) / "d";
        let_time_pass();
        allow_changes(directory);
        switch (GetParam()) {
            case Damage::deleted: fs::remove(directory / "f"); break;
            case Damage::changed: {
                allow_changes(directory / "f");
                struct stat before {};
                ASSERT_EQ(::stat((directory / "f").c_str(), &before), 0);
                std::ofstream(directory / "f") << "CONTENT";
                const timespec times[2] = {before.st_atim, before.st_mtim};
                ASSERT_EQ(::utimensat(AT_FDCWD, (directory / "f").c_str(), times, 0), 0);
                break;
            }
            case Damage::added: std::ofstream(directory / "injected") << "x"; break;
            case Damage::chmod: break;  // that was it
            case Damage::no_record: fs::remove(fs::path(tree.entry) / "record"); break;
            case Damage::half_record: std::ofstream(fs::path(tree.entry) / "record") << "12"; break;
        }
    }
};
TEST_P(DamagedTree, IsUnpackedAnew) {
    const auto image = write_image("image", "content");
    damage(obtain(image));
    const auto again = obtain(image);
    EXPECT_TRUE(again.is_new);
    EXPECT_EQ(text(fs::path(again.path) / "d/f"), "content");
    EXPECT_FALSE(fs::exists(fs::path(again.path) / "d/injected"));
    EXPECT_FALSE(obtain(image).is_new);
    EXPECT_EQ(cache::list_trees()->size(), 1U);
}
TEST_P(DamagedTree, IsReplacedUnderThoseWhoUseIt) {
    const auto image = write_image("image", "content");
    auto used = obtain(image);
    damage(used);
    auto again = obtain(image);
    EXPECT_TRUE(again.is_new);
    EXPECT_EQ(again.path, used.path);
    EXPECT_EQ(text(fs::path(again.path) / "d/f"), "content");
    // Who has the old one open keeps it.
    EXPECT_FALSE(fs::is_empty("/proc/self/fd/" + std::to_string(used.lock.get())));
    again.lock.reset();
    EXPECT_EQ(cache::remove_unused_trees()->size(), 1U) << "of the new one";
    EXPECT_EQ(objects_in_cache(), 1U) << "the old one";
    used.lock.reset();
}
INSTANTIATE_TEST_SUITE_P(Damages, DamagedTree,
                         testing::Values(Damage::deleted, Damage::changed, Damage::added,
                                         Damage::chmod, Damage::no_record, Damage::half_record));

TEST_F(TreeCache, WithoutItsRecordIsListedCountedAndRemoved) {
    const auto image = write_image("image", std::string(1 << 20, 'x'));
    fs::remove(fs::path(obtain(image).entry) / "record");
    const auto entries = cache::list_trees();
    ASSERT_TRUE(entries);
    ASSERT_EQ(entries->size(), 1U);
    EXPECT_EQ(entries->front().image, "");
    EXPECT_GE(entries->front().size_bytes, 1U << 20);
    // The other image needs the room.
    ::setenv("SQUENV_CACHE_SIZE", "1100K", 1);
    const auto other = write_image("other", std::string(1 << 20, 'y'));
    EXPECT_TRUE(obtain(other).is_new);
    EXPECT_EQ(cache::list_trees()->size(), 1U);
    EXPECT_EQ(cache::remove_unused_trees()->size(), 1U);
}

TEST_F(TreeCache, HasTheNameOfTheFileThatIsOpen) {
    const auto good = write_image("good", "GOOD");
    const auto path = write_image("path", "EVIL");
    const auto opened = open(path);
    fs::copy_file(good, base_ / "fresh");
    fs::rename(base_ / "fresh", path);
    const auto evil = cache::obtain_tree(path, *opened);
    ASSERT_TRUE(evil) << evil.error().message();
    EXPECT_EQ(text(fs::path(evil->path) / "d/f"), "EVIL");
    const auto tree = obtain(good);
    EXPECT_NE(tree.path, evil->path);
    EXPECT_EQ(text(fs::path(tree.path) / "d/f"), "GOOD");
}

TEST_F(TreeCache, IsAnotherOneWhenTheImageIsRewrittenWithItsOldTime) {
    const auto image = write_image("image", "before");
    EXPECT_TRUE(obtain(image).is_new);
    struct stat info {};
    ASSERT_EQ(::stat(image.c_str(), &info), 0);
    const auto inode = info.st_ino;
    write_image("image", "behind");
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, image.c_str(), times, 0), 0);
    ASSERT_EQ(::stat(image.c_str(), &info), 0);
    ASSERT_EQ(info.st_ino, inode);
    const auto tree = obtain(image);
    EXPECT_EQ(text(fs::path(tree.path) / "d/f"), "behind");
}

TEST_F(TreeCache, OfAFileThatOthersCanChangeIsNotThatOfItsCopies) {
    const auto ours = write_image("ours", "content");
    const auto theirs = write_image("theirs", "content");
    ASSERT_EQ(::chmod(theirs.c_str(), 0664), 0);
    const auto tree = obtain(ours);
    const auto other = obtain(theirs);
    EXPECT_TRUE(other.is_new);
    EXPECT_TRUE(other.entry.starts_with(tree.entry + '-')) << other.entry;
    EXPECT_FALSE(obtain(theirs).is_new);
    if (::geteuid() != 0) return;
    ASSERT_EQ(::chmod(theirs.c_str(), 0644), 0);
    ASSERT_EQ(::chown(theirs.c_str(), kStranger, kStranger), 0);
    EXPECT_NE(obtain(theirs).entry, tree.entry);
    ASSERT_EQ(::chown(theirs.c_str(), 0, 0), 0);
    EXPECT_EQ(obtain(theirs).entry, tree.entry);
}

/// The file of an image that changes once it is read from.
class ChangingSource final : public image::ByteSource {
  public:
    explicit ChangingSource(const BuiltImage& built) : source_(built.bytes) {}
    [[nodiscard]] Status read_exact(std::uint64_t position, MutableBytes out) const override {
        return source_.read_exact(position, out);
    }
    [[nodiscard]] std::uint64_t size_bytes() const override { return source_.size_bytes(); }
    [[nodiscard]] bool has_changed() const override { return true; }
    [[nodiscard]] image::SourceCounters counters() const override { return source_.counters(); }

  private:
    MemorySource source_;
};

TEST_F(TreeCache, OfAnImageThatChangesIsThrownAway) {
    const auto image =
        image::Image::open(std::unique_ptr<image::ByteSource>(new ChangingSource(built("x"))), {});
    ASSERT_TRUE(image) << image.error().message();
    const auto tree = cache::obtain_tree("image", **image);
    ASSERT_FALSE(tree);
    EXPECT_EQ(tree.error().code, Errc::busy);
    EXPECT_NE(tree.error().context.find("was changed"), std::string::npos);
    EXPECT_EQ(objects_in_cache(), 0U);
}

TEST_F(TreeCache, HasASizeThatIsReadBeforeAnything) {
    const auto image = write_image("image", "content");
    EXPECT_TRUE(obtain(image).is_new);
    ::setenv("SQUENV_CACHE_SIZE", "foo", 1);
    const auto tree = cache::obtain_tree(image, *open(image));
    ASSERT_FALSE(tree);
    EXPECT_NE(tree.error().context.find("SQUENV_CACHE_SIZE"), std::string::npos);
}

TEST_F(TreeCache, LeavesWhatIsNotItsOwn) {
    EXPECT_TRUE(obtain(write_image("image", "content")).is_new);
    const std::string digest(64, 'a');
    for (const char* name : {"mine", "mine.lock", "mine.partial-123456", "notes.digest.txt"})
        fs::create_directories(base_ / "cache" / name / "content");
    fs::create_directories(base_ / "cache" / (digest + ".partial-123456") / "tree/d");
    std::ofstream(base_ / "cache" / (digest + ".lock")) << "";
    EXPECT_EQ(cache::remove_unused_trees()->size(), 1U);
    EXPECT_EQ(objects_in_cache(), 4U);
    for (const char* name : {"mine", "mine.lock", "mine.partial-123456", "notes.digest.txt"})
        fs::remove_all(base_ / "cache" / name);
}

}  // namespace
}  // namespace squenv::test
