// SPDX-License-Identifier: MIT
#include "run/destination.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mount/mountpoint.h"

namespace squenv::run {
namespace {

constexpr auto kMissing = Occupancy::missing;
constexpr auto kEmpty = Occupancy::empty;
constexpr auto kEnvironment = Occupancy::environment;
constexpr auto kMounted = Occupancy::mounted;
constexpr auto kOther = Occupancy::other;

struct Row {
    std::string path;
    Occupancy occupancy = kMissing;
    std::string reason{};     ///< a part of it; "" is taken
    std::string canonical{};  ///< "" is the path
};

RecordedDestination place_of(const Row& row) {
    RecordedDestination place;
    place.path = row.path;
    place.canonical = row.canonical.empty() ? row.path : row.canonical;
    place.homes = {"/home/u", "/nfs/home/u"};
    place.occupancy = row.occupancy;
    return place;
}

void expect(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        const auto status = check_recorded_destination(place_of(row));
        if (row.reason.empty()) {
            EXPECT_TRUE(status) << row.path << ": " << (status ? "" : status.error().message());
            continue;
        }
        ASSERT_FALSE(status) << row.path;
        EXPECT_EQ(status.error().code, Errc::invalid_argument) << row.path;
        EXPECT_NE(status.error().context.find(row.reason), std::string::npos)
            << row.path << ": " << status.error().context;
        EXPECT_NE(status.error().hint.find("name the path: squenv run IMAGE:PATH"),
                  std::string::npos);
    }
}

TEST(RecordedDestination, OrdinaryPlaces) {
    expect({{"/home/u/project/.venv"},
            {"/home/u/project/.venv", kEmpty},
            {"/home/u/project/.venv", kEnvironment},
            {"/home/u/project/.venv", kMounted},
            {"/home/u/env"},
            {"/home/u/binary"},
            {"/home/other/shared/env"},
            {"/opt/env"},
            {"/opt/conda", kEnvironment},
            {"/srv/env"},
            {"/scratch/u/env"},
            {"/tmp/env"},
            {"/var/tmp/env"},
            {"/var/www/app/venv"},
            {"/var/home/x/env"},
            {"/dev/shm/env"},
            {"/mnt/disk/env"},
            {"/root/env"},
            {"/usr/local/venvs/env"},
            {"/usr/workspace/u/env"},
            {"/libraries/env"},
            {"/etcetera/env"}});
}

TEST(RecordedDestination, WhereSomethingElseIs) {
    const std::string reason = "something else than an environment";
    expect({{"/home/u/project", kOther, reason},
            {"/home/u/.venv", kOther, reason},
            {"/home/u/.cache/x", kOther, reason},
            {"/opt/env", kOther, reason},
            {"/scratch/u/data", kOther, reason}});
}

TEST(RecordedDestination, HiddenDirectoriesOfEnvironments) {
    expect({{"/home/u/.venv"},
            {"/home/u/.venvs/x"},
            {"/home/u/.virtualenvs/x", kEmpty},
            {"/home/u/.virtualenvs", kEmpty},
            {"/home/u/.envs/x"},
            {"/home/u/.cache/pypoetry/virtualenvs/x"},
            {"/home/u/.cache/pre-commit/repo/py_env"},
            {"/home/u/.local/share/virtualenvs/x"},
            {"/home/u/.local/share/envs/x"},
            {"/home/u/.local/share/micromamba/envs/x"},
            {"/home/u/.local/share/pipx/venvs/x"},
            {"/home/u/.local/pipx/venvs/x"},
            {"/home/u/.conda/envs/x"},
            {"/home/u/.pyenv/versions/3.11.2/envs/x"},
            {"/home/u/project/.tox/py311"},
            {"/home/u/project/.direnv/python-3.11"},
            {"/home/u/project/.pixi/envs/default"},
            {"/home/u/.tools/app/.venv-3.11"},
            {"/scratch/u/.venv"},
            {"/nfs/home/u/.Venv"},
            // An environment may be anywhere but where keys are.
            {"/home/u/.tools/app", kEnvironment},
            {"/home/u/.tools/app", kMounted},
            {"/home/u/.miniconda3", kEnvironment},
            // Made by an administrator.
            {"/.autofs/projects/env"}});
}

TEST(RecordedDestination, OtherHiddenDirectories) {
    const std::string reason = "hidden directory";
    expect({{"/home/u/.tools/app", kMissing, reason},
            {"/home/u/.tools/app", kEmpty, reason},
            {"/home/u/.cache", kMissing, reason},
            {"/home/u/.pyenv", kMissing, reason},
            {"/home/u/.pyenv/bin", kMissing, reason},
            {"/home/u/.local", kMissing, reason},
            {"/home/u/.local/share", kMissing, reason},
            {"/home/u/.local/share/systemd/user", kMissing, reason},
            {"/home/u/.local/share/bash-completion", kEmpty, reason},
            {"/home/u/.oh-my-zsh/custom", kMissing, reason},
            {"/home/u/.emacs.d", kMissing, reason},
            {"/home/u/.mutt/x/envs", kMissing, reason},
            {"/home/u/project/.hg", kMissing, reason},
            {"/scratch/u/.tools", kMissing, reason}});
}

TEST(RecordedDestination, KeysAndSettings) {
    const std::string reason = "keys or settings";
    for (const auto occupancy : {kMissing, kEmpty, kEnvironment, kMounted})
        expect({{"/home/u/.ssh", occupancy, reason},
                {"/home/u/.ssh/envs", occupancy, reason},
                {"/home/u/.gnupg", occupancy, reason},
                {"/home/u/.config", occupancy, reason},
                {"/home/u/.config/autostart", occupancy, reason},
                {"/home/u/.kube", occupancy, reason},
                {"/home/u/.aws", occupancy, reason},
                {"/home/u/.docker", occupancy, reason},
                {"/home/u/.pki/nssdb", occupancy, reason},
                {"/home/u/.bashrc.d", occupancy, reason},
                {"/home/u/.vim/plugin", occupancy, reason},
                {"/home/u/.local/bin", occupancy, reason},
                {"/home/u/.local/lib/python3.11/site-packages", occupancy, reason},
                {"/home/u/project/.git/hooks", occupancy, reason},
                // Of another user, when root mounts; and by where a path leads.
                {"/home/other/.ssh", occupancy, reason},
                {"/root/.ssh", occupancy, reason},
                {"/scratch/u/env", occupancy, reason, "/nfs/home/u/.ssh"}});
}

TEST(RecordedDestination, HomeAndAbove) {
    const std::string reason = "home directory";
    for (const auto occupancy : {kMissing, kEmpty, kEnvironment, kMounted})
        expect({{"/home/u", occupancy, reason},
                {"/nfs/home/u", occupancy, reason},
                {"/nfs/home", occupancy, reason},
                {"/nfs", occupancy, reason},
                {"/scratch/link", occupancy, reason, "/nfs/home"},
                {"/home/u/bin", occupancy, "shells look for programs"}});
    expect({{"/home/user/env"}, {"/home/u2"}, {"/nfs/home/u2/env"}});
}

TEST(RecordedDestination, DirectoriesOfTheSystem) {
    const std::string reason = "programs of the system";
    for (const char* path : {"/",
                             "/bin",
                             "/boot",
                             "/dev",
                             "/etc",
                             "/home",
                             "/lib",
                             "/lib64",
                             "/media",
                             "/mnt",
                             "/opt",
                             "/proc",
                             "/root",
                             "/run",
                             "/sbin",
                             "/srv",
                             "/sys",
                             "/tmp",
                             "/usr",
                             "/usr/local",
                             "/var",
                             "/var/lib",
                             "/var/tmp",
                             "/dev/shm",
                             "/bin/env",
                             "/etc/cron.d",
                             "/etc/x/venv",
                             "/lib/x86_64-linux-gnu",
                             "/proc/self/cwd",
                             "/sys/fs/cgroup",
                             "/dev/fd",
                             "/boot/env",
                             "/run/systemd/system/x.service.d",
                             "/run/user/1000/env",
                             "/usr/bin",
                             "/usr/lib",
                             "/usr/lib/venvs/x",
                             "/usr/share/x",
                             "/usr/local/bin",
                             "/usr/local/lib/python3.11",
                             "/var/spool/cron/crontabs",
                             "/var/log/x",
                             "/var/lib/dpkg",
                             "/var/run/x"})
        for (const auto occupancy : {kMissing, kEmpty, kEnvironment, kMounted})
            expect({{path, occupancy, reason}, {"/scratch/link", occupancy, reason, path}});
}

TEST(RecordedDestination, AServiceHasItsHomeInTheStateOfTheSystem) {
    RecordedDestination place;
    place.path = "/var/lib/service/venv";
    place.canonical = place.path;
    place.homes = {"/var/lib/service"};
    EXPECT_TRUE(check_recorded_destination(place));
    place.homes = {"/var/lib"};
    EXPECT_FALSE(check_recorded_destination(place));
    place.homes = {"/home/u"};
    EXPECT_FALSE(check_recorded_destination(place));
}

TEST(RecordedDestination, AHomeAtTheRootOrNone) {
    for (const std::vector<std::string>& homes :
         {std::vector<std::string>{"/"}, std::vector<std::string>{}}) {
        RecordedDestination place;
        place.homes = homes;
        place.canonical = place.path = "/opt/env";
        EXPECT_TRUE(check_recorded_destination(place));
        place.canonical = place.path = "/";
        EXPECT_FALSE(check_recorded_destination(place));
        place.canonical = place.path = "/data/.ssh";
        EXPECT_FALSE(check_recorded_destination(place));
    }
}

TEST(RecordedDestination, NamesThatAreNotPlain) {
    expect({{"//etc", kMissing, "empty part"},
            {"/opt//env", kMissing, "empty part"},
            {"/opt/../etc", kMissing, "'.' or '..'"},
            {"/opt/..", kMissing, "'.' or '..'"},
            {"/opt/./env", kMissing, "'.' or '..'"},
            {"/opt/a:b", kMissing, "colon"},
            {"/opt/a\nb", kMissing, "control characters"},
            {"/opt/\x1b[31m", kMissing, "control characters"},
            {"/opt/\x7f", kMissing, "control characters"},
            {"/opt/\xc2\x9b"
             "31m",
             kMissing, "control characters"},
            {"opt/env", kMissing, "root"},
            {"", kMissing, "root"},
            {"/opt/\xc3\xa9nv"},
            {"/opt/a b,c"},
            {"/opt/a..env/env.."}});
}

TEST(RecordedDestination, ControlCharactersAreEscapedInTheMessage) {
    const auto status = check_recorded_destination(place_of({"/opt/a\n\x1b[31m"}));
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().context.find("/opt/a\\x0a\\x1b[31m"), std::string::npos);
    EXPECT_EQ(status.error().message().find('\n'), std::string::npos);
}

