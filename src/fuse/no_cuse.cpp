// SPDX-License-Identifier: MIT
// For static programs: the part of libfuse for character devices, which takes the part for file
// systems by path along, and with that the loading of modules. libfuse calls this only in a session
// for such a device, which is never made here.
#include <cstdint>
#include <cstdlib>

extern "C" __attribute__((weak)) void cuse_lowlevel_init(void*, std::uint64_t, const void*) {
    std::abort();
}
