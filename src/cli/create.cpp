// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <sstream>

#include "base/paths.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/pack_steps.h"
#include "cli/stop_signal.h"
#include "create/build.h"
#include "create/needed_room.h"
#include "create/record.h"
#include "create/staging_place.h"
#include "image/walk.h"
#include "run/destination.h"
#include "venv/packages.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr const char* kCreate = "squenv create";

/// The lines of a tool that are shown when it failed, and was to be quiet.
constexpr std::size_t kLastLines = 20;

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// The file that gets what the tools print, when the user wants to hear errors only.
class QuietOutput {
  public:
    [[nodiscard]] static Result<QuietOutput> make() {
        UniqueFd file(::memfd_create("squenv-create", MFD_CLOEXEC));
        if (!file) return fail_errno(errno, "memfd_create");
        return QuietOutput(std::move(file));
    }
    [[nodiscard]] int descriptor() const { return file_.get(); }
    [[nodiscard]] std::vector<std::string> last_lines() const {
        std::array<char, 16384> piece{};
        const off_t size = ::lseek(file_.get(), 0, SEEK_END);
        const off_t begin = std::max<off_t>(0, size - static_cast<off_t>(piece.size()));
        const ssize_t got = ::pread(file_.get(), piece.data(), piece.size(), begin);
        std::istringstream text(
            std::string(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))));
        std::vector<std::string> lines;
        for (std::string line; std::getline(text, line);) lines.push_back(line);
        if (lines.size() > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
        return lines;
    }

  private:
    explicit QuietOutput(UniqueFd file) : file_(std::move(file)) {}
    UniqueFd file_;
};

class CreateCommand final : public Command {
  public:
    const char* name() const override { return "create"; }
    const char* summary() const override { return "Make an environment, and an image of it"; }
    void declare(Options options) override;
    std::vector<std::string>* remainder() override { return &arguments_; }
    bool remainder_needs_dashes() const override { return true; }
    const char* usage_tail() const override { return "[-- ARG...]"; }
    Status run(Io& io) override;

  private:
    [[nodiscard]] Result<std::string> at() const;
    [[nodiscard]] create::KnownSizes known_sizes() const;
    [[nodiscard]] Result<create::Staging> make_staging(Io& io) const;
    [[nodiscard]] std::vector<std::string> words() const;
    /// Fills the staging directory.
    [[nodiscard]] Status install(Io& io, create::Staging& staging, const std::string& at);
    [[nodiscard]] Status run_plan(Io& io, const create::Plan& plan, const create::Staging& staging,
                                  const create::Place& place);
    [[nodiscard]] Status pack(Io& io, const create::Staging& staging, const std::string& at);
    void close(Io& io, const create::Staging& staging, const pack::Report& report,
               const Surroundings& around) const;

    std::vector<std::string> inputs_;
    std::vector<std::string> requirements_;
    std::vector<std::string> arguments_;
    std::string output_;
    std::string at_;
    std::string staging_;
    std::string python_;
    std::string index_url_;
    std::string warm_;
    bool has_system_packages_ = false;
    bool is_forced_ = false;
    bool keeps_ = false;
    bool is_json_ = false;

    create::Inputs recognised_;
    create::Tools tools_;
    Creation creation_;
    std::chrono::steady_clock::time_point begin_{};
};

void CreateCommand::declare(Options options) {
    options.add("WHAT", inputs_, "Packages, a project, a lock or environment.yml");
    options.add("-o,--output", output_, "The image").type_name("IMAGE").required();
    options.add("-r,--requirement", requirements_, "A file of requirements; repeatable")
        .type_name("FILE")
        .one_value_each();
    options.add("--at", at_, "Its path; default: IMAGE without .squashfs").type_name("PATH");
    options.add("--python", python_, "The Python: a version or a path").type_name("PYTHON");
    options.add_flag("--system-site-packages", has_system_packages_,
                     "It also sees the packages of that Python");
    options.add("--index-url", index_url_, "Where packages come from").type_name("URL");
    options.add("--staging", staging_, "Make it in this directory; default: the fastest")
        .type_name("DIR");
    options.add("--warm", warm_, "Record this command, store what it needs first")
        .type_name("COMMAND");
    options.add_flag("-f,--force", is_forced_, "Replace the image when it exists");
    options.add_flag("--keep", keeps_, "With -f: keep what is replaced as a version");
    options.add_flag("--json", is_json_, "Print the summary as a JSON object");
    options.footer("ARGs after -- are for the installer: uv, pip, micromamba, mamba or conda.");
}

