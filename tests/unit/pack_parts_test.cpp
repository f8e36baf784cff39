// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <new>
#include <random>
#include <thread>

#include "base/little_endian.h"
#include "base/output_path.h"
#include "base/sanitizers.h"
#include "pack/block_pipeline.h"
#include "pack/content_hash.h"
#include "pack/directory_table.h"
#include "pack/duplicates.h"
#include "pack/file_kind.h"
#include "pack/image_writer.h"
#include "pack/inode_table.h"
#include "pack/order.h"
#include "pack/spool.h"
#include "pack/tree_builder.h"
#include "pack/xattr_table.h"

namespace squenv::pack {
namespace {

using format::InodeType;
namespace fs = std::filesystem;

class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string name = (fs::temp_directory_path() / "squenv-unit-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TemporaryDirectory() { fs::remove_all(path_); }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return (path_ / name).string();
    }
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

  private:
    fs::path path_;
};

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Tree tree_of(const std::vector<std::string>& files) {
    TreeBuilder builder;
    for (const auto& path : files) (*builder.at(path))->type = InodeType::file;
    return builder.build();
}

std::vector<std::string> ordered(const Tree& tree) {
    std::vector<std::string> paths;
    for (const EntryId id : order_files(tree, {})) paths.push_back(tree.path_of(id));
    return paths;
}

TEST(FileKind, IsToldByTheName) {
    for (const auto& [name, kind] : std::initializer_list<std::pair<const char*, FileKind>>{
             {"a.cpython-311.pyc", FileKind::compiled_module},
             {"_a.cpython-311-x86_64-linux-gnu.so", FileKind::shared_object},
             {"libz.so.1.2", FileKind::shared_object},
             {"a.py", FileKind::source},
             {"a.pyi", FileKind::source},
             {".py", FileKind::other},
             {"a.sort", FileKind::other},
             {"METADATA", FileKind::other}})
        EXPECT_EQ(kind_of(name), kind) << name;
}

TEST(Order, KeepsDirectoriesTogetherByKind) {
    const Tree tree = tree_of({"lib/b/__init__.py", "lib/b/__pycache__/x.pyc", "lib/a/z.py",
                               "lib/a/__pycache__/z.pyc", "lib/a/fast.so", "lib/a/data.txt",
                               "lib/a/readme.md", "bin/run", "lib/a/libz.so.1"});
    const std::vector<std::string> expected{
        "lib/a/__pycache__/z.pyc",
        "lib/b/__pycache__/x.pyc",
        "lib/a/libz.so.1",
        "lib/a/fast.so",
        "lib/a/z.py",
        "lib/b/__init__.py",
        "bin/run",
        "lib/a/readme.md",
        "lib/a/data.txt",
    };
    EXPECT_EQ(ordered(tree), expected);
}

TEST(Order, DoesNotDependOnTheOrderOfDiscovery) {
    std::vector<std::string> paths;
    for (int i = 0; i < 200; ++i)
        paths.push_back("d" + std::to_string(i % 7) + "/f" + std::to_string(i * 37 % 200) +
                        (i % 3 == 0 ? ".py" : ".txt"));
    const auto expected = ordered(tree_of(paths));
    std::mt19937 random(3);
    for (int round = 0; round < 5; ++round) {
        std::shuffle(paths.begin(), paths.end(), random);
        EXPECT_EQ(ordered(tree_of(paths)), expected);
    }
}

TEST(Order, TheFirstNameOfAnInodeStandsForIt) {
    TreeBuilder builder;
    for (const char* path : {"z/link", "a/link", "m"}) {
        Node* node = *builder.at(path);
        node->type = InodeType::file;
        node->source_inode = 5;
        node->is_hard_linked = true;
    }
    Tree tree = builder.build();
    resolve_hard_links(tree);
    ASSERT_EQ(order_files(tree, {}).size(), 1U);
    Tree copy = std::move(tree);
    EXPECT_EQ(copy.path_of(order_files(copy, {})[0]), "m");
    EXPECT_EQ(number_inodes(copy), 4U);  // root, a, z and the file
}

TEST(TreeBuilder, RefusesNamesThatLeaveTheTree) {
    TreeBuilder builder;
    EXPECT_FALSE(builder.at("a/../b"));
    EXPECT_FALSE(builder.at(".."));
    EXPECT_FALSE(builder.at(std::string(256, 'x')));
    EXPECT_FALSE(builder.at(std::string_view("a\0b", 3)));
    EXPECT_TRUE(builder.at("./a//b/"));
    ASSERT_NE(builder.find("a/b"), nullptr);
    (*builder.at("file"))->type = InodeType::file;
    EXPECT_FALSE(builder.at("file/inside"));
}

TEST(TreeBuilder, NamesAndSortsWhatItBuilds) {
    TreeBuilder builder;
    // What a caller fills in says nothing of its name, and a file takes the place of a directory.
    Node file;
    file.type = InodeType::file;
    for (const char* path : {"b/z", "b/a", "gone/inside", "a/x/y", "gone"})
        **builder.at(path) = file;
    (*builder.at("a/x"))->mode = 0711;
    const Tree tree = builder.build();
    std::vector<std::string> paths;
    for (EntryId id = 0; id < tree.nodes.size(); ++id) paths.push_back(tree.path_of(id));
    const std::vector<std::string> expected{".", "a", "b", "gone", "a/x", "b/a", "b/z", "a/x/y"};
    EXPECT_EQ(paths, expected);
    EXPECT_EQ(tree.at(tree.find("a")).mode, 0755);
    EXPECT_EQ(tree.at(tree.find("a/x")).mode, 0711);
    EXPECT_EQ(builder.find("a"), nullptr);
}

TEST(TreeBuilder, FindsDirectoriesThatWereNotAdded) {
    TreeBuilder builder;
    ASSERT_TRUE(builder.at("a/b/c"));
    ASSERT_NE(builder.find("a/b"), nullptr);
    EXPECT_EQ(builder.find("a/b")->type, InodeType::directory);
    EXPECT_EQ(builder.find("a/c"), nullptr);
    EXPECT_EQ(builder.find("b"), nullptr);
    // The index grows many times; what was in it stays found.
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(builder.at("many/" + std::to_string(i)));
    for (int i = 0; i < 5000; ++i) EXPECT_NE(builder.find("many/" + std::to_string(i)), nullptr);
    EXPECT_NE(builder.find("a/b/c"), nullptr);
}

/// Two files in a spool: one with holes everywhere but at 10..15 and 20, and one without a byte.
class SpoolOfTwo : public ::testing::Test {
  protected:
    SpoolOfTwo() : spool_(*Spool::open(directory_ / "")) {
        TreeBuilder builder;
        for (const char* path : {"first", "second"}) {
            Node* node = *builder.at(path);
            node->type = InodeType::file;
            node->source_inode = path[0] == 'f' ? 3 : 8;
            node->size_bytes = path[0] == 'f' ? 100 : std::uint64_t{1} << 62;
        }
        tree_ = builder.build();
        spool_.begin(3);
        const std::vector<std::pair<std::uint64_t, const char*>> pieces{
            {10, "abc"}, {13, ""}, {13, "de"}, {20, "f"}};
        for (const auto& [offset, text] : pieces) EXPECT_TRUE(spool_.write(offset, as_bytes(text)));
        spool_.begin(8);
    }
    [[nodiscard]] std::string read(const char* name, std::uint64_t offset, std::size_t size) const {
        ByteVector bytes(size, std::byte{'?'});
        EXPECT_TRUE(spool_.open_reader(tree_)->read(tree_.find(name), offset, bytes));
        return std::string(as_text(bytes));
    }
    [[nodiscard]] std::uint64_t next_data(const char* name, std::uint64_t offset) const {
        return spool_.open_reader(tree_)->next_data(tree_.find(name), offset).value();
    }

