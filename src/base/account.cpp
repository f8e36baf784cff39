// SPDX-License-Identifier: MIT
#include "base/account.h"

#include <pwd.h>

namespace squenv {

std::optional<Account> account_of(uid_t user) {
    const passwd* found = ::getpwuid(user);
    if (found == nullptr) return std::nullopt;
    return Account{found->pw_name, found->pw_shell != nullptr ? found->pw_shell : ""};
}

}  // namespace squenv
