// SPDX-License-Identifier: MIT
#include "cli/mount_options.h"

#include <gtest/gtest.h>

namespace squenv::cli {
namespace {

daemon::Request applied(const std::string& options) {
    daemon::Request request;
    const auto status = apply_mount_options(options, request);
    EXPECT_TRUE(status) << options << ": " << status.error().message();
    return request;
}

TEST(MountOptions, EveryValue) {
    const auto request = applied(
        "offset=4096,subdir=a/b,timeout=60,uid=1000,gid=100,cache_size=64M,threads=3,"
        "notify_pipe=/run/p,log=/tmp/l,fsname=src,subtype=squashfuse");
    EXPECT_EQ(request.image.offset, 4096U);
    EXPECT_FALSE(request.image.find_offset);
    EXPECT_EQ(request.view.subdirectory, "a/b");
    EXPECT_EQ(request.idle_timeout, std::chrono::seconds(60));
    EXPECT_EQ(request.view.uid, 1000U);
    EXPECT_EQ(request.view.gid, 100U);
    EXPECT_EQ(request.image.cache_bytes, 64U << 20);
    EXPECT_EQ(request.threads, 3U);
    EXPECT_EQ(request.notify_pipe, "/run/p");
    EXPECT_EQ(request.log_destination, "/tmp/l");
    EXPECT_EQ(request.source_name, "src");
    EXPECT_EQ(request.subtype, "squashfuse");
}

TEST(MountOptions, RecordingAndStaging) {
    const auto request = applied("record=/tmp/a\\,b,stage=/scratch");
    EXPECT_EQ(request.record_path, "/tmp/a,b");
    EXPECT_EQ(request.stage_directory, "/scratch");
}

TEST(MountOptions, Flags) {
    const auto request = applied("allow_other,default_permissions,debug");
    EXPECT_TRUE(request.allow_other);
    EXPECT_TRUE(request.trace);
    EXPECT_TRUE(applied("allow_root").allow_root);
    EXPECT_TRUE(applied("offset=auto").image.find_offset);
}

TEST(MountOptions, WhatFstabSaysAnyway) {
    (void)applied("");
    (void)applied(",,ro,,");
    (void)applied("defaults,ro,nosuid,nodev,noauto,nofail,_netdev,user,users,noatime");
    (void)applied("owner,group,user=me,comment=a,silent,loud,nodiratime,relatime,norelatime");
    (void)applied("strictatime,lazytime,nolazytime,sync,async,dirsync,mand,nomand,iversion");
    (void)applied("x-systemd.automount,x-systemd.requires=network.target,X-mount.mkdir=0755");
}

TEST(MountOptions, TheLastOfExecAndNoexecCounts) {
    EXPECT_FALSE(applied("").noexec);
    EXPECT_TRUE(applied("noexec,nosuid,nodev,user").noexec);
    EXPECT_FALSE(applied("noexec,user,exec").noexec);
    EXPECT_TRUE(applied("exec,noexec").noexec);
}

struct Read {
    daemon::Request request{};
    std::vector<std::string> notes{};
    std::string error{};
};

Read read_as(Dialect dialect, const std::string& options) {
    Read read;
    const auto status = apply_mount_options(options, read.request, {dialect, false, &read.notes});
    if (!status) read.error = status.error().message();
    return read;
}

TEST(MountOptions, WhatMountAddsOfItself) {
    const auto read = read_as(Dialect::mount, "rw,dev,suid,loop,helper=squenv,uhelper=x,remount");
    EXPECT_EQ(read.error, "");
    EXPECT_TRUE(read.notes.empty());
    for (const char* option : {"rw", "dev", "suid", "loop", "remount", "context=a"})
        EXPECT_NE(read_as(Dialect::squenv, option).error, "") << option;
    EXPECT_NE(read_as(Dialect::mount, "clone_fd").error, "");
}

TEST(MountOptions, ContextsOfSelinuxAreNoted) {
    for (const char* name : {"context", "fscontext", "defcontext", "rootcontext"}) {
        const auto read = read_as(Dialect::mount, std::string(name) + "=\"u:o:t:s0:c1,c2\",uid=7");
        EXPECT_EQ(read.error, "") << name;
        EXPECT_EQ(read.request.view.uid, 7U);
        ASSERT_EQ(read.notes.size(), 1U) << name;
        EXPECT_NE(read.notes[0].find(name), std::string::npos);
    }
}

TEST(MountOptions, RemountIsFoundAmongOthers) {
    EXPECT_TRUE(has_option("ro,remount,uid=3", "remount"));
    EXPECT_FALSE(has_option("ro,remount=1,x-remount", "remount"));
    EXPECT_FALSE(has_option("context=\"a,remount\"", "remount"));
}

TEST(MountOptions, SquashfuseOptionsThatAreHonoured) {
    EXPECT_EQ(read_as(Dialect::squashfuse, "max_threads=4").request.threads, 4U);
    EXPECT_EQ(read_as(Dialect::squashfuse, "max_threads=100000").request.threads, 256U);
    EXPECT_EQ(read_as(Dialect::squashfuse, "umask=022").request.view.umask, 022U);
    EXPECT_TRUE(read_as(Dialect::squashfuse, "noexec").request.noexec);
    for (const char* option : {"umask=8", "umask=1000", "umask=", "max_threads=x", "nonsense"})
        EXPECT_NE(read_as(Dialect::squashfuse, option).error, "") << option;
    EXPECT_NE(read_as(Dialect::squenv, "umask=022").error, "");
}

TEST(MountOptions, SquashfuseOptionsThatNeedNothing) {
    const auto read = read_as(
        Dialect::squashfuse,
        "clone_fd,max_idle_threads=3,max_read=131072,kernel_cache,auto_cache,attr_timeout=1.0,"
        "entry_timeout=1.0,negative_timeout=0,noforget,remember=3,ac_attr_timeout=1,direct_io");
    EXPECT_EQ(read.error, "");
    EXPECT_TRUE(read.notes.empty());
    const auto impossible = read_as(Dialect::squashfuse, "rw,dev,suid");
    EXPECT_EQ(impossible.error, "");
    EXPECT_EQ(impossible.notes.size(), 3U);
}

TEST(MountOptions, CommasAndBackslashesCanBeEscaped) {
    EXPECT_EQ(applied("subdir=a\\,b\\\\c,ro").view.subdirectory, "a,b\\c");
    EXPECT_EQ(applied("subdir=a=b").view.subdirectory, "a=b");
    EXPECT_EQ(applied("subdir=a\\").view.subdirectory, "a\\");
}

TEST(MountOptions, MistakesNameTheOption) {
    for (const auto& [options, word] :
         std::vector<std::pair<std::string, std::string>>{{"nonsense", "nonsense"},
                                                          {"ro,nonsense=1", "nonsense"},
                                                          {"rw", "rw"},
                                                          {"suid", "suid"},
                                                          {"dev", "dev"},
                                                          {"offset=x", "offset"},
                                                          {"offset=-1", "offset"},
                                                          {"offset=9223372036854775808", "offset"},
                                                          {"offset", "offset"},
                                                          {"offset=", "offset"},
                                                          {"uid=-1", "uid"},
                                                          {"uid=4294967295", "uid"},
                                                          {"gid=x", "gid"},
                                                          {"cache_size=1K", "cache_size"},
                                                          {"cache_size=2T", "cache_size"},
                                                          {"threads=257", "threads"},
                                                          {"timeout=1h", "timeout"},
                                                          {"allow_other=1", "allow_other"},
                                                          {"ro=1", "ro"},
                                                          {"subdir", "subdir"},
                                                          {"subtype=sshfs", "sshfs"},
                                                          {"subtype=squenv.x", "squenv.x"}}) {
        daemon::Request request;
        const auto status = apply_mount_options(options, request);
        ASSERT_FALSE(status) << options;
        EXPECT_EQ(status.error().code, Errc::invalid_argument) << options;
        EXPECT_NE(status.error().message().find(word), std::string::npos)
            << status.error().message();
    }
}

TEST(MountOptions, SquashfuseTakesAnySubtype) {
    daemon::Request request;
    EXPECT_TRUE(apply_mount_options("subtype=own", request, {.dialect = Dialect::squashfuse}));
    EXPECT_EQ(request.subtype, "own");
}

TEST(MountOptions, AKnownOptionIsNotCalledUnknown) {
    const auto message = [](const char* options) {
        daemon::Request request;
        const auto status = apply_mount_options(options, request);
        return status ? std::string("fine") : status.error().message();
    };
    for (const char* option : {"overlay", "threads", "offset", "uid", "stage", "overlay="})
        EXPECT_NE(message(option).find("needs a value"), std::string::npos) << option;
    for (const char* option : {"noexec=1", "allow_other=on", "debug=yes", "noexec="})
        EXPECT_NE(message(option).find("takes no value"), std::string::npos) << option;
    for (const char* option : {"nonsense", "nonsense=1", "over=on"})
        EXPECT_NE(message(option).find("unknown option"), std::string::npos) << option;
    for (const char* option : {"overlay=maybe", "prefetch=maybe", "failover=maybe"})
        EXPECT_NE(message(option).find("'maybe' is not"), std::string::npos) << option;
}

}  // namespace
}  // namespace squenv::cli
