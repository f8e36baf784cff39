// SPDX-License-Identifier: MIT
// Takes the place of tar_source.cpp in builds without libarchive.
#include "pack/tar_source.h"

namespace squenv::pack {

Result<std::unique_ptr<Source>> open_tar_source(const std::string& path, const std::string&,
                                                const Options&) {
    return fail(Errc::unsupported, path + ": this build of squenv cannot read archives",
                "unpack it and pack the directory");
}

}  // namespace squenv::pack