    const TemporaryDirectory directory_;
    Spool spool_;
    Tree tree_;
};

TEST_F(SpoolOfTwo, ReadsEveryRange) {
    std::string whole(100, '\0');
    whole.replace(10, 5, "abcde");
    whole[20] = 'f';
    for (std::size_t begin = 0; begin < 40; ++begin)
        for (std::size_t end = begin; end <= 100; ++end)
            ASSERT_EQ(read("first", begin, end - begin), whole.substr(begin, end - begin));
    EXPECT_EQ(read("second", std::uint64_t{1} << 61, 3), std::string(3, '\0'));
}

TEST_F(SpoolOfTwo, KnowsWhereDataIs) {
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> cases{
        {0, 10}, {9, 10}, {10, 10}, {14, 14}, {15, 20}, {20, 20}, {21, 100}, {99, 100}};
    for (const auto& [offset, data] : cases) EXPECT_EQ(next_data("first", offset), data) << offset;
    EXPECT_EQ(next_data("second", 5), std::uint64_t{1} << 62);
}

/// Reads a file of a few bytes and holes as large as it says, and counts what it is asked for.
class CountingReader final : public FileReader {
  public:
    CountingReader(std::uint64_t at, bool tells_holes) : at_(at), tells_holes_(tells_holes) {}
    Status read(EntryId, std::uint64_t offset, MutableBytes out) override {
        std::fill(out.begin(), out.end(), std::byte{0});
        if (offset <= at_ && at_ < offset + out.size())
            out[static_cast<std::size_t>(at_ - offset)] = std::byte{1};
        ++reads_;
        return {};
    }
    Result<std::uint64_t> next_data(EntryId, std::uint64_t offset) override {
        if (!tells_holes_) return offset;
        return offset <= at_ ? at_ : ~std::uint64_t{0} >> 1U;
    }
    [[nodiscard]] int reads() const { return reads_; }

