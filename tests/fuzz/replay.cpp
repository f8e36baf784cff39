// SPDX-License-Identifier: MIT
// Runs a fuzz target with any compiler: over its seeds, the files of its corpus, and mutations of
// both. The input at work is kept in a file, so that it is there when the process dies of it.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "hostile/allocation.h"
#include "mutator.h"
#include "target.h"

namespace {

namespace fs = std::filesystem;
using squenv::ByteVector;
using squenv::ByteView;

constexpr std::uint64_t kSeed = 0x5153'454E'5632'0002;
constexpr std::size_t kMutations = 2000;
/// The suite runs with every build. Under a sanitizer only the first mutations fit in.
constexpr std::chrono::seconds kMostTime{2};
/// Of the C++ code, for one input; inputs have at most 1 MiB, caches of images 1 MiB.
constexpr std::size_t kMostBytes = 128U << 20;

constexpr const char* kUsage =
    "usage: fuzz-replay-TARGET CORPUS FILE   run seeds, files of CORPUS and mutations of both;\n"
    "                                        the input at work is in FILE\n"
    "       fuzz-replay-TARGET --run FILE    run this input\n"
    "       fuzz-replay-TARGET --seeds DIR   write the seeds to DIR\n";

[[noreturn]] void give_up(const std::string& message) {
    fmt::print(stderr, "fuzz-replay: {}\n", message);
    std::exit(1);
}

ByteVector content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) give_up(path.string() + ": cannot be read");
    const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

void write_file(const fs::path& path, ByteView bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) give_up(path.string() + ": cannot be written");
}

/// Directories differ in the order of their entries; the mutations must not.
std::vector<fs::path> files_of(const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

void run(ByteView bytes) {
    const squenv::test::AllocationWatch watch;
    (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    squenv::fuzz::require(watch.peak_bytes() < kMostBytes, "an input takes little memory");
}

/// Runs `bytes`, which are in the file `kept` meanwhile.
void run_kept(ByteView bytes, const fs::path& kept) {
    write_file(kept, bytes);
    run(bytes);
}

std::size_t run_mutations(const std::vector<ByteVector>& inputs, const fs::path& kept) {
    squenv::fuzz::Mutator mutator(kSeed);
    const auto end = std::chrono::steady_clock::now() + kMostTime;
    std::size_t done = 0;
    for (; done < kMutations && std::chrono::steady_clock::now() < end; ++done)
        run_kept(mutator.next(inputs), kept);
    return done;
}

int replay(const fs::path& corpus, const fs::path& kept) {
    std::vector<ByteVector> inputs = squenv::fuzz::seeds();
    const std::size_t seed_count = inputs.size();
    const auto files = files_of(corpus);
    if (inputs.empty() || files.empty()) give_up(corpus.string() + ": nothing to begin with");
    fmt::print("seed {:#x}; the input at work is in {}\n", kSeed, kept.string());
    for (const auto& path : files) inputs.push_back(content_of(path));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (i >= seed_count) fmt::print("{}\n", files[i - seed_count].filename().string());
        // What a process that is killed had printed is lost otherwise.
        std::fflush(stdout);
        run_kept(inputs[i], kept);
    }
    const std::size_t mutations = run_mutations(inputs, kept);
    fs::remove(kept);
    fmt::print("{} seeds, {} files and {} mutations\n", seed_count, files.size(), mutations);
    return 0;
}

int write_seeds(const fs::path& directory) {
    const auto seeds = squenv::fuzz::seeds();
    fs::create_directories(directory);
    for (std::size_t i = 0; i < seeds.size(); ++i)
        write_file(directory / fmt::format("seed-{:02}", i), seeds[i]);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 2 && words[0] == "--seeds") return write_seeds(words[1]);
    if (words.size() == 2 && words[0] == "--run") {
        run(content_of(words[1]));
        return 0;
    }
    if (words.size() == 2) return replay(words[0], words[1]);
    fmt::print(stderr, "{}", kUsage);
    return 2;
}
