// SPDX-License-Identifier: MIT
#include "base/room.h"
#include "create/staging.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/secrets.h"
#include "create/placement.h"
#include "create/record.h"
#include "create/staging_place.h"

namespace squenv::create {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGib = 1ULL << 30;

class CreateDirectory : public ::testing::Test {
  protected:
    CreateDirectory() {
        std::string name = (fs::temp_directory_path() / "squenv-create-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
    }
    ~CreateDirectory() override { fs::remove_all(root_); }
    [[nodiscard]] std::string path(const std::string& name) const { return root_ / name; }
    void write(const std::string& name, const std::string& text) const {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name, std::ios::binary) << text;
    }
    [[nodiscard]] std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(root_), {}));
    }
    fs::path root_;
};

using MemoryRoom = CreateDirectory;

TEST_F(MemoryRoom, IsThatOfTheMachine) {
    write("proc/meminfo", "MemTotal: 99 kB\nMemAvailable:    2048 kB\n");
    write("proc/self/cgroup", "0::/\n");
    EXPECT_EQ(memory_room(root_), 2048U << 10);
}

TEST_F(MemoryRoom, IsLimitedByEachGroupAbove) {
    write("proc/meminfo", "MemAvailable: 99999999 kB\n");
    write("proc/self/cgroup", "0::/job/step\n");
    write("sys/fs/cgroup/job/memory.max", "5000\n");
    write("sys/fs/cgroup/job/memory.current", "4000\n");
    write("sys/fs/cgroup/job/memory.stat",
          "anon 1\nfile 3000\ninactive_file 300\nactive_file 200\n");
    write("sys/fs/cgroup/job/step/memory.max", "max\n");
    write("sys/fs/cgroup/job/step/memory.current", "100\n");
    EXPECT_EQ(memory_room(root_), 1500U);
    write("sys/fs/cgroup/job/step/memory.max", "600\n");
    EXPECT_EQ(memory_room(root_), 500U);
    write("sys/fs/cgroup/job/step/memory.max", "50\n");
    EXPECT_EQ(memory_room(root_), 0U);
    // Beyond this one the kernel slows the job down until it hardly runs.
    write("sys/fs/cgroup/job/step/memory.max", "max\n");
    write("sys/fs/cgroup/job/step/memory.high", "400\n");
    EXPECT_EQ(memory_room(root_), 300U);
}

TEST_F(MemoryRoom, KnowsTheFirstVersion) {
    write("proc/meminfo", "MemAvailable: 99999999 kB\n");
    write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/slurm/job\n0::/\n");
    write("sys/fs/cgroup/memory/slurm/memory.limit_in_bytes", "7000\n");
    write("sys/fs/cgroup/memory/slurm/memory.usage_in_bytes", "1000\n");
    EXPECT_EQ(memory_room(root_), 6000U);
    // A container sees its own group at the top.
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "900\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "800\n");
    write("sys/fs/cgroup/memory/memory.stat", "inactive_file 9\ntotal_inactive_file 50\n");
    EXPECT_EQ(memory_room(root_), 150U);
}

TEST(StagingPlace, IsTheFirstWithRoom) {
    const StagingPlace memory{"/dev/shm", true, true, 9 * kGib};
    const StagingPlace disk{"/tmp", true, true, 20 * kGib};
    const auto choose = [](const std::vector<StagingPlace>& places, std::uint64_t needed) {
        return choose_staging_place(places, needed).value();
    };
    constexpr std::uint64_t kNeeded = 8 * kGib;
    EXPECT_EQ(choose({memory, disk}, kNeeded), "/dev/shm");
    EXPECT_EQ(choose({memory, disk}, 10 * kGib), "/tmp");
    EXPECT_EQ(choose({memory, disk}, 30 * kGib), "/tmp");
    EXPECT_EQ(choose({{"/dev/shm", true, true, kGib}, disk}, kNeeded), "/tmp");
    EXPECT_EQ(choose({{"/dev/shm", true, true, kGib}, disk}, kGib), "/dev/shm");
    EXPECT_EQ(choose({{"/dev/shm", true, false, 99 * kGib}, disk}, kNeeded), "/tmp");
    EXPECT_EQ(choose({{"/dev/shm", false, true, 99 * kGib}, disk}, kNeeded), "/tmp");
    EXPECT_EQ(choose({{"/a", true, true, kGib}, {"/b", true, true, 3 * kGib}}, kNeeded), "/b");
    const auto none = choose_staging_place({{"/a", true, false, kGib}, {"/b", false}}, kGib);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::denied);
    EXPECT_NE(none.error().message().find("/a is mounted noexec"), std::string::npos);
    EXPECT_NE(none.error().message().find("--staging"), std::string::npos);
}

using StagingPlaceTest = CreateDirectory;

TEST_F(StagingPlaceTest, IsLookedAt) {
    write("file", "");
    for (const char* name : {"file", "missing"}) {
        EXPECT_FALSE(inspect_staging_place(path(name)).is_usable);
        EXPECT_FALSE(check_staging_place(inspect_staging_place(path(name))));
    }
    const auto place = inspect_staging_place(root_);
    EXPECT_TRUE(place.is_usable && place.free_bytes > 0);
    EXPECT_TRUE(check_staging_place(place));
}

using StagingTest = CreateDirectory;

