// SPDX-License-Identifier: MIT
#include <pwd.h>

#include <cstdio>
#include <memory>

#include "base/account.h"

namespace squenv {

std::optional<Account> account_of(uid_t user) {
    const std::unique_ptr<FILE, int (*)(FILE*)> table(std::fopen("/etc/passwd", "re"),
                                                      &std::fclose);
    if (table == nullptr) return std::nullopt;
    while (const passwd* line = ::fgetpwent(table.get()))
        if (line->pw_uid == user)
            return Account{line->pw_name, line->pw_shell != nullptr ? line->pw_shell : ""};
    return std::nullopt;
}

}  // namespace squenv