  private:
    const std::uint64_t at_;
    const bool tells_holes_;
    int reads_ = 0;
};

TEST(FileHasher, HolesCostNothingAndCountAsZeros) {
    const FileHasher hasher;
    const Options options;
    const auto hash = [&](CountingReader reader, std::uint64_t size) {
        return *hasher.of_file(reader, 0, size, options);
    };
    const std::uint64_t size = 20'000'001;
    for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{7'000'000}, size - 1})
        EXPECT_EQ(hash({at, true}, size), hash({at, false}, size)) << at;
    EXPECT_FALSE(hash({5, true}, size) == hash({6, true}, size));
    EXPECT_FALSE(hash({5, true}, size) == hash({(1U << 20) + 5, true}, size));
    CountingReader huge(std::uint64_t{1} << 50, true);
    ASSERT_TRUE(hasher.of_file(huge, 0, std::uint64_t{1} << 60, options));
    EXPECT_EQ(huge.reads(), 1);
}

TEST(FileHasher, StopsWhenItIsTold) {
    const std::atomic<bool> cancel{true};
    Options options;
    options.cancel = &cancel;
    CountingReader reader(0, false);
    const auto hash = FileHasher().of_file(reader, 0, std::uint64_t{1} << 60, options);
    ASSERT_FALSE(hash);
    EXPECT_EQ(hash.error().code, Errc::cancelled);
}

TEST(Duplicates, EqualHashAndSizeAreFound) {
    DuplicateIndex index(2);
    std::mt19937_64 random(1);
    std::vector<Hash128> hashes(5000);
    for (std::uint32_t i = 0; i < hashes.size(); ++i) {
        hashes[i] = {random() % 16, random()};  // crowded on purpose
        EXPECT_EQ(index.find_or_add(hashes[i], 7, i), kNoContent);
    }
    for (std::uint32_t i = 0; i < hashes.size(); ++i) {
        EXPECT_EQ(index.find_or_add(hashes[i], 7, 1), i);
    }
    EXPECT_EQ(index.find_or_add(hashes[0], 8, 9), kNoContent);
}

TEST(ContentHash, ZerosMayBeLeftOut) {
    const FileHasher hasher;
    ByteVector data(3 * 4096);
    data[0] = std::byte{1};
    data[9000] = std::byte{2};
    ContentHash whole(hasher, 4096);
    whole.add(0, data);
    ContentHash sparse(hasher, 4096);
    sparse.add(0, ByteView(data).first(4096));
    sparse.add(8192, ByteView(data).subspan(8192));
    EXPECT_EQ(whole.result(), sparse.result());
    ContentHash moved(hasher, 4096);
    moved.add(4096, ByteView(data).first(4096));
    moved.add(8192, ByteView(data).subspan(8192));
    EXPECT_FALSE(whole.result() == moved.result());
}

TEST(ImageWriter, HasNoMagicUntilItIsSealed) {
    const TemporaryDirectory directory;
    const std::string path = directory / "image";
    auto writer = ImageWriter::create(path, false);
    ASSERT_TRUE(writer) << writer.error().message();
    const ByteVector data(10'000'001, std::byte{7});
    ASSERT_TRUE(writer->append(data));
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(contents(writer->temporary_path())[0], '\0');
    ASSERT_TRUE(writer->align(4096));
    ASSERT_TRUE(writer->seal(as_bytes("hsqs")));
    EXPECT_FALSE(fs::exists(path));
    ASSERT_TRUE(writer->publish());
    EXPECT_TRUE(contents(path).starts_with("hsqs"));
    EXPECT_EQ(fs::file_size(path) % 4096, 0U);
    EXPECT_EQ(directory.count(), 1U);
}

