// SPDX-License-Identifier: MIT
#include "label/database.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/file_io.h"
#include "base/memory.h"
#include "base/unique_fd.h"

namespace squenv::label {

namespace {

constexpr const char* kLibrary = "libsqlite3.so.0";
constexpr int kBusyTimeoutMs = 2000;
constexpr const char* kInstead = "name the image file instead of a label";
/// Thousands of labels are read in milliseconds.
constexpr std::chrono::seconds kPatience{10};
constexpr int kStepsPerLook = 100'000;
/// Of the header of a database: the versions of its format for writers and readers.
constexpr std::size_t kVersions = 18;
constexpr std::byte kWal{2};

using Clock = std::chrono::steady_clock;

/// A digest counts alone; ?6 and ?7 are switches.
constexpr const char* kQuery =
    "SELECT name, version, tag, system, uarch, sha256, id, date, size FROM records WHERE "
    "((?1 = '' OR name = ?1 OR (?6 AND substr(name, 1, length(?1)) = ?1)) AND "
    "(?2 = '' OR version = ?2) AND (?3 = '' OR tag = ?3) AND (?4 = '' OR system = ?4) AND "
    "(?5 = '' OR uarch = ?5)) OR (?7 AND substr(sha256, 1, length(?1)) = ?1) "
    "ORDER BY name, version, tag, system, uarch, date, sha256";

/// The functions that are used here. Their types are those of <sqlite3.h>.
struct Library {
    decltype(&::sqlite3_open_v2) open = nullptr;
    decltype(&::sqlite3_close) close = nullptr;
    decltype(&::sqlite3_errmsg) message = nullptr;
    decltype(&::sqlite3_busy_timeout) busy_timeout = nullptr;
    decltype(&::sqlite3_db_config) configure = nullptr;
    decltype(&::sqlite3_prepare_v2) prepare = nullptr;
    decltype(&::sqlite3_finalize) finalize = nullptr;
    decltype(&::sqlite3_bind_text) bind_text = nullptr;
    decltype(&::sqlite3_bind_int) bind_int = nullptr;
    decltype(&::sqlite3_step) step = nullptr;
    decltype(&::sqlite3_column_text) column_text = nullptr;
    decltype(&::sqlite3_column_int64) column_int64 = nullptr;
    decltype(&::sqlite3_progress_handler) watch_progress = nullptr;
    bool is_complete = true;
    bool is_short_of_memory = false;
};

#ifdef SQUENV_LINKS_SQLITE
Library load() {
    return {&::sqlite3_open_v2,         &::sqlite3_close,
            &::sqlite3_errmsg,          &::sqlite3_busy_timeout,
            &::sqlite3_db_config,       &::sqlite3_prepare_v2,
            &::sqlite3_finalize,        &::sqlite3_bind_text,
            &::sqlite3_bind_int,        &::sqlite3_step,
            &::sqlite3_column_text,     &::sqlite3_column_int64,
            &::sqlite3_progress_handler};
}
#else
template <class Function>
void find(void* handle, const char* name, Function& function, bool& is_complete) {
    function = reinterpret_cast<Function>(::dlsym(handle, name));
    is_complete = is_complete && function != nullptr;
}

Library load() {
    Library library;
    void* const handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    library.is_complete = handle != nullptr;
    const char* const reason = handle == nullptr ? ::dlerror() : nullptr;
    library.is_short_of_memory = reason != nullptr && says_no_memory(reason);
    if (!library.is_complete) return library;
    const auto load_one = [&](const char* name, auto& function) {
        find(handle, name, function, library.is_complete);
    };
    load_one("sqlite3_open_v2", library.open);
    load_one("sqlite3_close", library.close);
    load_one("sqlite3_errmsg", library.message);
    load_one("sqlite3_busy_timeout", library.busy_timeout);
    load_one("sqlite3_db_config", library.configure);
    load_one("sqlite3_prepare_v2", library.prepare);
    load_one("sqlite3_finalize", library.finalize);
    load_one("sqlite3_bind_text", library.bind_text);
    load_one("sqlite3_bind_int", library.bind_int);
    load_one("sqlite3_step", library.step);
    load_one("sqlite3_column_text", library.column_text);
    load_one("sqlite3_column_int64", library.column_int64);
    load_one("sqlite3_progress_handler", library.watch_progress);
    return library;
}
#endif

/// Loaded once and never unloaded. Thread-safe.
const Library& library() {
    static const Library kLoaded = load();
    return kLoaded;
}

using Database = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;
using Statement = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;

tl::unexpected<Error> database_error(sqlite3* database, int code, const std::string& path) {
    const int kind = code & 0xff;
    const Errc errc = kind == SQLITE_PERM || kind == SQLITE_AUTH        ? Errc::denied
                      : kind == SQLITE_BUSY || kind == SQLITE_LOCKED    ? Errc::busy
                      : kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN ? Errc::io
                                                                        : Errc::corrupt;
    const char* text = kind == SQLITE_INTERRUPT ? "takes longer than ten seconds"
                       : database != nullptr    ? library().message(database)
                                                : "out of memory";
    return fail(errc, path + ": " + text, kInstead);
}

/// SQLite would wait for a pipe, and has few words for a file that may not be read.
Status check_file(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path, kInstead);
    if (!S_ISREG(info.st_mode)) return fail(Errc::denied, path + ": is no ordinary file", kInstead);
    if (::access(path.c_str(), R_OK) != 0) return fail_errno(errno, path, kInstead);
    return {};
}

/// Whether the file has a log beside it in the mode WAL, and that log has nothing in it.
bool has_empty_log(const std::string& path) {
    std::array<std::byte, kVersions + 2> header{};
    const auto file = open_file(path, O_RDONLY);
    if (!file || !read_at(file->get(), header, 0)) return false;
    const bool has_log = header[kVersions] == kWal || header[kVersions + 1] == kWal;
    struct stat info {};
    return has_log && (::stat((path + "-wal").c_str(), &info) != 0 || info.st_size == 0);
}

/// How SQLite opens the file without writing beside it. It would make the files of an empty log.
std::string address_of(const std::string& path) {
    std::string address = "file:";
    for (const char letter : path) {
        const auto byte = static_cast<unsigned char>(letter);
        const bool is_plain = std::isalnum(byte) != 0 || std::strchr("/-_.~", letter) != nullptr;
        address += is_plain ? std::string(1, letter) : fmt::format("%{:02x}", byte);
    }
    return address + (has_empty_log(path) ? "?immutable=1" : "");
}

/// A view of the file may be a query without end.
int is_late(void* end) {
    return Clock::now() > *static_cast<Clock::time_point*>(end) ? 1 : 0;
}

/// Read-only. Functions of the schema are not run: another user may have written it.
Result<Database> open_database(const std::string& path) {
    const Library& sqlite = library();
    if (sqlite.is_short_of_memory) return fail_memory(kLibrary);
    if (!sqlite.is_complete)
        return fail(Errc::environment, std::string(kLibrary) + ", which reads labels, is not here",
                    "install it with 'apt install libsqlite3-0' or 'dnf install sqlite-libs', or "
                    "name the image file");
    SQUENV_TRY(check_file(path));
    sqlite3* raw = nullptr;
    const int code = sqlite.open(address_of(path).c_str(), &raw,
                                 SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
    Database database(raw, sqlite.close);
    if (code != SQLITE_OK) return database_error(raw, code, path);
    sqlite.busy_timeout(raw, kBusyTimeoutMs);
    sqlite.configure(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    return database;
}

void bind(sqlite3_stmt* statement, const Label& label, bool is_partial) {
    const Library& sqlite = library();
    const std::string* const texts[] = {&label.name, &label.version, &label.tag, &label.system,
                                        &label.uarch};
    int place = 1;
    for (const std::string* text : texts)
        sqlite.bind_text(statement, place++, text->c_str(), static_cast<int>(text->size()),
                         SQLITE_STATIC);
    sqlite.bind_int(statement, place++, is_partial ? 1 : 0);
    sqlite.bind_int(statement, place, label.may_be_digest() ? 1 : 0);
}

Record record_in(sqlite3_stmt* row) {
    const Library& sqlite = library();
    const auto text = [&](int column) -> std::string {
        const unsigned char* value = sqlite.column_text(row, column);
        return value != nullptr ? reinterpret_cast<const char*>(value) : "";
    };
    Record record;
    record.label = {text(0), text(1), text(2), text(3), text(4)};
    record.sha256 = text(5);
    record.id = text(6);
    record.date = text(7);
    record.size_bytes = static_cast<std::uint64_t>(sqlite.column_int64(row, 8));
    return record;
}

}  // namespace

Result<std::vector<Record>> query_records(const std::string& path, const Label& label,
                                          bool is_partial) {
    SQUENV_TRY_ASSIGN(const Database database, open_database(path));
    const Library& sqlite = library();
    sqlite3_stmt* raw = nullptr;
    int code = sqlite.prepare(database.get(), kQuery, -1, &raw, nullptr);
    const Statement statement(raw, sqlite.finalize);
    Clock::time_point end = Clock::now() + kPatience;
    sqlite.watch_progress(database.get(), kStepsPerLook, &is_late, &end);
    if (code != SQLITE_OK) return database_error(database.get(), code, path);
    bind(raw, label, is_partial);
    std::vector<Record> records;
    while ((code = sqlite.step(raw)) == SQLITE_ROW) records.push_back(record_in(raw));
    if (code != SQLITE_DONE) return database_error(database.get(), code, path);
    return records;
}

}  // namespace squenv::label
