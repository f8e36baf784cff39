// SPDX-License-Identifier: MIT
// For static programs: SQLite calls these for each database. The search of texts and of places
// that they would register is a fourth of SQLite, and no repository of uenvs uses it.
#include <sqlite3.h>

#define NOTHING_TO_REGISTER(name)                         \
    extern "C" __attribute__((weak)) int name(sqlite3*) { \
        return SQLITE_OK;                                 \
    }

NOTHING_TO_REGISTER(sqlite3Fts3Init)
NOTHING_TO_REGISTER(sqlite3Fts5Init)
NOTHING_TO_REGISTER(sqlite3RtreeInit)
NOTHING_TO_REGISTER(sqlite3DbstatRegister)
NOTHING_TO_REGISTER(sqlite3StmtVtabInit)
