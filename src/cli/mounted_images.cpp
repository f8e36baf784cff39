// SPDX-License-Identifier: MIT
#include "cli/mounted_images.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/paths.h"
#include "mount/answer.h"
#include "mount/live_statistics.h"
#include "system/mount_table.h"

namespace squenv::cli {

MountedImages::Known MountedImages::ask() {
    Known known;
    auto entries = system::read_mount_table();
    if (!entries) return known;
    std::erase_if(*entries, [](const system::MountEntry& entry) {
        return !entry.is_squenv() || !entry.is_trusted_by(::geteuid());
    });
    std::vector<mount::Question> questions;
    for (const auto& entry : *entries) questions.push_back({entry.mountpoint, &entry});
    const auto answers = mount::query_all_statistics(questions, mount::kQueryTimeout);
    for (std::size_t i = 0; i < entries->size(); ++i) {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::string identity;
        if (answers[i])
            if (const auto answer = mount::parse_answer(*answers[i]))
                identity = mount::text_in(*answer, "identity").value_or("");
        if (std::istringstream(identity) >> device >> inode)
            known.files.emplace(device, inode);
        else
            known.paths.insert((*entries)[i].source);
    }
    return known;
}

bool MountedImages::operator()(const std::string& path, std::uint64_t device, std::uint64_t inode) {
    if (!known_) known_ = std::make_shared<const Known>(ask());
    return known_->files.contains({device, inode}) || known_->paths.contains(real_path(path));
}

}  // namespace squenv::cli