/// Of the machine: directories below one that is made for the test, which is no home directory.
class RecordedPlaceOnDisk : public testing::Test {
  protected:
    RecordedPlaceOnDisk() {
        std::string name = std::filesystem::temp_directory_path() / "squenv-place-XXXXXX";
        root_ = std::filesystem::canonical(::mkdtemp(name.data()));
    }
    ~RecordedPlaceOnDisk() override { std::filesystem::remove_all(root_); }

    std::string make(const std::string& name, const std::string& entry = "") {
        std::filesystem::create_directories(root_ / name);
        if (!entry.empty()) std::ofstream(root_ / name / entry) << "x";
        return root_ / name;
    }
    static bool is_taken(const std::string& path, const std::string& root) {
        return check_recorded_destination(path, root).has_value();
    }

    std::filesystem::path root_;
};

TEST_F(RecordedPlaceOnDisk, WhatIsThere) {
    const std::string missing = root_ / "missing" / "env";
    EXPECT_TRUE(is_taken(missing, missing));
    EXPECT_TRUE(is_taken(make("empty"), root_ / "empty"));
    EXPECT_TRUE(is_taken(make("empty") + "/", root_ / "empty"));
    EXPECT_TRUE(is_taken(make("venv", "pyvenv.cfg"), root_ / "venv"));
    EXPECT_TRUE(is_taken(make("conda", "conda-meta"), root_ / "conda"));
    EXPECT_FALSE(is_taken(make("data", "file"), root_ / "data"));
    EXPECT_FALSE(is_taken(make("hidden", ".file"), root_ / "hidden"));
    EXPECT_FALSE(is_taken(make("data", "file") + "/file", root_ / "data"));
}

