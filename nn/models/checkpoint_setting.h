#pragma once
// How a model's list of blocks is checkpointed.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::nn {

struct CheckpointSetting {
  enum class Kind {
    none,  // every value that backward reads is kept
    block,  // each block is a region, and the stem is one; not the last of several, which backward reads at once
    recompute_cheap,  // each block, the first with the stem, is a region that keeps its products, convolutions and
                      // attention (checkpoint/policy.h)
    sqrt,             // round(sqrt(blocks)) segments
    segments,  // this many segments: consecutive blocks of about equal number, each a region but the last
  } kind = Kind::none;
  std::int64_t segments = 0;
};

// "none", "block", "recompute_cheap", "sqrt" or a number of segments; UserError that lists them.
CheckpointSetting checkpoint_setting_from_string(std::string_view text);
std::string to_string(CheckpointSetting setting);

// [first, last) of each of `segments` segments of `blocks` blocks: edges at round(i blocks / segments). UserError unless
// 1 <= segments <= blocks.
std::vector<std::pair<std::int64_t, std::int64_t>> balanced_segments(std::int64_t blocks,
                                                                     std::int64_t segments);

}  // namespace reprise::nn
