#pragma once
// Work whose items need scratch: each thread gets one piece of the workspace for all of its items.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/core/error.h"
#include "reprise/core/parallel.h"

namespace reprise::cpu {

// Bytes of one piece, rounded up so that every piece begins on a cache line.
inline std::size_t scratch_piece(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

inline std::int64_t scratch_pieces(std::int64_t items) {
  return std::min<std::int64_t>(num_threads(), std::max<std::int64_t>(items, 1));
}

inline std::size_t scratch_workspace(std::int64_t items, std::size_t bytes) {
  return static_cast<std::size_t>(scratch_pieces(items)) * scratch_piece(bytes);
}

// UserError: `workspace` was computed for another number of threads.
inline void require_scratch(std::size_t workspace, std::size_t needed) {
  if (workspace < needed)
    throw UserError(
        "set_num_threads: another thread changed the number of threads while an op ran: call set_num_threads "
        "between steps");
}

// Calls body(item, scratch) for each item, shared out among threads in runs of neighbours. The result of an item must
// not depend on what the scratch held before. `workspace` has scratch_workspace(items, bytes) bytes; with fewer, the
// items share the pieces that fit.
template <class Body>
void for_each_with_scratch(std::int64_t items, std::size_t bytes, std::span<std::byte> workspace, Body body) {
  require_scratch(workspace.size(), scratch_piece(bytes));
  const std::size_t fit = workspace.size() / std::max<std::size_t>(scratch_piece(bytes), 1);
  const std::int64_t pieces =
      bytes == 0 ? scratch_pieces(items) : std::min(scratch_pieces(items), static_cast<std::int64_t>(fit));
  const std::int64_t length = (items + pieces - 1) / pieces;
  parallel_for(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      std::byte* scratch = workspace.data() + static_cast<std::size_t>(piece) * scratch_piece(bytes);
      for (std::int64_t item = piece * length; item < std::min(items, (piece + 1) * length); ++item)
        body(item, scratch);
    }
  });
}

}  // namespace reprise::cpu
