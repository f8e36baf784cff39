// SPDX-License-Identifier: MIT
#include "fuse/statistics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "config.h"

namespace squenv::fuse {

namespace {

nlohmann::ordered_json cache_json(const CacheCounters& cache) {
    return {{"hits", cache.hits},
            {"misses", cache.misses},
            {"evictions", cache.evictions},
            {"used_bytes", cache.used_bytes},
            {"budget_bytes", cache.budget_bytes}};
}

nlohmann::ordered_json storage_json(const image::SourceCounters& source) {
    return {{"latency_seconds", static_cast<double>(source.latency_ns) / 1e9},
            {"is_slow", source.is_slow},
            {"neighbourhoods_read", source.neighbourhoods.read},
            {"neighbourhood_bytes", source.neighbourhoods.used_bytes},
            {"readers", source.neighbourhoods.readers}};
}

}  // namespace

std::string statistics_json(const image::Image& image, const SessionMemory& memory,
                            std::uint64_t stored_bytes, const SessionOptions& options) {
    using Clock = SessionMemory::Clock;
    const RequestCounters& requests = memory.counters;
    nlohmann::ordered_json by_kind;
    nlohmann::ordered_json by_walker;
    for (std::size_t i = 0; i < static_cast<std::size_t>(RequestKind::count); ++i) {
        const auto kind = static_cast<RequestKind>(i);
        by_kind[request_name(kind)] = requests.of(kind);
        by_walker[request_name(kind)] = requests.of_walker(kind);
    }
    const auto counters = image.counters();
    struct rusage usage {};
    ::getrusage(RUSAGE_SELF, &usage);
    const Clock::time_point started{Clock::duration(memory.started.load())};
    const double up = std::chrono::duration<double>(Clock::now() - started).count();
    const Clock::duration takeover{memory.takeover.load()};
    const nlohmann::ordered_json json{
        {"version", memory.daemon_version.data()},
        {"image", options.name},
        {"identity", options.identity},
        {"pid", memory.daemon.load()},
        {"server_pid", ::getpid()},
        {"server_version", SQUENV_VERSION},
        {"restarts", memory.restarts.load()},
        {"takeover_seconds", std::chrono::duration<double>(takeover).count()},
        {"uptime_seconds", up},
        {"peak_memory_bytes", static_cast<std::uint64_t>(usage.ru_maxrss) * 1024},
        {"requests", requests.total()},
        {"requests_by_kind", by_kind},
        {"walker_requests_by_kind", by_walker},
        {"errors", requests.errors()},
        {"bytes_served", requests.bytes()},
        {"bytes_stored_ahead", stored_bytes},
        {"stores_ahead", options.prefetch.stores_pages},
        {"image_reads", counters.source.reads},
        {"image_bytes_read", counters.source.bytes},
        {"image_read_seconds", static_cast<double>(counters.source.nanoseconds) / 1e9},
        {"image_is_staged", counters.source.is_copy},
        {"storage", storage_json(counters.source)},
        {"caches",
         {{"metadata", cache_json(counters.metadata)},
          {"directories", cache_json(counters.directories)},
          {"blocks", cache_json(counters.blocks)}}}};
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace squenv::fuse
