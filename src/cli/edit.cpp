// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>
#include <ostream>
#include <utility>

#include "base/memory.h"
#include "base/paths.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/edit_session.h"
#include "cli/edit_version.h"
#include "cli/init_process.h"
#include "cli/launch.h"
#include "cli/stop_signal.h"
#include "edit/overlay.h"
#include "edit/session.h"
#include "edit/staging.h"
#include "edit/written.h"
#include "extract/extract.h"
#include "image/walk.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr const char* kEditPrefix = "squenv edit: ";

class EditCommand final : public Command {
  public:
    const char* name() const override { return "edit"; }
    const char* summary() const override { return "Change an image: a writable shell or command"; }
    void declare(Options options) override;
    std::vector<std::string>* remainder() override { return &command_; }
    const char* usage_tail() const override { return "[-- CMD [ARG...]]"; }
    const char* stray_word_hint() const override { return "write '--' before the command"; }
    int failure_status(Errc code) const override {
        return status_ ? *status_ : launch_status(false, code);
    }
    Status run(Io& io) override;

  private:
    void say(Io& io, const std::string& text) const {
        if (!io.is_quiet) io.err << kEditPrefix << printable_lines(text) << '\n';
    }
    Status check_arguments() const;
    /// What is left of an earlier session, dealt with as the user asks.
    Status look_back(Io& io);
    Status discard(Io& io, const edit::Session& left) const;
    Status resume(const edit::Session& left);
    Status begin(Io& io);
    /// The image, and whether a version can be put beside it.
    Status find_image();
    Status stage(Io& io);
    Status unpack(const image::Image& image);
    Result<EditEnd> edit(Io& io);
    Result<EditEnd> run_session(Io& io);
    Result<EditEnd> edit_unpacked(Io& io, const Error& refusal);
    Status finish(Io& io, const EditEnd& end);
    Status keep(Io& io, const EditEnd& end);
    /// An error of packing, with what has become of the changes.
    [[nodiscard]] Error kept(Error error) const;
    /// Ends with the status of the command.
    Status pass_on(int status);

    LaunchOptions options_;
    std::string staging_;
    bool resumes_ = false;
    bool discards_ = false;
    std::vector<std::string> command_;

    std::string image_;  ///< canonical
    std::string base_;   ///< the file of the version that is edited
    FileIdentity current_;
    versions::Version version_;  ///< the current one
    Launch launch_;
    std::optional<edit::Session> left_;
    edit::Session session_;
    UniqueFd hold_;
    std::unique_ptr<VersionMaker> maker_;
    std::optional<int> status_;
    std::optional<StopSignal> stop_;  ///< once the command has ended, until the session is gone
};

void EditCommand::declare(Options options) {
    options.add("IMAGE", options_.images, "IMAGE[:PATH]").required();
    options.add("--env", options_.variables, "Set a variable; may be repeated")
        .type_name("NAME=VALUE")
        .one_value_each();
    options.add("--staging", staging_, "Keep the changes in DIR until they are packed")
        .type_name("DIR");
    options.add_flag("--resume", resumes_, "Go on with a session that was not ended");
    options.add_flag("--discard", discards_, "Throw such a session away");
    options.add_flag("--force", options_.force, "Also at another path than it was made for");
    options.footer("Without CMD: a shell; 'exit' leaves it and makes the next version.");
}

Status EditCommand::check_arguments() const {
    if (resumes_ && discards_)
        return fail(Errc::invalid_argument, "--resume and --discard exclude each other",
                    "choose one");
    if (discards_ && !command_.empty())
        return fail(Errc::invalid_argument, "--discard runs no command", "leave the command out");
    if (resumes_ && !staging_.empty())
        return fail(Errc::invalid_argument, "--staging: a session stays where it was begun",
                    "leave it out with --resume");
    return {};
}

Status EditCommand::find_image() {
    SQUENV_TRY_ASSIGN(const auto list, parse_image_list(options_.images));
    if (list.size() != 1)
        return fail(Errc::invalid_argument, options_.images + ": one image is edited at a time",
                    "name one image");
    SQUENV_TRY_ASSIGN(const std::string file, versions::resolve(list.front().image));
    if (file != list.front().image)
        return fail(Errc::invalid_argument,
                    list.front().image + ": only the newest version is edited",
                    "'squenv rollback IMAGE --to N' makes an older one the newest");
    auto path = existing_path(list.front().image);
    if (!path && path.error().sys_errno == ENOENT)
        path.error().hint = "'squenv pack' or 'squenv create' makes an image";
    SQUENV_TRY_ASSIGN(image_, std::move(path));
    const std::string directory = std::filesystem::path(image_).parent_path().string();
    if (::access(directory.c_str(), W_OK | X_OK) != 0)
        return fail_errno(errno, directory + ": the next version cannot be put there",
                          "copy the image to a directory of yours, and edit it there");
    return {};
}

