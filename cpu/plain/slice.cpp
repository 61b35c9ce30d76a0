#include "reprise/ops/slice.h"

#include <cstring>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Bytes of one index of dimension `dim`, and the number of indices of the dimensions before it.
struct Blocks {
  std::size_t bytes;
  std::int64_t outer = 1;
  Blocks(const ValueInfo& info, int dim) : bytes(size_of(info.dtype)) {
    const auto extents = info.shape.extents();
    for (std::size_t d = 0; d < extents.size(); ++d) {
      if (d < static_cast<std::size_t>(dim)) outer *= extents[d];
      if (d > static_cast<std::size_t>(dim)) bytes *= static_cast<std::size_t>(extents[d]);
    }
  }
};

void narrow(const NarrowArgs& args, std::span<std::byte>) {
  const Blocks blocks(*args.x.info, args.dim);
  const std::size_t x_row = blocks.bytes * static_cast<std::size_t>(args.x.info->shape[args.dim]);
  const std::size_t y_row = blocks.bytes * static_cast<std::size_t>(args.y.info->shape[args.dim]);
  const std::byte* x = args.x.as<std::byte>() + blocks.bytes * static_cast<std::size_t>(args.first);
  std::byte* y = args.y.as<std::byte>();
  if (y_row == 0) return;
  for (std::int64_t o = 0; o < blocks.outer; ++o) {
    const auto row = static_cast<std::size_t>(o);
    std::memcpy(y + row * y_row, x + row * x_row, y_row);
  }
}

void pad(const PadArgs& args, std::span<std::byte>) {
  const Blocks blocks(*args.x.info, args.dim);
  const std::size_t x_row = blocks.bytes * static_cast<std::size_t>(args.x.info->shape[args.dim]);
  const std::size_t y_row = blocks.bytes * static_cast<std::size_t>(args.y.info->shape[args.dim]);
  const std::size_t before = blocks.bytes * static_cast<std::size_t>(args.before);
  const std::byte* x = args.x.as<std::byte>();
  std::byte* y = args.y.as<std::byte>();
  if (y_row == 0) return;
  for (std::int64_t o = 0; o < blocks.outer; ++o) {
    std::byte* to = y + static_cast<std::size_t>(o) * y_row;
    std::memset(to, 0, before);
    if (x_row != 0) std::memcpy(to + before, x + static_cast<std::size_t>(o) * x_row, x_row);
    std::memset(to + before + x_row, 0, y_row - before - x_row);
  }
}

}  // namespace

void fill_slice() {
  fill_every_dtype(narrow_slot, narrow);
  fill_every_dtype(pad_slot, pad);
}

}  // namespace reprise::cpu
