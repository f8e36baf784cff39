// SPDX-License-Identifier: MIT
#include "cli/mount_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <system_error>

#include "base/units.h"
#include "system/mount_table.h"

namespace squenv::cli {

namespace {

constexpr std::uint64_t kMaxId = std::numeric_limits<std::uint32_t>::max() - 1;
constexpr std::uint64_t kMaxThreads = 256;
constexpr std::uint64_t kMaxTimeout = 1U << 30;
constexpr std::uint64_t kMinCache = 1U << 20;
constexpr std::uint64_t kMaxCache = 1ULL << 40;

/// The permission bits that umask can take.
constexpr std::uint32_t kMaxUmask = 0777;
/// What a read-only, untrusted image can never be.
constexpr std::array kImpossible{"rw", "suid", "dev"};

struct NamedOption {
    std::string name;
    std::string value;
    bool has_value = false;
};

std::vector<NamedOption> split(const std::string& text, Dialect dialect) {
    std::vector<std::string> words(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size())
            words.back() += text[++i];
        else if (text[i] == '"' && dialect == Dialect::mount)
            is_quoted = !is_quoted;
        else if (text[i] == ',' && !is_quoted)
            words.emplace_back();
        else
            words.back() += text[i];
    }
    std::vector<NamedOption> options;
    for (const auto& word : words) {
        if (word.empty()) continue;
        const auto equals = word.find('=');
        options.push_back({word.substr(0, equals),
                           equals == std::string::npos ? "" : word.substr(equals + 1),
                           equals != std::string::npos});
    }
    return options;
}

tl::unexpected<Error> no_choice(const std::string& value, const char* choices) {
    return fail(Errc::invalid_argument, '\'' + value + "' is not " + choices);
}

/// Choice has `automatic`, `on` and `off`.
template <class Choice>
Result<Choice> parse_choice(const std::string& value) {
    if (value == "auto") return Choice::automatic;
    if (value == "on") return Choice::on;
    if (value == "off") return Choice::off;
    return no_choice(value, "auto, on or off");
}

Result<bool> parse_switch(const std::string& value) {
    if (value == "on" || value == "off") return value == "on";
    return no_choice(value, "on or off");
}

Result<std::uint32_t> parse_id(const NamedOption& option) {
    SQUENV_TRY_ASSIGN(const auto id, parse_number(option.value, kMaxId));
    return static_cast<std::uint32_t>(id);
}

/// Options of squashfuse and libfuse that have another name in squenv, or no equivalent.
Result<bool> apply_of_squashfuse(const NamedOption& option, daemon::Request& request) {
    if (option.name == "max_threads") {
        // No error where libfuse permits more: beyond this, threads only wait for each other.
        SQUENV_TRY_ASSIGN(const auto threads,
                          parse_number(option.value, std::numeric_limits<std::uint32_t>::max()));
        request.threads = static_cast<unsigned>(std::min(threads, kMaxThreads));
    } else if (option.name == "umask") {
        std::uint32_t mask = 0;
        const char* const end = option.value.data() + option.value.size();
        const auto [rest, error] = std::from_chars(option.value.data(), end, mask, 8);
        if (error != std::errc{} || rest != end || mask > kMaxUmask)
            return fail(Errc::invalid_argument, "an octal number from 0 to 777");
        request.view.umask = mask;
    } else {
        return false;
    }
    return true;
}

/// Options with a value. False when `option` is none of them.
Result<bool> apply_valued(const NamedOption& option, daemon::Request& request) {
    if (option.name == "offset") {
        SQUENV_TRY(parse_offset(option.value, request.image));
    } else if (option.name == "subdir") {
        request.view.subdirectory = option.value;
    } else if (option.name == "timeout") {
        SQUENV_TRY_ASSIGN(const auto seconds, parse_number(option.value, kMaxTimeout));
        request.idle_timeout = std::chrono::seconds(seconds);
    } else if (option.name == "uid") {
        SQUENV_TRY_ASSIGN(request.view.uid, parse_id(option));
    } else if (option.name == "gid") {
        SQUENV_TRY_ASSIGN(request.view.gid, parse_id(option));
    } else if (option.name == "cache_size") {
        SQUENV_TRY_ASSIGN(const auto bytes, parse_size(option.value));
        if (bytes < kMinCache || bytes > kMaxCache)
            return fail(Errc::invalid_argument, option.value + " is not from 1M to 1T");
        request.image.cache_bytes = static_cast<std::size_t>(bytes);
    } else if (option.name == "threads") {
        SQUENV_TRY_ASSIGN(const auto threads, parse_number(option.value, kMaxThreads));
        request.threads = static_cast<unsigned>(threads);
    } else if (option.name == "notify_pipe") {
        request.notify_pipe = option.value;
    } else if (option.name == "prefetch") {
        SQUENV_TRY_ASSIGN(request.prefetch, parse_choice<daemon::Prefetch>(option.value));
    } else if (option.name == "failover") {
        SQUENV_TRY_ASSIGN(request.has_failover, parse_switch(option.value));
    } else if (option.name == "overlay") {
        SQUENV_TRY_ASSIGN(request.overlay, parse_choice<daemon::Overlay>(option.value));
    } else if (option.name == "record") {
        request.record_path = option.value;
    } else if (option.name == "stage") {
        request.stage_directory = option.value;
    } else if (option.name == "log") {
        request.log_destination = log_destination(option.value);
    } else if (option.name == "fsname") {
        request.source_name = option.value;
    } else if (option.name == "subtype") {
        request.subtype = option.value;
    } else {
        return false;
    }
    return true;
}

bool apply_plain(const NamedOption& option, daemon::Request& request) {
    if (option.name == "allow_other")
        request.allow_other = true;
    else if (option.name == "allow_root")
        request.allow_root = true;
    else if (option.name == "debug")
        request.trace = true;
    else if (option.name == "noexec" || option.name == "exec")
        request.noexec = option.name == "noexec";
    else
        return false;
    return true;
}

Status check_subtype(const std::string& subtype) {
    const auto& known = system::kSubtypes;
    if (std::find(known.begin(), known.end(), subtype) != known.end()) return {};
    return fail(Errc::invalid_argument,
                "option subtype: 'squenv list' would not find mounts of type '" + subtype + "'",
                "use squenv, squashfuse or squashfuse_ll, or leave it out");
}

Status check_possible(const NamedOption& option) {
    if (std::find(kImpossible.begin(), kImpossible.end(), option.name) == kImpossible.end())
        return {};
    return fail(Errc::invalid_argument,
                "option " + option.name + ": images are mounted ro,nosuid,nodev", "leave it out");
}

/// Refuses an option that is known with a value and has none, or the other way round.
Status check_form(const NamedOption& option) {
    daemon::Request scratch;
    const NamedOption plain{option.name, {}, false};
    if (option.has_value && apply_plain(plain, scratch))
        return fail(Errc::invalid_argument, "option " + option.name + " takes no value",
                    "leave out what follows '" + option.name + "'");
    // "1" is a value that some options refuse, which shows that they are known.
    const auto applied = apply_valued({option.name, "1", true}, scratch);
    const bool needs_value = !applied || *applied;
    if (needs_value && (!option.has_value || option.value.empty()))
        return fail(Errc::invalid_argument, "option " + option.name + " needs a value",
                    "see " + option.name + " in squenv-mount(1)");
    return {};
}

/// False when `option` is not known.
Result<bool> apply(const NamedOption& option, daemon::Request& request, const OptionRules& rules) {
    if (!option.has_value) return apply_plain(option, request);
    if (option.value.empty()) return false;
    const bool is_of_squashfuse = rules.dialect == Dialect::squashfuse;
    auto applied = apply_valued(option, request);
    if (applied && !*applied && is_of_squashfuse) applied = apply_of_squashfuse(option, request);
    if (!applied) return with_context(applied.error(), "option " + option.name);
    // squashfuse takes any type, and then the mount table does not identify the mount.
    if (option.name == "subtype" && !is_of_squashfuse) SQUENV_TRY(check_subtype(option.value));
    return applied;
}

}  // namespace

