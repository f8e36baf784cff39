// SPDX-License-Identifier: MIT
#include "venv/compiled_forms.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/environment.h"
#include "base/process.h"
#include "base/process_limits.h"
#include "base/room.h"
#include "venv/files.h"

namespace squenv::venv {

namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

/// A process that was told to end may just have made another file.
constexpr int kRemovals = 5;

/// Our variables but for those that would send the forms elsewhere or make others. The order in
/// sets, and so the forms, must not depend on a random seed.
Words variables(const std::string& directory) {
    constexpr std::array<std::string_view, 3> kOthers{
        "PYTHONPYCACHEPREFIX=", "PYTHONOPTIMIZE=", "PYTHONHASHSEED="};
    Words all = own_variables();
    std::erase_if(all, [&](const std::string& variable) {
        return std::any_of(kOthers.begin(), kOthers.end(),
                           [&](std::string_view name) { return variable.starts_with(name); });
    });
    all.push_back("PYTHONPYCACHEPREFIX=" + directory);
    all.push_back("PYTHONHASHSEED=0");
    return all;
}

/// The exit status. Errors: cancelled, internal (killed).
Result<int> run(const Words& command, const Words& settings, const std::atomic<bool>& cancel) {
    ProgramStart program{command, settings};
    // What it says is no result of ours, and our standard output may be a JSON object.
    program.output = STDERR_FILENO;
    // Its workers can be told to end with it.
    program.has_own_group = true;
    SQUENV_TRY_ASSIGN(const pid_t child, start_program(program));
    SQUENV_TRY_ASSIGN(const ProcessEnd end, wait_for(child, cancel));
    if (cancel) return fail(Errc::cancelled, "stopped on request; no image was written");
    if (end.was_killed)
        return fail(Errc::internal, command[0] + ": killed while it compiled the modules");
    return end.status;
}

/// Python 3.8 is the first that can put compiled forms elsewhere.
Status check_python(const std::string& python, const Words& settings,
                    const std::atomic<bool>& cancel) {
    const char* advice = "compile the modules yourself, or pack without --compile";
    if (::access(python.c_str(), X_OK) != 0) return fail_errno(errno, python, advice);
    SQUENV_TRY_ASSIGN(const int status, run({python, "-E", "-S", "-c",
                                             "import sys; sys.exit(sys.version_info < (3, 8))"},
                                            settings, cancel));
    if (status != 0)
        return fail(Errc::unsupported, python + ": is no Python 3.8 or later that works", advice);
    return {};
}

}  // namespace

CompiledForms::CompiledForms(CompiledForms&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      tree_(std::move(other.tree_)),
      is_complete_(other.is_complete_) {
}

CompiledForms::~CompiledForms() {
    if (directory_.empty()) return;
    std::error_code error;
    for (int i = 0; i < kRemovals && (i == 0 || error); ++i) fs::remove_all(directory_, error);
}

Status CompiledForms::make_directory(const std::string& root) {
    const std::string temporary = environment_variable("TMPDIR");
    std::error_code error;
    const fs::path parent = fs::canonical(temporary.empty() ? "/tmp" : temporary, error);
    if (error) return fail_errno(error.value(), temporary.empty() ? "/tmp" : "TMPDIR " + temporary);
    const fs::path real_root = fs::canonical(root, error);
    if (error) return fail_errno(error.value(), root);
    // What is made there would be packed.
    if ((parent.string() + '/').starts_with(real_root.string() + '/'))
        return fail(Errc::invalid_argument, "TMPDIR " + parent.string() + " is in the tree",
                    "name a directory outside of it");
    std::string name = (parent / "squenv-compile-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        return fail_errno(errno, parent.string() + ": compiled modules are made there",
                          "name another directory in TMPDIR, or pack without --compile");
    directory_ = name;
    tree_ = directory_ + root;
    fs::create_directories(tree_, error);
    if (error) return fail_errno(error.value(), tree_);
    return {};
}

Status CompiledForms::fill_caches() const {
    std::error_code error;
    std::vector<fs::path> forms;
    for (fs::recursive_directory_iterator entry(tree_, error), end; !error && entry != end;
         entry.increment(error))
        if (entry->path().extension() == ".pyc" && entry->is_regular_file(error))
            forms.push_back(entry->path());
    for (const fs::path& form : forms) {
        const fs::path cache = form.parent_path() / "__pycache__";
        if (!error) fs::create_directory(cache, error);
        if (!error) fs::rename(form, cache / form.filename(), error);
    }
    if (error) return fail_errno(error.value(), tree_);
    return {};
}

Result<CompiledForms> CompiledForms::make(const Environment& environment,
                                          const std::vector<int>& levels,
                                          const std::atomic<bool>& cancel) {
    CompiledForms forms;
    SQUENV_TRY(forms.make_directory(environment.root));
    const std::string python = environment.root + "/bin/python";
    const Words settings = variables(forms.directory_);
    SQUENV_TRY(check_python(python, settings, cancel));
    for (const int level : levels) {
        // -B: what compileall itself imports is none of ours.
        Words command{python, "-B"};
        if (level > 0) command.push_back(level == 1 ? "-O" : "-OO");
        const Words rest{"-m",
                         "compileall",
                         "-q",
                         "-j",
                         has_semaphores() ? "0" : "1",
                         "--invalidation-mode",
                         "unchecked-hash",
                         join(environment.root, environment.library)};
        command.insert(command.end(), rest.begin(), rest.end());
        SQUENV_TRY_ASSIGN(const int status, run(command, settings, cancel));
        forms.is_complete_ = forms.is_complete_ && status == 0;
        if (const auto room = try_room(forms.directory_); !room)
            return fail(room.error().code, room.error().message() + ": no room for all forms",
                        "set TMPDIR to a directory with more room; no image was written");
    }
    SQUENV_TRY(forms.fill_caches());
    return forms;
}

}  // namespace squenv::venv
