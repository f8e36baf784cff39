// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace squenv {
namespace {

struct Row {
    Errc code;
    int errno_without_cause;
    int exit;
};

constexpr Row kTable[] = {
    {Errc::io, EIO, 1},
    {Errc::corrupt, EIO, 3},
    {Errc::unsupported, EOPNOTSUPP, 1},
    {Errc::limit, E2BIG, 1},
    {Errc::not_found, ENOENT, 1},
    {Errc::exists, EEXIST, 1},
    {Errc::denied, EACCES, 1},
    {Errc::busy, EBUSY, 1},
    {Errc::invalid_argument, EINVAL, 2},
    {Errc::environment, ENODEV, 4},
    {Errc::cancelled, EINTR, 1},
    {Errc::internal, EIO, 1},
};

TEST(Result, EveryCodeHasItsErrnoAndExitStatus) {
    for (const Row& row : kTable) {
        SCOPED_TRACE(static_cast<int>(row.code));
        EXPECT_EQ(to_errno(Error{row.code, 0, "x", {}}), row.errno_without_cause);
        EXPECT_EQ(exit_code(row.code), row.exit);
    }
}

TEST(Result, CorruptionIsAlwaysEio) {
    EXPECT_EQ(to_errno(Error{Errc::corrupt, ENOENT, "x", {}}), EIO);
    EXPECT_EQ(to_errno(Error{Errc::corrupt, ENOMEM, "x", {}}), EIO);
}

TEST(Result, StorageErrorsAreEioButAStaleHandleStaysOne) {
    EXPECT_EQ(to_errno(Error{Errc::io, ENXIO, "x", {}}), EIO);
    EXPECT_EQ(to_errno(Error{Errc::io, ESTALE, "x", {}}), ESTALE);
}

TEST(Result, SystemCallErrorsKeepTheirErrno) {
    for (const int code : {ENOENT, ENOTDIR, EACCES, EPERM, EROFS, EINVAL, EISDIR, ENODEV, ENOSYS,
                           ENOMEM, EMFILE, ENOSPC}) {
        SCOPED_TRACE(code);
        EXPECT_EQ(to_errno(fail_errno(code, "x").value()), code);
    }
}

TEST(Result, UnknownErrnoIsStorage) {
    EXPECT_EQ(errc_of(EIO), Errc::io);
    EXPECT_EQ(errc_of(EREMOTEIO), Errc::io);
    EXPECT_EQ(errc_of(123456), Errc::io);
}

TEST(Result, MessageIsOneLineWithObjectReasonAndNextStep) {
    EXPECT_EQ(fail_errno(ENOENT, "a.sqfs", "check the path").value().message(),
              "a.sqfs: No such file or directory; check the path");
    EXPECT_EQ(fail(Errc::corrupt, "a.sqfs: bad").value().message(), "a.sqfs: bad");
    EXPECT_EQ(fail_errno(ENOENT, "").value().message(), "No such file or directory");
}

TEST(Result, ShortageOfMemoryIsSaidInPlainWords) {
    const Error error = fail_memory("a.sqfs", "use fewer threads").value();
    EXPECT_EQ(error.message(), "a.sqfs: not enough memory; use fewer threads");
    EXPECT_TRUE(is_short_of_memory(error));
    EXPECT_EQ(error.code, Errc::limit);
    EXPECT_TRUE(is_short_of_memory(with_context(error, "outer").value()));
    EXPECT_FALSE(is_short_of_memory(fail_errno(ENOSPC, "a.sqfs").value()));
    EXPECT_FALSE(is_short_of_memory(Error{Errc::corrupt, ENOMEM, "a.sqfs", {}}));
}

TEST(Result, ContextGoesInFront) {
    const auto error = with_context(fail(Errc::corrupt, "block 3", "hint").value(), "a.sqfs");
    EXPECT_EQ(error.value().context, "a.sqfs: block 3");
    EXPECT_EQ(error.value().hint, "hint");
    EXPECT_EQ(with_context(Error{}, "outer").value().context, "outer");
}

Result<int> half(int value) {
    if (value % 2 != 0) return fail(Errc::invalid_argument, "odd");
    return value / 2;
}
Result<int> quarter(int value) {
    SQUENV_TRY_ASSIGN(const int first, half(value));
    SQUENV_TRY_ASSIGN(const int second, half(first));
    return second;
}

TEST(Result, TryPassesValuesAndErrorsOn) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().context, "odd");
    EXPECT_EQ(quarter(7).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace squenv
