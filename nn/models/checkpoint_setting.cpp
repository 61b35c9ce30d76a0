#include "reprise/nn/models/checkpoint_setting.h"

#include <fmt/format.h>

#include <charconv>

#include "reprise/core/error.h"

namespace reprise::nn {

CheckpointSetting checkpoint_setting_from_string(std::string_view text) {
  using Kind = CheckpointSetting::Kind;
  if (text == "none") return {Kind::none, 0};
  if (text == "block") return {Kind::block, 0};
  if (text == "recompute_cheap") return {Kind::recompute_cheap, 0};
  if (text == "sqrt") return {Kind::sqrt, 0};
  std::int64_t segments = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, segments);
  if (error != std::errc() || rest != end || segments < 1)
    throw UserError(fmt::format(
        "checkpoint setting \"{}\": give none, block, recompute_cheap, sqrt or a number of segments", text));
  return {Kind::segments, segments};
}

std::string to_string(CheckpointSetting setting) {
  switch (setting.kind) {
    case CheckpointSetting::Kind::none:
      return "none";
    case CheckpointSetting::Kind::block:
      return "block";
    case CheckpointSetting::Kind::recompute_cheap:
      return "recompute_cheap";
    case CheckpointSetting::Kind::sqrt:
      return "sqrt";
    case CheckpointSetting::Kind::segments:
      return std::to_string(setting.segments);
  }
  throw InternalError("to_string(CheckpointSetting): no such kind");
}

std::vector<std::pair<std::int64_t, std::int64_t>> balanced_segments(std::int64_t blocks,
                                                                     std::int64_t segments) {
  if (segments < 1 || segments > blocks)
    throw UserError(fmt::format("checkpointing in {} segments: the model has {} blocks, give from 1 to {}",
                                segments, blocks, blocks));
  // round(i blocks / segments) in integers
  auto edge = [=](std::int64_t i) { return (2 * i * blocks + segments) / (2 * segments); };
  std::vector<std::pair<std::int64_t, std::int64_t>> list;
  for (std::int64_t i = 0; i < segments; ++i) list.emplace_back(edge(i), edge(i + 1));
  return list;
}

}  // namespace reprise::nn
