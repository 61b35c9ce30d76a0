#include "reprise/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/data/input_file.h"

namespace reprise::data {
namespace {

constexpr int kUnsignedByte = 0x08;

std::string_view meaning(int rank) {
  if (rank == 1) return " (a file of labels)";
  if (rank == 3) return " (a file of images)";
  return "";
}

void read_header(InputFile& file, std::span<std::byte> out) {
  const std::size_t got = file.read(out);
  if (got != out.size())
    throw FileError(fmt::format("{}: truncated: the IDX header ends at byte {}", file.path(), file.offset()));
}

std::vector<std::int64_t> read_extents(InputFile& file, int rank) {
  std::array<std::byte, 4> magic;
  read_header(file, magic);
  const auto byte = [&](std::size_t i) { return std::to_integer<int>(magic[i]); };
  if (byte(0) != 0 || byte(1) != 0)
    throw FileError(fmt::format("{}: byte 0: not an IDX file: it starts with {:02x} {:02x}, not with 00 00",
                                file.path(), byte(0), byte(1)));
  if (byte(2) != kUnsignedByte)
    throw FileError(fmt::format("{}: byte 2: IDX element type 0x{:02x}; only unsigned bytes (0x08) are read",
                                file.path(), byte(2)));
  if (byte(3) != rank)
    throw FileError(fmt::format("{}: byte 3: the file has rank {}{}, rank {}{} was expected", file.path(),
                                byte(3), meaning(byte(3)), rank, meaning(rank)));
  std::vector<std::int64_t> extents;
  for (int i = 0; i < rank; ++i) {
    std::array<std::byte, 4> word;
    read_header(file, word);
    std::int64_t extent = 0;
    for (std::byte b : word) extent = extent * 256 + std::to_integer<std::int64_t>(b);
    extents.push_back(extent);
  }
  return extents;
}

// The product of the extents, or FileError when it is more than the file can hold.
std::uint64_t checked_count(const InputFile& file, const std::vector<std::int64_t>& extents) {
  const std::uint64_t room = file.largest_size() - std::min(file.largest_size(), file.offset());
  std::uint64_t count = 1;
  for (std::int64_t extent : extents)
    if (extent == 0) return 0;
  for (std::int64_t extent : extents) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (count > room / factor)
      throw FileError(fmt::format(
          "{}: byte 4: the header claims [{}] elements of one byte, but the file can hold no more "
          "than {} bytes after it: truncated or corrupt",
          file.path(), fmt::join(extents, ", "), room));
    count *= factor;
  }
  return count;
}

// A file without elements may claim any extents beside a 0.
Tensor make_elements(const std::string& path, const std::vector<std::int64_t>& extents) {
  std::optional<Shape> shape;
  try {
    shape.emplace(extents);
  } catch (const UserError& error) {
    throw FileError(fmt::format("{}: byte 4: {}", path, error.what()));
  }
  const memory::TagScope tag(memory::Tag::data);
  return Tensor::empty(*shape, {.dtype = DType::u8});
}

}  // namespace

Tensor read_idx(const std::string& path, int rank) {
  if (rank < 0 || rank > Shape::kMaxRank)
    throw UserError(fmt::format("read_idx: rank {} is not in [0, {}]", rank, Shape::kMaxRank));
  InputFile file(path);
  const std::vector<std::int64_t> extents = read_extents(file, rank);
  const std::uint64_t count = checked_count(file, extents);
  Tensor elements = make_elements(path, extents);
  const std::size_t got = file.read(std::as_writable_bytes(elements.write<std::uint8_t>()));
  if (got != count)
    throw FileError(fmt::format("{}: truncated: the content ends at byte {}, the header [{}] needs {} bytes",
                                path, file.offset(), fmt::join(extents, ", "), file.offset() - got + count));
  std::array<std::byte, 1> extra;
  const std::uint64_t end = file.offset();
  if (file.read(extra) != 0)
    throw FileError(fmt::format(
        "{}: byte {}: the header [{}] ends here, but more follows: corrupt, or another file's header", path,
        end, fmt::join(extents, ", ")));
  return elements;
}

}  // namespace reprise::data