std::string log_destination(const std::string& text) {
    if (text.empty() || text == "stderr" || text == "syslog") return text;
    std::error_code error;
    const auto path = std::filesystem::absolute(text, error);
    return error ? text : path.string();
}

Status parse_offset(const std::string& text, image::OpenOptions& options) {
    options.find_offset = text == "auto";
    if (options.find_offset) return {};
    SQUENV_TRY_ASSIGN(options.offset, parse_number(text, std::numeric_limits<std::int64_t>::max()));
    return {};
}

Status apply_mount_options(const std::string& options, daemon::Request& request,
                           const OptionRules& rules) {
    for (const NamedOption& option : split(options, rules.dialect)) {
        const auto* passed =
            find_passed_over(option.name + (option.has_value ? "=" : ""), rules.dialect);
        if (passed != nullptr) {
            if (rules.notes != nullptr && !passed->note.empty())
                rules.notes->push_back("option " + option.name + ": passed over, " +
                                       std::string(passed->note));
            continue;
        }
        SQUENV_TRY(check_possible(option));
        SQUENV_TRY_ASSIGN(const bool is_applied, apply(option, request, rules));
        if (is_applied || rules.takes_unknown) continue;
        SQUENV_TRY(check_form(option));
        return fail(
            Errc::invalid_argument,
            "unknown option '" + option.name + (option.has_value ? "=" + option.value : "") + "'",
            "see squenv-mount(1)");
    }
    return {};
}

bool has_option(const std::string& options, const std::string& name) {
    const auto all = split(options, Dialect::mount);
    return std::any_of(all.begin(), all.end(), [&](const NamedOption& option) {
        return !option.has_value && option.name == name;
    });
}

}  // namespace squenv::cli
