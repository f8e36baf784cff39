// SPDX-License-Identifier: MIT
#include "label/repository.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "label/database.h"

namespace squenv::label {

namespace {

constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kMostListed = 20;

std::string image_of(const Repository& repository, const std::string& sha256) {
    return repository.path + "/images/" + sha256 + "/store.squashfs";
}

/// Images by the names of their directories.
std::vector<Record> records_by_digest(const Repository& repository, const std::string& begin) {
    std::vector<Record> records;
    std::error_code error;
    std::filesystem::directory_iterator entry(repository.path + "/images", error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.size() != kDigestDigits || !is_digest_begin(name) || !name.starts_with(begin))
            continue;
        Record record;
        record.sha256 = name;
        record.id = name.substr(0, kIdDigits);
        records.push_back(std::move(record));
    }
    std::sort(records.begin(), records.end(),
              [](const Record& one, const Record& other) { return one.sha256 < other.sha256; });
    return records;
}

Result<std::vector<Record>> records_in(const Repository& repository, const Label& label,
                                       bool is_partial) {
    const std::string database = repository.path + "/index.db";
    const bool is_digest = label.may_be_digest();
    std::vector<Record> records;
    if (::access(database.c_str(), F_OK) == 0) {
        auto found = query_records(database, label, is_partial);
        if (!found && !is_digest) return tl::unexpected(found.error());
        if (found) records = std::move(*found);
    }
    // What index.db names is only a digest, never a way out of the repository.
    std::erase_if(records, [](const Record& record) {
        return record.sha256.size() != kDigestDigits || !is_digest_begin(record.sha256);
    });
    if (records.empty() && is_digest) records = records_by_digest(repository, label.name);
    for (Record& record : records) record.image = image_of(repository, record.sha256);
    return records;
}

std::string candidates(const std::vector<Record>& records) {
    std::string lines;
    for (std::size_t i = 0; i < std::min(records.size(), kMostListed); ++i) {
        const std::string text = text_of(records[i].label);
        lines += std::string(kNextLine) + text + (text.empty() ? "" : " ") + records[i].id;
    }
    if (records.size() > kMostListed)
        lines += std::string(kNextLine) + "and " + std::to_string(records.size() - kMostListed) +
                 " more";
    return lines;
}

}  // namespace

Result<std::vector<Record>> list_records(const std::vector<Repository>& repositories,
                                         const Label& label, bool is_partial) {
    std::vector<Record> all;
    for (const Repository& repository : repositories) {
        SQUENV_TRY_ASSIGN(auto records, records_in(repository, label, is_partial));
        all.insert(all.end(), std::make_move_iterator(records.begin()),
                   std::make_move_iterator(records.end()));
    }
    return all;
}

Result<std::optional<Record>> find_record(const std::vector<Repository>& repositories,
                                          const Label& label) {
    for (const Repository& repository : repositories) {
        SQUENV_TRY_ASSIGN(const auto records, records_in(repository, label, false));
        if (records.empty()) continue;
        const bool is_one = std::all_of(records.begin(), records.end(), [&](const Record& record) {
            return record.sha256 == records.front().sha256;
        });
        if (is_one) return std::optional(records.front());
        return fail(Errc::invalid_argument,
                    text_of(label) + ": several uenvs have this label in " + repository.path +
                        candidates(records),
                    std::string(kNextLine) + "write more of the label, or the id");
    }
    return std::optional<Record>();
}

}  // namespace squenv::label