/// The path the environment will have. Its last part need not exist.
Result<std::string> CreateCommand::at() const {
    std::string path = at_;
    if (path.empty()) {
        for (const char* suffix : {".squashfs", ".sqfs", ".sqsh", ".sfs"})
            if (output_.ends_with(suffix))
                path = output_.substr(0, output_.size() - std::string_view(suffix).size());
        if (path.empty() || path.ends_with('/'))
            return fail(Errc::invalid_argument,
                        output_ + ": its name says no path for the environment",
                        "name it with --at, or call the image NAME.squashfs");
        SQUENV_TRY_ASSIGN(const std::string parent, existing_path(directory_of(path)));
        path = (parent == "/" ? "" : parent) + '/' + path.substr(path.rfind('/') + 1);
    }
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    auto status = run::check_recorded_destination(path, path);
    if (status) return path;
    Error error = status.error();
    error.hint = "name another path with --at";
    return with_context(std::move(error), output_);
}

create::KnownSizes CreateCommand::known_sizes() const {
    create::KnownSizes sizes;
    sizes.locked = create::locked_bytes(recognised_);
    const auto replaced = image::Image::open(output_);
    if (!replaced) return sizes;
    sizes.replaced = image::unpacked_bytes(**replaced);
    const auto manifest = (*replaced)->manifest();
    sizes.has_same_inputs =
        manifest && *manifest && (*manifest)->creation.inputs == creation_.inputs;
    return sizes;
}

Result<create::Staging> CreateCommand::make_staging(Io& io) const {
    const auto candidates = create::staging_candidates(directory_of(output_));
    for (const std::string& directory : candidates) create::sweep_staging(directory);
    std::string chosen = staging_;
    if (chosen.empty()) {
        const std::uint64_t needed = create::needed_room(known_sizes());
        if (io.is_verbose)
            io.err << kCreate << ": asks for " << format_size(needed) << " of room\n";
        std::vector<create::StagingPlace> places;
        for (const std::string& directory : candidates)
            places.push_back(create::inspect_staging_place(directory));
        SQUENV_TRY_ASSIGN(chosen, create::choose_staging_place(places, needed));
    } else {
        create::sweep_staging(chosen);
        SQUENV_TRY(create::check_staging_place(create::inspect_staging_place(chosen)));
    }
    SQUENV_TRY_ASSIGN(chosen, existing_path(chosen));
    if (io.is_verbose) io.err << kCreate << ": staging in " << printable(chosen) << '\n';
    return create::Staging::make(chosen);
}

std::vector<std::string> CreateCommand::words() const {
    std::vector<std::string> words{"squenv", "create", "-o", output_};
    for (const auto& [option, value] : {std::pair{"--at", at_},
                                        {"--python", python_},
                                        {"--index-url", index_url_},
                                        {"--warm", warm_}})
        if (!value.empty()) words.insert(words.end(), {option, value});
    if (has_system_packages_) words.emplace_back("--system-site-packages");
    for (const std::string& file : requirements_) words.insert(words.end(), {"-r", file});
    words.insert(words.end(), inputs_.begin(), inputs_.end());
    if (!arguments_.empty()) words.emplace_back("--");
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    return words;
}

Status CreateCommand::run_plan(Io& io, const create::Plan& plan, const create::Staging& staging,
                               const create::Place& place) {
    if (io.is_verbose)
        for (const auto& step : plan.steps)
            io.err << kCreate << ": " << printable(create::quoted(step.words)) << '\n';
    io.err.flush();
    create::BuildOptions options{staging.lock(), STDERR_FILENO};
    std::optional<QuietOutput> quiet;
    if (io.is_quiet) {
        SQUENV_TRY_ASSIGN(quiet, QuietOutput::make());
        options.output = quiet->descriptor();
    }
    const auto failed = create::build(plan, staging, place, options, StopSignal::flag());
    if (!failed) {
        if (quiet)
            for (const std::string& line : quiet->last_lines()) io.err << printable(line) << '\n';
        return tl::unexpected(failed.error());
    }
    if (!failed->empty() && !io.is_quiet)
        io.err << kCreate << ": some modules could not be compiled\n";
    return {};
}