Status EditCommand::look_back(Io& io) {
    SQUENV_TRY_ASSIGN(left_, edit::find_session(image_));
    if (left_ && !left_->is_begun) {
        edit::end_session(*left_);
        left_.reset();
    }
    if (!left_ && (resumes_ || discards_))
        return fail(Errc::not_found, image_ + ": no session of yours was left",
                    "leave --resume and --discard out");
    if (!left_) return {};
    const bool is_here = left_->host == edit::host_name();
    std::error_code error;
    const bool is_lost = is_here && !std::filesystem::is_directory(left_->staging, error);
    if (is_lost) {
        const std::string text = fmt::format("{}: the changes of the session {} are lost with {}",
                                             image_, edit::describe(*left_), left_->staging);
        edit::end_session(*left_);
        left_.reset();
        if (resumes_) return fail(Errc::not_found, text, "leave --resume out");
        say(io, text);
        return {};
    }
    if (is_here) {
        SQUENV_TRY_ASSIGN(hold_, edit::hold_session(*left_));
    }
    if (discards_) return {};
    if (!resumes_)
        return fail(Errc::exists,
                    fmt::format("{}: the session {} was not ended", image_, edit::describe(*left_)),
                    "--resume goes on with it, --discard throws its changes away");
    if (!is_here)
        return fail(Errc::not_found,
                    fmt::format("{}: the changes of that session are on {}, in {}", image_,
                                left_->host, left_->staging),
                    "resume it there");
    return resume(*left_);
}

Status EditCommand::discard(Io& io, const edit::Session& left) const {
    edit::end_session(left);
    say(io, fmt::format("{}: the session {} is thrown away", image_, edit::describe(left)));
    if (left.host != edit::host_name())
        say(io, fmt::format("its changes on {} are left in {}", left.host, left.staging));
    return {};
}

/// The changes are over one version, which need not be the current one any more.
Status EditCommand::resume(const edit::Session& left) {
    session_ = left;
    session_.pid = ::getpid();
    options_.force = true;  // its place was accepted when it began
    if (version_.number == left.parent && version_.digest == left.parent_digest) return {};
    SQUENV_TRY_ASSIGN(const auto all, versions::history(image_));
    for (const auto& version : all)
        if (version.number == left.parent && version.digest == left.parent_digest &&
            !version.path.empty()) {
            base_ = version.path;
            return {};
        }
    return fail(Errc::not_found,
                fmt::format("{}: version {}, which the session {} changes, is gone", image_,
                            left.parent, edit::describe(left)),
                "--discard throws its changes away");
}

Status EditCommand::unpack(const image::Image& image) {
    const StopSignal stop;
    extract::ExtractOptions options;
    options.cancel = &StopSignal::flag();
    SQUENV_TRY_ASSIGN(const auto report,
                      extract::extract_tree(image, image.root(), session_.tree(), options));
    if (report.is_cancelled)
        return fail(Errc::cancelled, "stopped on request; the image is unchanged");
    if (!report.errors.empty()) return tl::unexpected(report.errors.front().joined());
    return edit::mark_unpacked(session_);
}

/// Makes a place for the changes.
Status EditCommand::stage(Io& io) {
    const auto& request = launch_.images.front().wanted.request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.file, request.image));
    if (image->offset() != 0 || image->is_streamed())
        return fail(Errc::unsupported, image_ + ": is no plain image",
                    "pack what is in it first: squenv pack --from-image");
    const std::string beside = std::filesystem::path(image_).parent_path().string();
    session_.image = image_;
    session_.mountpoint = request.mountpoint;
    session_.host = edit::host_name();
    session_.started = std::time(nullptr);
    session_.pid = ::getpid();
    session_.parent = version_.number;
    session_.parent_digest = version_.digest;
    const auto announce = [this](const std::string& directory) {
        session_.staging = directory;
        return edit::record_session(session_);
    };
    SQUENV_TRY_ASSIGN(
        const auto staging,
        edit::make_staging(staging_, beside, image::unpacked_bytes(*image), announce));
    session_.kind = staging.kind;
    SQUENV_TRY_ASSIGN(hold_, edit::hold_session(session_));
    if (session_.kind == edit::Kind::overlay)
        return edit::make_layers(session_.layers(), image->root());
    say(io, fmt::format("{}: is unpacked, and packed as a whole afterwards: {}", image_,
                        staging.refusal));
    return unpack(*image);
}