TEST(ImageWriter, LeavesNothingBehindWhenAbandoned) {
    const TemporaryDirectory directory;
    {
        auto writer = ImageWriter::create(directory / "image", false);
        ASSERT_TRUE(writer);
        EXPECT_FALSE(fs::exists(directory / "image"));
        // Nothing to leave where there are files without names, else a file that is removed.
        EXPECT_LE(directory.count(), 1U);
        ASSERT_TRUE(writer->append(ByteVector(5'000'000)));
        EXPECT_EQ(contents(writer->temporary_path()).substr(0, 4), std::string(4, '\0'));
    }
    EXPECT_EQ(directory.count(), 0U);
}

TEST(ImageWriter, ReplacesWithTheAccessOfTheOldOne) {
    const TemporaryDirectory directory;
    const std::string path = directory / "image";
    std::ofstream(path) << "old";
    fs::permissions(path, fs::perms::owner_read | fs::perms::group_read);
    {
        auto writer = ImageWriter::create(path, true);
        ASSERT_TRUE(writer) << writer.error().message();
        ASSERT_TRUE(writer->seal(as_bytes("hsqs")));
        struct stat info {};
        ASSERT_EQ(::stat(writer->temporary_path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777U, 0600U) << "what is written meanwhile may be private";
        EXPECT_EQ(contents(path), "old");
        ASSERT_TRUE(writer->publish());
        EXPECT_EQ(writer->access_note(), "");
    }
    EXPECT_TRUE(contents(path).starts_with("hsqs"));
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::group_read);
    EXPECT_EQ(directory.count(), 1U);
}

TEST(ImageWriter, IsNewWhenTheOldOneIsGone) {
    const TemporaryDirectory directory;
    const std::string path = directory / "image";
    std::ofstream(path) << "old";
    fs::permissions(path, fs::perms::owner_read);
    auto writer = ImageWriter::create(path, true);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->seal(as_bytes("hsqs")));
    fs::remove(path);
    ASSERT_TRUE(writer->publish());
    std::ofstream(directory / "plain") << "x";
    EXPECT_EQ(fs::status(path).permissions(), fs::status(directory / "plain").permissions());
}

TEST(ImageWriter, SeveralCanBeOnTheirWayToOneName) {
    const TemporaryDirectory directory;
    const std::string path = directory / "image";
    std::vector<ImageWriter> writers;
    for (int i = 0; i < 3; ++i) {
        auto writer = ImageWriter::create(path, true);
        ASSERT_TRUE(writer) << writer.error().message();
        writers.push_back(std::move(*writer));
    }
    for (auto& writer : writers) {
        ASSERT_TRUE(writer.seal(as_bytes("hsqs")));
        ASSERT_TRUE(writer.publish());
    }
    writers.clear();
    EXPECT_EQ(directory.count(), 1U);
}

TEST(OutputPath, LeadsWhereItsLinksLead) {
    const TemporaryDirectory directory;
    fs::create_directory(directory / "sub");
    fs::create_symlink("../later", directory / "sub/up");
    fs::create_symlink("sub/up", directory / "link");
    fs::create_symlink("loop", directory / "loop");
    EXPECT_EQ(*follow_links(directory / "plain"), directory / "plain");
    EXPECT_EQ(*follow_links(directory / "sub"), directory / "sub");
    EXPECT_EQ(fs::path(*follow_links(directory / "link")).lexically_normal().string(),
              directory / "later");
    const auto loop = follow_links(directory / "loop");
    ASSERT_FALSE(loop);
    EXPECT_EQ(loop.error().sys_errno, ELOOP);
}

TEST(ImageWriter, DoesNotReplaceWhatAppearedMeanwhile) {
    const TemporaryDirectory directory;
    const std::string path = directory / "image";
    {
        auto writer = ImageWriter::create(path, false);
        ASSERT_TRUE(writer);
        std::ofstream(path) << "precious";
        ASSERT_TRUE(writer->seal(as_bytes("hsqs")));
        const auto status = writer->publish();
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code, Errc::exists);
    }
    EXPECT_EQ(contents(path), "precious");
    EXPECT_EQ(directory.count(), 1U);
}

