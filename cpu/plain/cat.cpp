#include "reprise/ops/cat.h"

#include <cstring>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Bytes of a part's rows: its extent in the dimension and all after it.
std::size_t row_bytes(const ValueInfo& info, int dim) {
  std::size_t bytes = size_of(info.dtype);
  for (const std::int64_t extent : info.shape.extents().subspan(static_cast<std::size_t>(dim)))
    bytes *= static_cast<std::size_t>(extent);
  return bytes;
}

void cat(const CatArgs& args, std::span<std::byte>) {
  const std::size_t y_row = row_bytes(*args.y.info, args.dim);
  if (y_row == 0) return;
  const std::size_t rows = args.y.info->bytes() / y_row;
  std::byte* to = args.y.as<std::byte>();
  for (const ConstView& part : args.parts) {
    const std::size_t row = row_bytes(*part.info, args.dim);
    if (row != 0)
      for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * y_row, part.as<std::byte>() + r * row, row);
    to += row;
  }
}

}  // namespace

void fill_cat() { fill_every_dtype(cat_slot, cat); }

}  // namespace reprise::cpu