Status EditCommand::begin(Io& io) {
    auto options = options_;
    options.via = "userns";
    // The recorded path of the version stays the user's choice.
    const std::string path = left_ ? left_->mountpoint : std::string();
    if (left_) options.images = escaped(base_, ",:") + ':' + escaped(path, ",:");
    // A file of another owner could not be copied up in a user namespace.
    if (!edit::shows_owners())
        options.mount_options = {fmt::format("uid={},gid={}", ::geteuid(), ::getegid())};
    // The session has an overlay of its own.
    options.mount_options.emplace_back("overlay=off");
    SQUENV_TRY_ASSIGN(launch_, prepare_launch(options, io));
    auto status = left_ ? Status() : stage(io);
    session_.is_begun = true;
    if (status) status = edit::record_session(session_);
    if (!status && !left_ && !session_.staging.empty()) edit::end_session(session_);
    launch_.inherited_fds.push_back(hold_.get());
    return status;
}

/// The whole image is unpacked when the machine refuses what the trial did not need.
Result<EditEnd> EditCommand::edit_unpacked(Io& io, const Error& refusal) {
    if (left_ || session_.kind == edit::Kind::tree) return tl::unexpected(refusal);
    maker_.reset();
    const auto& request = launch_.images.front().wanted.request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.file, request.image));
    session_.kind = edit::Kind::tree;
    say(io, fmt::format("{}: is unpacked, and packed as a whole afterwards: {}", image_,
                        refusal.message()));
    SQUENV_TRY(unpack(*image));
    SQUENV_TRY(edit::record_session(session_));
    return run_session(io);
}

Result<EditEnd> EditCommand::run_session(Io& io) {
    std::vector<std::string> words{"squenv", "edit", options_.images};
    if (!command_.empty()) words.emplace_back("--");
    words.insert(words.end(), command_.begin(), command_.end());
    maker_ =
        std::make_unique<VersionMaker>(EditedImage{session_,
                                                   launch_.images.front().wanted.request.file,
                                                   current_,
                                                   {"edit", command_line(words), session_.parent}});
    return run_edit_session({launch_, session_, hold_, command_}, io,
                            [this] { maker_->prepare(); });
}

Result<EditEnd> EditCommand::edit(Io& io) {
    auto end = run_session(io);
    if (!end) end = edit_unpacked(io, end.error());
    if (!end && !left_) edit::end_session(session_);
    return end;
}

Status EditCommand::pass_on(int status) {
    status_ = status;
    return status == 0 ? Status() : Status(fail(Errc::internal, ""));
}

Status EditCommand::keep(Io& io, const EditEnd& end) {
    say(io, fmt::format("{}: is unchanged; --resume goes on with the session, --discard throws its "
                        "changes away",
                        image_));
    return pass_on(end.status);
}

Error EditCommand::kept(Error error) const {
    const std::string text =
        fmt::format("the changes are kept: 'squenv edit {} --resume -- true' packs them", image_);
    if (is_short_of_memory(error))
        error.hint = "it takes a higher limit; " + text;
    else if (error.code == Errc::limit)
        error.hint = "free some space; " + text;
    else if (error.hint.find("--resume") == std::string::npos)
        error.hint += (error.hint.empty() ? "" : "; ") + text;
    return error;
}

Status EditCommand::finish(Io& io, const EditEnd& end) {
    const bool is_shell = command_.empty();
    if (end.is_lost || (is_shell && end.was_killed)) return keep(io, end);
    if (!is_shell && end.status != 0) {
        edit::end_session(session_);
        say(io, fmt::format("{}: is unchanged: {} failed with status {}", image_, command_.front(),
                            end.status));
        return pass_on(end.status);
    }
    const auto next = with_memory_errors(image_, [&] { return maker_->make(io); });
    if (!next) return tl::unexpected(kept(next.error()));
    edit::end_session(session_);
    if (!*next) {
        say(io, image_ + ": nothing was changed, no version was made");
        return {};
    }
    const auto& [changes, report, version] = **next;
    if (!version.access_note.empty()) say(io, version.access_note);
    say(io, fmt::format("{}: version {}: {} written, {} removed, {}", image_, version.number,
                        changes.written, changes.removed, format_size(report.image_bytes)));
    return {};
}

Status EditCommand::run(Io& io) {
    SQUENV_TRY(check_arguments());
    stay_as_init();
    guard_standard_fds();
    SQUENV_TRY(find_image());
    // Before the descriptors are listed that no daemon shall keep.
    SQUENV_TRY_ASSIGN(const auto lock, versions::EditorLock::take(image_));
    SQUENV_TRY_ASSIGN(current_, identity_at(image_));
    SQUENV_TRY_ASSIGN(version_, versions::current(image_));
    base_ = image_;
    SQUENV_TRY(look_back(io));
    if (discards_) return discard(io, *left_);
    SQUENV_TRY(begin(io));
    SQUENV_TRY_ASSIGN(const EditEnd end, edit(io));
    stop_.emplace();
    return finish(io, end);
}

}  // namespace

std::unique_ptr<Command> make_edit_command() {
    return std::make_unique<EditCommand>();
}

}  // namespace squenv::cli
