// SPDX-License-Identifier: MIT
#include "venv/kind.h"

#include <unistd.h>

namespace squenv::venv {

const char* kind_text(EnvironmentKind kind) {
    switch (kind) {
        case EnvironmentKind::none: return "none";
        case EnvironmentKind::venv: return "venv";
        case EnvironmentKind::conda: return "conda";
    }
    return "none";
}

EnvironmentKind environment_kind(const HasPath& has) {
    // Python itself goes by pyvenv.cfg, in a prefix of conda as well.
    if (has("pyvenv.cfg")) return EnvironmentKind::venv;
    return has("conda-meta") ? EnvironmentKind::conda : EnvironmentKind::none;
}

EnvironmentKind environment_kind_at(const std::string& root) {
    return environment_kind([&root](const std::string& path) {
        return ::access((root + '/' + path).c_str(), F_OK) == 0;
    });
}

std::string inner_environment(const HasPath& has) {
    for (const char* name : {".venv", "venv", "env", ".pixi/envs/default"}) {
        const std::string inner = name;
        const auto has_inside = [&](const std::string& path) { return has(inner + '/' + path); };
        if (environment_kind(has_inside) != EnvironmentKind::none) return inner;
    }
    return {};
}

}  // namespace squenv::venv
