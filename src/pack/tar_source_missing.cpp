// SPDX-License-Identifier: MIT
// Takes the place of tar_source.cpp in builds without libarchive.
#include "pack/tar_source.h"

namespace squenv::pack {

Result<std::unique_ptr<Source>> open_tar_source(const std::string& path, const std::string&,
                                                const Options&) {
    return fail(Errc::unsupported,
                path + ": squenv was built without libarchive, which reads archives",
                "unpack it and pack the directory, or build squenv with -Dtar=enabled");
}

}  // namespace squenv::pack