TEST_F(StagingTest, GoesWithItsOwner) {
    {
        auto staging = Staging::make(root_);
        ASSERT_TRUE(staging);
        EXPECT_TRUE(fs::is_directory(staging->tree()));
        std::ofstream(staging->tree() + "/file") << "x";
        fs::create_directory(path("place"));
        ASSERT_TRUE(staging->note({path("place")}));
        fs::permissions(staging->tree(), fs::perms::owner_read | fs::perms::owner_exec);
    }
    EXPECT_EQ(entries(), 0U);
}

TEST_F(StagingTest, KeepsWhatHasContentMeanwhile) {
    {
        auto staging = Staging::make(root_);
        ASSERT_TRUE(staging && staging->note({path("place")}));
        write("place/of-another", "");
    }
    EXPECT_TRUE(fs::exists(path("place/of-another")));
}

TEST_F(StagingTest, IsSweptWhenItsOwnerIsDead) {
    const pid_t child = ::fork();
    if (child == 0) {
        auto staging = Staging::make(root_);
        const bool is_made = staging && staging->note({path("link"), path("a\nb")});
        if (is_made) fs::create_symlink(staging->tree(), path("link"));
        fs::create_directory(path("a\nb"));
        ::_exit(is_made ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
    ASSERT_EQ(entries(), 3U);
    const auto living = Staging::make(root_);
    ASSERT_TRUE(living);
    sweep_staging(root_);
    EXPECT_EQ(entries(), 1U);
    EXPECT_TRUE(fs::is_directory(living->tree()));
}

TEST_F(StagingTest, OfOthersAndOtherLinksStay) {
    fs::create_directory(path("squenv-create-99999.partial-abcdef"));
    fs::create_directory(path("something-else"));
    const pid_t child = ::fork();
    if (child == 0) {
        auto staging = Staging::make(root_);
        ::_exit(staging && staging->note({path("link")}) ? 0 : 1);
    }
    ::waitpid(child, nullptr, 0);
    fs::create_symlink("/somewhere", path("link"));
    sweep_staging(root_);
    EXPECT_EQ(entries(), 3U);
}

TEST(Placement, IsTheBestThatWorks) {
    PlacementFacts facts;
    facts.refusal = {Errc::environment, 0, "user namespace: unshare", "ask for one"};
    const auto none = choose_placement(facts, "/p/env");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::environment);
    EXPECT_NE(none.error().message().find("/p/env"), std::string::npos);
    EXPECT_NE(none.error().message().find("user namespace: unshare"), std::string::npos);
    facts.can_relocate = true;
    EXPECT_EQ(*choose_placement(facts, "/p"), Placement::elsewhere);
    facts.is_free = true;
    EXPECT_EQ(*choose_placement(facts, "/p"), Placement::link);
    facts.space = Placement::user_namespace;
    EXPECT_EQ(*choose_placement(facts, "/p"), Placement::user_namespace);
}

TEST(CreateRecord, HasNoSecrets) {
    EXPECT_EQ(without_secrets("--index-url https://me:p%40ss@host/simple x@y"),
              "--index-url https://***@host/simple x@y");
    EXPECT_EQ(without_secrets("git+ssh://git@host/a@v1\nhttps://b/c@d"),
              "git+ssh://***@host/a@v1\nhttps://b/c@d");
    EXPECT_EQ(without_secrets("://"), "://");
    EXPECT_EQ(quoted({"squenv", "a b", "it's", "", "x>=1", "https://t:u@h/"}),
              "squenv 'a b' 'it'\\''s' '' 'x>=1' 'https://***@h/'");
}

using CreateRecordTest = CreateDirectory;

TEST_F(CreateRecordTest, DescribesInputs) {
    write("r.txt", "numpy\n--index-url https://u:p@h/\n");
    write("uv.lock", "abc");
    const auto creation =
        describe({InputKind::requirements, {}, {path("r.txt"), path("uv.lock")}},
                 {{"uv", "/b/uv", "0.9.2"}, {}, {"conda", "/b/conda", ""}}, {"squenv", "create"});
    ASSERT_TRUE(creation);
    EXPECT_EQ(creation->inputs[0].text, "numpy\n--index-url https://***@h/\n");
    EXPECT_EQ(creation->inputs[1],
              (CreationInput{path("uv.lock"), "",
                             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}));
    EXPECT_EQ(creation->tools, (std::vector<std::string>{"uv 0.9.2", "conda"}));
}

TEST_F(CreateRecordTest, KnowsPip) {
    write("lib/python3.11/site-packages/pip-23.0.dist-info/METADATA", "");
    write("lib/python3.11/site-packages/pip_audit-1.dist-info/METADATA", "");
    Creation creation;
    add_pip(root_, creation);
    EXPECT_EQ(creation.tools, std::vector<std::string>{"pip 23.0"});
}

TEST_F(CreateRecordTest, FindsMentions) {
    write("bin/a", "#!/usr/bin/python\n");
    EXPECT_EQ(find_mention(root_, "/dev/shm/x"), "");
    write("bin/b", std::string("#!\0/dev/shm/x/bin", 17));
    EXPECT_EQ(find_mention(root_, "/dev/shm/x"), "bin/b");
    fs::remove(path("bin/b"));
    fs::create_symlink("/dev/shm/x/a", path("link"));
    EXPECT_EQ(find_mention(root_, "/dev/shm/x"), "link");
}

}  // namespace
}  // namespace squenv::create
