// SPDX-License-Identifier: MIT

#include <ostream>

#include "cli/command.h"
#include "cli/image_argument.h"

namespace squenv::cli {

namespace {

constexpr std::uint64_t kStep = 1 << 20;

class CatCommand final : public Command {
  public:
    const char* name() const override { return "cat"; }
    const char* summary() const override { return "Print files of an image"; }
    void declare(Options options) override {
        image_.declare(options);
        options.add("PATH", paths_, "Inside the image").required();
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto image, image_.open());
        for (const auto& path : paths_) SQUENV_TRY(print(io, *image, path));
        return {};
    }

  private:
    static Status print(Io& io, const image::Image& image, const std::string& path) {
        SQUENV_TRY_ASSIGN(const auto inode, image.resolve(path));
        if (!inode.is_file())
            return fail(Errc::invalid_argument, path + ": not a regular file",
                        "'squenv ls -l' shows what it is");
        for (std::uint64_t offset = 0; offset < inode.size_bytes && io.out; offset += kStep) {
            auto slices = image.data().read(inode, offset, kStep);
            if (!slices) return with_context(slices.error(), path);
            for (const auto& slice : *slices)
                io.out.write(reinterpret_cast<const char*>(slice.bytes.data()),
                             static_cast<std::streamsize>(slice.bytes.size()));
        }
        return {};
    }

    ImageArgument image_;
    std::vector<std::string> paths_;
};

}  // namespace

std::unique_ptr<Command> make_cat_command() {
    return std::make_unique<CatCommand>();
}

}  // namespace squenv::cli
