// SPDX-License-Identifier: MIT
// Whether this build runs under a sanitizer of the compiler. A sanitizer makes system calls, takes
// memory and takes time that the program alone does not. Code that forbids or limits those checks
// this header.
#pragma once

// gcc defines macros, but none for UBSan: a build with that alone looks like one without. clang
// answers by name.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_HWADDRESS__) || defined(__SANITIZE_THREAD__)
#define SQUENV_HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(hwaddress_sanitizer) || \
    __has_feature(leak_sanitizer) || __has_feature(memory_sanitizer) ||       \
    __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SQUENV_HAS_SANITIZER 1
#endif
#endif

/// 1 under a sanitizer, else 0. For #if and for plain code.
#if !defined(SQUENV_HAS_SANITIZER)
#define SQUENV_HAS_SANITIZER 0
#endif
