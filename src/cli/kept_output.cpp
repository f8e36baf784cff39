// SPDX-License-Identifier: MIT
#include "cli/kept_output.h"

#include "cli/own_command.h"

namespace squenv::cli {

Result<KeptOutput> KeptOutput::of(const std::string& output, const char* verb, bool keep) {
    KeptOutput kept;
    if (!keep && !versions::are_kept(output)) return kept;
    SQUENV_TRY(versions::check_publish(output, keep));
    kept.output_ = output;
    kept.origin_ = {verb, own_command()};
    kept.keep_ = keep;
    kept.made_ = std::make_shared<std::uint64_t>(0);
    return kept;
}

pack::Replace KeptOutput::replace_for(const std::string& path) const {
    if (!made_ || path != output_) return {};
    return [*this](const std::string& fresh, const std::string& image) -> Status {
        SQUENV_TRY_ASSIGN(const auto version, versions::publish(fresh, image, origin_, keep_));
        *made_ = version.number;
        return {};
    };
}

}  // namespace squenv::cli