TEST(BufferPool, WakesAThreadForSeveralBuffersAtOnce) {
    BufferPool pool(4, 16, 2);
    std::vector<BufferPool::Buffer> taken;
    for (int i = 0; i < 4; ++i) taken.push_back(pool.acquire());
    std::vector<BufferPool::Buffer> later;
    {
        const std::jthread waiting([&] {
            for (int i = 0; i < 2; ++i) later.push_back(pool.acquire());
        });
        taken.pop_back();
        taken.pop_back();
    }
    EXPECT_EQ(later.size(), 2U);
    const std::jthread closing([&] { pool.close(); });
    EXPECT_EQ(pool.acquire(), nullptr);
}

/// The number of threads; none, as where the system refuses them, means the caller's.
class BlockPipelineTest : public ::testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Threads, BlockPipelineTest, ::testing::Values(0U, 1U, 4U));

TEST_P(BlockPipelineTest, WritesInTheOrderOfSubmission) {
    const TemporaryDirectory directory;
    auto writer = ImageWriter::create(directory / "image", false);
    ASSERT_TRUE(writer);
    const auto compressor = codec::make_compressor(format::CompressorId::zstd, 1, 4096);
    ASSERT_TRUE(compressor);
    std::vector<WrittenBlock> written;
    PipelineSettings settings;
    settings.compressor = compressor->get();
    settings.threads = GetParam();
    settings.blocks_in_flight = 3;
    settings.block_size = 4096;
    settings.has_digests = true;
    BlockPipeline pipeline(settings, *writer,
                           [&](const WrittenBlock& block) { written.push_back(block); });
    std::mt19937 random(1);
    BufferPool buffers(2, 4096);
    for (std::uint64_t i = 0; i < 500; ++i) {
        auto buffer = buffers.acquire();
        const bool is_random = i % 3 == 0;
        for (std::size_t at = 0; at < 4096; ++at)
            buffer[static_cast<std::ptrdiff_t>(at)] =
                static_cast<std::byte>(is_random ? random() : i);
        BlockTarget target;
        target.word = i;
        ASSERT_TRUE(pipeline.submit({buffer.get(), 4096}, buffer, target));
    }
    ASSERT_TRUE(pipeline.finish());
    ASSERT_EQ(written.size(), 500U);
    std::uint64_t position = format::kSuperblockSize;
    for (std::uint64_t i = 0; i < 500; ++i) {
        EXPECT_EQ(written[i].target.word, i);
        EXPECT_EQ(written[i].position, position);
        EXPECT_EQ(written[i].stored.is_compressed, i % 3 != 0);
        position += written[i].stored.size_bytes;
    }
}

/// A thread that has no memory hands that to the caller, who must not wait for its block.
TEST_P(BlockPipelineTest, ThrowsWhatAThreadThrew) {
    const TemporaryDirectory directory;
    auto writer = ImageWriter::create(directory / "image", false);
    ASSERT_TRUE(writer);
    PipelineSettings settings;
    settings.threads = GetParam();
    settings.block_size = 4096;
    BlockPipeline pipeline(settings, *writer, [](const WrittenBlock& block) {
        if (block.target.word == 20) throw std::bad_alloc();
    });
    BufferPool buffers(2, 4096);
    const auto run = [&] {
        for (std::uint64_t i = 0; i < 100; ++i) {
            auto buffer = buffers.acquire();
            BlockTarget target;
            target.word = i;
            if (!pipeline.submit({buffer.get(), 4096}, buffer, target)) return;
        }
        (void)pipeline.finish();
    };
    EXPECT_THROW(run(), std::bad_alloc);
}

TEST(BufferPool, IsAsBeforeWhenABufferCannotBeMade) {
    if (SQUENV_HAS_SANITIZER) GTEST_SKIP() << "sanitizers end the process instead";
    BufferPool pool(1, std::size_t{1} << 62);
    for (int i = 0; i < 2; ++i) EXPECT_THROW((void)pool.acquire(), std::bad_alloc);
}