Status CreateCommand::install(Io& io, create::Staging& staging, const std::string& at) {
    SQUENV_TRY_ASSIGN(const auto place,
                      create::Place::make(staging, at, static_cast<bool>(tools_.uv)));
    if (io.is_verbose && place.placement() == create::Placement::elsewhere)
        io.err << kCreate << ": no namespace here; the environment is made relocatable\n";
    create::PlanOptions options{place.path(), place.placement() != create::Placement::elsewhere,
                                python_,      has_system_packages_,
                                index_url_,   staging.temporary(),
                                arguments_};
    SQUENV_TRY_ASSIGN(const auto plan, create::make_plan(recognised_, tools_, options));
    SQUENV_TRY(run_plan(io, plan, staging, place));
    if (place.placement() != create::Placement::link) return {};
    const std::string mention = create::find_mention(staging.tree(), staging.tree());
    if (mention.empty()) return {};
    return fail(Errc::environment,
                mention + ": has the path " + staging.tree() + " in it instead of " + at,
                "make it on a machine with user namespaces; 'squenv doctor' says what is missing");
}

Status CreateCommand::pack(Io& io, const create::Staging& staging, const std::string& at) {
    if (tools_.python) create::add_pip(staging.tree(), creation_);
    PackSteps steps(
        kCreate, PackArguments::of_tree({staging.tree(), output_, at, warm_, is_forced_, keeps_}),
        MadeTree{at, creation_});
    SQUENV_TRY_ASSIGN(const pack::Report report, steps.run(io));
    close(io, staging, report, steps.around());
    return {};
}

void CreateCommand::close(Io& io, const create::Staging& staging, const pack::Report& report,
                          const Surroundings& around) const {
    const auto found = venv::installed_packages(venv::DirectoryTree(staging.tree()));
    const std::size_t packages = found ? found->size() : 0;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    if (is_json_) {
        auto json = nlohmann::ordered_json::parse(as_json(output_, report, around));
        json["packages"] = packages;
        json["seconds"] = seconds;
        json["tools"] = creation_.tools;
        json["command"] = creation_.command;
        io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    }
    if (!io.is_quiet)
        io.err << fmt::format(
            "{}: {}: {}{} packages, {} files before, one file of {} after, {:.1f} s\n", kCreate,
            printable(output_),
            around.version == 0 ? "" : fmt::format("version {}: ", around.version), packages,
            report.files, format_size(report.image_bytes), seconds);
}

Status CreateCommand::run(Io& io) {
    begin_ = std::chrono::steady_clock::now();
    // From here on a signal leaves nothing.
    const StopSignal stop;
    if (keeps_ && !is_forced_)
        return fail(Errc::invalid_argument, "--keep keeps what --force replaces",
                    "add --force, or leave it out");
    SQUENV_TRY_ASSIGN(recognised_, create::recognise_inputs(requirements_, inputs_));
    pack::Options options;
    options.replaces_output = is_forced_;
    SQUENV_TRY(pack::check_output(output_, options));
    SQUENV_TRY(versions::check_new_name(output_));
    SQUENV_TRY_ASSIGN(const std::string path, at());
    SQUENV_TRY_ASSIGN(tools_, create::find_tools(recognised_, python_));
    // What is missing is said before anything is made.
    create::PlanOptions asked{path,       true, python_,   has_system_packages_,
                              index_url_, "",   arguments_};
    SQUENV_TRY(create::make_plan(recognised_, tools_, asked));
    SQUENV_TRY_ASSIGN(creation_, create::describe(recognised_, tools_, words()));
    SQUENV_TRY_ASSIGN(auto staging, make_staging(io));
    SQUENV_TRY(install(io, staging, path));
    if (StopSignal::flag())
        return fail(Errc::cancelled, "stopped on request; no image was written");
    return pack(io, staging, path);
}

}  // namespace

std::unique_ptr<Command> make_create_command() {
    return std::make_unique<CreateCommand>();
}

}  // namespace squenv::cli
