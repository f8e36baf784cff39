// SPDX-License-Identifier: MIT
// Accounts of users. A static program asks /etc/passwd alone: modules for directories of users
// (NSS) fit only the C library that they were made for.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace squenv {

/// What is known of a user.
struct Account {
    std::string name;
    std::string shell;  ///< "" where none is set
};

/// Nothing when the user is unknown, also when a directory of users cannot be asked. Not
/// thread-safe.
[[nodiscard]] std::optional<Account> account_of(uid_t user);

}  // namespace squenv