TEST(Listing, SplitsRunsWhereItMust) {
    MetadataWriter table(nullptr);
    std::vector<std::string> names;
    std::vector<ListingEntry> entries;
    for (std::uint32_t i = 0; i < 3000; ++i) names.push_back("n" + std::to_string(100000 + i));
    for (std::uint32_t i = 0; i < 3000; ++i)
        entries.push_back(
            {names[i], {i / 1000 * 8194ULL, 0}, i == 1500 ? 90000 : i + 1, InodeType::file});
    const auto listing = write_listing(table, entries);
    ASSERT_TRUE(listing);
    ASSERT_TRUE(table.finish());
    EXPECT_EQ(listing->index.size(), listing->size_bytes / 8192);
    ByteVector plain;
    const auto& stored = table.bytes();
    for (std::size_t at = 0; at < stored.size();) {
        const std::size_t size = load<Le16>(ByteView(stored).subspan(at)).get() & 0x7FFFU;
        append(plain, ByteView(stored).subspan(at + 2, size));
        at += size + 2;
    }
    ASSERT_EQ(plain.size(), listing->size_bytes);
    std::size_t seen = 0;
    std::vector<std::uint32_t> headers;
    for (std::size_t at = 0; at < plain.size();) {
        headers.push_back(static_cast<std::uint32_t>(at));
        const auto header = format::parse_directory_header(ByteView(plain).subspan(at));
        ASSERT_TRUE(header);
        at += format::kDirectoryHeaderSize;
        for (std::uint32_t i = 0; i < header->entry_count; ++i, ++seen) {
            const auto entry = format::parse_directory_entry(ByteView(plain).subspan(at));
            ASSERT_TRUE(entry);
            at += format::kDirectoryEntrySize + entry->name_size;
            EXPECT_EQ(header->inode_number + static_cast<std::uint32_t>(entry->number_delta),
                      entries[seen].inode_number);
            EXPECT_EQ(header->inode_block, entries[seen].inode.block);
        }
    }
    EXPECT_EQ(seen, entries.size());
    for (const auto& entry : listing->index)
        EXPECT_TRUE(std::binary_search(headers.begin(), headers.end(), entry.listing_bytes));
}

TEST(XattrTable, SharesSetsAndLongValues) {
    XattrSets sets;
    const std::string value(1000, 'v');
    const auto first = sets.intern({{0, "a", value}, {0, "b", "short"}});
    const auto second = sets.intern({{0, "c", value}});
    EXPECT_EQ(sets.intern({{0, "c", value}}), second);
    XattrTable table(sets, nullptr);
    EXPECT_EQ(*table.id_of(second), 0U);
    EXPECT_EQ(*table.id_of(first), 1U);
    EXPECT_EQ(*table.id_of(second), 0U);
    std::uint64_t header = 0;
    const auto bytes = table.encode(1000, header);
    ASSERT_TRUE(bytes);
    // The value once, and a reference of 8 bytes the second time.
    EXPECT_LT(bytes->size(), 2 * value.size());
    EXPECT_GT(header, 1000U);
}

TEST(HardLinks, ShareTheNumberAndTheTimeOfChange) {
    TreeBuilder builder;
    for (const char* path : {"a", "b", "c"}) {
        Node* node = *builder.at(path);
        node->type = InodeType::file;
        node->source_inode = 5;
        node->is_hard_linked = true;
        // The number was given to another file meanwhile.
        node->ctime_ns = path[0] == 'b' ? 2 : 1;
    }
    Tree tree = builder.build();
    resolve_hard_links(tree);
    EXPECT_EQ(tree.at(tree.find("b")).same_inode_as, kNoEntry);
    EXPECT_EQ(tree.at(tree.find("c")).same_inode_as, tree.find("a"));
}

TEST(Mtime, IsClampedToTheFormat) {
    Node node;
    Options options;
    bool is_clamped = false;
    node.mtime_seconds = -5;
    EXPECT_EQ(mtime_of(node, options, is_clamped), 0U);
    EXPECT_TRUE(is_clamped);
    node.mtime_seconds = std::int64_t{1} << 33;
    EXPECT_EQ(mtime_of(node, options, is_clamped), 0xFFFFFFFFU);
    options.newest_mtime = 1000;
    EXPECT_EQ(mtime_of(node, options, is_clamped), 1000U);
    node.mtime_seconds = 999;
    EXPECT_EQ(mtime_of(node, options, is_clamped), 999U);
    EXPECT_FALSE(is_clamped);
    options.mtime = 7;
    EXPECT_EQ(mtime_of(node, options, is_clamped), 7U);
}

TEST(Ids, AreCountedOnce) {
    IdTable ids;
    for (std::uint32_t i = 0; i < 65535; ++i) ASSERT_TRUE(ids.index_of(i * 3));
    EXPECT_EQ(*ids.index_of(3), 1);
    EXPECT_FALSE(ids.index_of(1));
}

}  // namespace
}  // namespace squenv::pack
