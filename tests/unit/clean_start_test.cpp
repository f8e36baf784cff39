// SPDX-License-Identifier: MIT
#include "cli/clean_start.h"

#include <gtest/gtest.h>

namespace squenv::cli {
namespace {

TEST(CleanStart, WhatMounts) {
    for (const char* command : {"run", "shell", "mount", "doctor", "edit"})
        EXPECT_TRUE(asks_for_mount({"/usr/bin/squenv", command, "x"})) << command;
    for (const char* name :
         {"squashfuse", "/a/b/squashfuse_ll", "mount.squenv", "/a/uenv", "squenv-slurm"})
        EXPECT_TRUE(asks_for_mount({name, "a", "b"})) << name;
}

TEST(CleanStart, WhatDoesNot) {
    for (const char* command : {"pack", "extract", "--version", "", "running"})
        EXPECT_FALSE(asks_for_mount({"squenv", command})) << command;
    EXPECT_FALSE(asks_for_mount({"squenv"}));
    EXPECT_FALSE(asks_for_mount({"squenv", "pack", "run"}));
    EXPECT_FALSE(asks_for_mount({}));
}

TEST(CleanStart, LibrariesOfTheSearchPath) {
    EXPECT_TRUE(is_found_by("/a/lib/libx.so.1", "/a/lib"));
    EXPECT_TRUE(is_found_by("/a/lib/libx.so.1", "/other:/a/lib/"));
    EXPECT_TRUE(is_found_by("/a/lib/libx.so.1", "/other;/a/lib;"));
    EXPECT_TRUE(is_found_by("/a/lib/glibc-hwcaps/x86-64-v3/libx.so.1", "/a/lib"));
    EXPECT_TRUE(is_found_by("./libx.so.1", ":")) << "an empty entry is the working directory";
}

TEST(CleanStart, LibrariesOfTheSystem) {
    EXPECT_FALSE(is_found_by("/usr/lib/libx.so.1", "/a/lib:/usr/li"));
    EXPECT_FALSE(is_found_by("/usr/lib/libx.so.1", ":")) << "not every path begins with nothing";
    EXPECT_FALSE(is_found_by("/usr/lib/libx.so.1", ""));
    EXPECT_FALSE(is_found_by("linux-vdso.so.1", "/a"));
    EXPECT_FALSE(is_found_by("", "/a")) << "the program itself";
}

}  // namespace
}  // namespace squenv::cli
