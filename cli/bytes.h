#pragma once
// Sizes as people write them.
#include <cstddef>
#include <string>
#include <string_view>

namespace reprise::cli {

// "512MiB", "2GiB", "64KiB", "1000000", "1.5GiB"; B, KB, MB and GB are the same powers of 1024. A number of bytes is
// whole. UserError for another text and for a size below 1 byte or from 2^62 bytes on.
std::size_t parse_bytes(std::string_view text);

// "512.0 MB"; MB is 2^20 bytes, as everywhere in Reprise.
std::string megabytes(std::size_t bytes);

}  // namespace reprise::cli
