// SPDX-License-Identifier: MIT
#include "verify/verify.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/memory.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"

namespace squenv::cli {

namespace {

class VerifyCommand final : public Command {
  public:
    const char* name() const override { return "verify"; }
    const char* summary() const override { return "Decode everything and report damage"; }
    void declare(Options options) override {
        image_.declare(options);
        options.add_flag("--json", is_json_, "Print a JSON object");
        options.add("-j,--jobs", options_.threads, "Threads; default: all processors")
            .type_name("N")
            .range(1, 256);
    }
    Status run(Io& io) override {
        return with_memory_errors(image_.path(), [&] { return verify(io); });
    }

  private:
    Status verify(Io& io) {
        const auto image = image_.open();
        if (!image) {
            // An image that cannot be opened gets the same object as one that is damaged.
            if (is_json_) print_json(io, {0, 0, 1, {image.error()}});
            return tl::unexpected(image.error());
        }
        auto report = verify::verify_image(**image, options_);
        const auto memory = fail_memory(image_.path() + ": is not checked as a whole",
                                        "it takes fewer threads (-j) or a higher limit");
        if (report.is_short_of_memory && is_json_) {
            report.errors.push_back(memory.value());
            ++report.error_count;
        }
        if (is_json_)
            print_json(io, report);
        else
            print_errors(io, "squenv verify", report.errors, report.error_count);
        if (report.is_short_of_memory) return memory;
        if (report.error_count != 0)
            return fail(Errc::corrupt, fmt::format("{}: {} objects are damaged", image_.path(),
                                                   report.error_count));
        if (io.is_verbose)
            io.err << fmt::format("squenv verify: {}: {} objects, {}: ok\n", image_.path(),
                                  report.objects, format_size(report.bytes));
        return {};
    }

    void print_json(Io& io, const verify::VerifyReport& report) const {
        auto errors = nlohmann::ordered_json::array();
        for (const auto& error : report.errors) errors.push_back(error.message());
        const nlohmann::ordered_json json{{"image", image_.path()},
                                          {"ok", report.errors.empty()},
                                          {"objects", report.objects},
                                          {"bytes", report.bytes},
                                          {"error_count", report.error_count},
                                          {"errors", errors}};
        io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    }

    ImageArgument image_;
    verify::VerifyOptions options_;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_verify_command() {
    return std::make_unique<VerifyCommand>();
}

}  // namespace squenv::cli