TEST_F(RecordedPlaceOnDisk, APartOfAnEnvironment) {
    const std::string environment = make("venv", "pyvenv.cfg");
    const std::string library = make("venv/lib", "module.py");
    EXPECT_TRUE(is_taken(library, environment));
    EXPECT_FALSE(is_taken(library, library)) << "the image does not say that it is of one";
}

TEST_F(RecordedPlaceOnDisk, LinksAreFollowedBeforeTheDecision) {
    std::filesystem::create_directory_symlink("/etc", root_ / "link");
    EXPECT_FALSE(is_taken(root_ / "link", root_ / "link"));
    EXPECT_FALSE(is_taken(root_ / "link" / "missing", root_ / "link" / "missing"));
    std::filesystem::create_directory_symlink(make("empty"), root_ / "good");
    EXPECT_TRUE(is_taken(root_ / "good", root_ / "good"));
    std::filesystem::create_directory_symlink(root_ / "nothing", root_ / "dangling");
    EXPECT_FALSE(is_taken(root_ / "dangling", root_ / "dangling"));
}

TEST(GivenPlace, WhatEveryProgramNeeds) {
    for (const char* path : {"/", "/dev", "/proc", "/proc/self", "/sys", "/sys/fs", "/bin", "/sbin",
                             "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib",
                             "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"}) {
        const auto status = mount::check_place(path);
        ASSERT_FALSE(status) << path;
        EXPECT_NE(status.error().message().find("every program needs"), std::string::npos);
    }
    for (const char* path :
         {"/etc", "/home/u", "/home/u/.ssh", "/dev/shm", "/opt", "/usr/local", "/usr/lib/squenv",
          "/usr/bin/x", "/tmp", "/usrlocal", "/processes", "/home/x-linux-gnu"})
        EXPECT_TRUE(mount::check_place(path)) << path;
}

}  // namespace
}  // namespace squenv::run
