// SPDX-License-Identifier: MIT
// What each compressor's file provides to codec.cpp. Private to this module.
#pragma once

#include <memory>

#include "codec/codec.h"

namespace squenv::codec {

std::unique_ptr<Decompressor> make_zstd_decompressor();
std::unique_ptr<Decompressor> make_gzip_decompressor();
std::unique_ptr<Decompressor> make_xz_decompressor();
std::unique_ptr<Decompressor> make_lzma_decompressor();
std::unique_ptr<Decompressor> make_lz4_decompressor();
std::unique_ptr<Decompressor> make_lzo_decompressor();

std::unique_ptr<Compressor> make_zstd_compressor(int level);
std::unique_ptr<Compressor> make_gzip_compressor(int level);
std::unique_ptr<Compressor> make_xz_compressor(int level, std::size_t largest_block);
std::unique_ptr<Compressor> make_lzma_compressor(int level, std::size_t largest_block);
std::unique_ptr<Compressor> make_lz4_compressor(int level);
std::unique_ptr<Compressor> make_lzo_compressor(int level);

}  // namespace squenv::codec
