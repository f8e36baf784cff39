// SPDX-License-Identifier: MIT
#include "prefetch/chunk.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace squenv::prefetch {

namespace {

/// Bytes between two blocks that are read rather than skipped.
constexpr std::uint64_t kMaxGap = 128 << 10;

/// Bytes that are read by one call.
struct Run {
    std::uint64_t position = 0;
    std::size_t begin = 0;  ///< in the bytes of the chunk
    std::size_t size = 0;
};

const image::BlockPlace& place_of(const Chunk::Piece& piece) {
    return piece.job.block->place;
}

std::vector<std::size_t> by_position(const std::vector<Chunk::Piece>& pieces) {
    std::vector<std::size_t> order(pieces.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return place_of(pieces[a]).position < place_of(pieces[b]).position;
    });
    return order;
}

/// Settles where in the chunk the pieces lie. The gaps that are read take no more than a chunk.
std::vector<Run> plan_runs(std::vector<Chunk::Piece>& pieces) {
    std::vector<Run> runs;
    std::size_t total = 0;
    std::uint64_t gaps_left = kMaxChunkBytes;
    for (const std::size_t index : by_position(pieces)) {
        const std::uint64_t position = place_of(pieces[index]).position;
        const std::uint64_t end = runs.empty() ? 0 : runs.back().position + runs.back().size;
        const bool is_near =
            !runs.empty() && position >= end && position - end <= std::min(kMaxGap, gaps_left);
        if (is_near)
            gaps_left -= position - end;
        else
            runs.push_back({position, total, 0});
        Run& run = runs.back();
        const auto offset = static_cast<std::size_t>(position - run.position);
        pieces[index].begin = run.begin + offset;
        run.size = offset + place_of(pieces[index]).stored.size_bytes;
        total = run.begin + run.size;
    }
    return runs;
}

}  // namespace

Chunk read_chunk(const image::ByteSource& source, std::vector<Job> jobs) {
    Chunk chunk;
    chunk.pieces.reserve(jobs.size());
    for (Job& job : jobs) chunk.pieces.push_back({std::move(job), 0});
    const std::vector<Run> runs = plan_runs(chunk.pieces);
    if (runs.empty()) return chunk;
    chunk.bytes.resize(runs.back().begin + runs.back().size);
    std::vector<image::ByteRange> parts;
    parts.reserve(runs.size());
    for (const Run& run : runs) parts.push_back({run.position, run.size});
    source.expect(parts);
    for (const Run& run : runs) {
        if (source.read_exact(run.position, MutableBytes(chunk.bytes).subspan(run.begin, run.size)))
            continue;
        std::erase_if(chunk.pieces, [&](const Chunk::Piece& piece) {
            return piece.begin >= run.begin && piece.begin < run.begin + run.size;
        });
    }
    return chunk;
}

}  // namespace squenv::prefetch
