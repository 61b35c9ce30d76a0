#include "reprise/nn/models/model.h"

#include <cmath>
#include <optional>

namespace reprise::nn {

Model::Model(std::string name, SampleInfo input, std::int64_t classes, std::unique_ptr<ModelBlock> stem,
             std::vector<NamedBlock> blocks, std::unique_ptr<ModelBlock> head)
    : name_(std::move(name)),
      input_(input),
      classes_(classes),
      stem_(std::move(stem)),
      blocks_(std::move(blocks)),
      head_(std::move(head)) {
  struct First : Visitor {
    Tensor found;
    using Visitor::operator();
    void operator()(std::string_view, Tensor& parameter) override {
      if (!found.defined()) found = parameter;
    }
    void operator()(std::string_view, Module& module) override { module.visit(*this); }
    void buffer(std::string_view, Tensor&) override {}
  } first;
  visit(first);
  first_parameter_ = std::move(first.found);
}

Tensor Model::run_blocks(std::int64_t first, std::int64_t last, Tensor x) {
  for (std::int64_t i = first; i < last; ++i) {
    ModelBlock& block = *blocks_[static_cast<std::size_t>(i)].block;
    x = checkpoint::run(block.policy, [&] { return block(std::move(x)); });
  }
  return x;
}

std::vector<SummaryPart> Model::parts(CheckpointSetting setting) {
  using Kind = CheckpointSetting::Kind;
  const auto full = checkpoint::Policy::full(), none = checkpoint::Policy::none();
  // Of each block and of the stem, where the setting is about them.
  std::optional<checkpoint::Policy> each;
  if (setting.kind == Kind::block) each = full;
  if (setting.kind == Kind::recompute_cheap) each = checkpoint::Policy::recompute_cheap();
  std::vector<SummaryPart> parts;
  const std::int64_t count = block_count();
  // The stem shares the first block's region where that keeps what is dear: then what it gives need not be kept.
  const bool stem_in_first = stem_ && count > 0 && setting.kind == Kind::recompute_cheap;
  if (stem_ && !stem_in_first) {
    const auto policy = each.value_or(stem_->policy);
    parts.push_back({"stem", {stem_.get()}, [this, policy](Tensor x) {
                       return checkpoint::run(policy, [&] { return (*stem_)(std::move(x)); });
                     }});
  }
  auto add_blocks = [&](std::int64_t first, std::int64_t last, const checkpoint::Policy& policy) {
    const auto& front = blocks_[static_cast<std::size_t>(first)];
    const auto& back = blocks_[static_cast<std::size_t>(last - 1)];
    const bool with_stem = stem_in_first && first == 0;
    SummaryPart part{front.name, {}, [this, first, last, policy, with_stem](Tensor x) {
                       return checkpoint::run(policy, [&] {
                         if (with_stem) x = (*stem_)(std::move(x));
                         return run_blocks(first, last, std::move(x));
                       });
                     }};
    if (last - first > 1) part.name += " .. " + back.name;
    if (with_stem) {
      part.name = "stem .. " + back.name;
      part.modules.push_back(stem_.get());
    }
    for (std::int64_t i = first; i < last; ++i)
      part.modules.push_back(blocks_[static_cast<std::size_t>(i)].block.get());
    parts.push_back(std::move(part));
  };
  if (setting.kind == Kind::none || each) {
    for (std::int64_t i = 0; i < count; ++i) {
      const bool read_at_once = setting.kind == Kind::block && count > 1 && i == count - 1;
      add_blocks(i, i + 1, read_at_once ? none : each.value_or(none));
    }
  } else {
    const std::int64_t segments = setting.kind == Kind::segments
                                      ? setting.segments
                                      : std::llround(std::sqrt(static_cast<double>(count)));
    for (const auto& [first, last] : balanced_segments(count, segments))
      add_blocks(first, last, last == count ? none : full);
  }
  parts.push_back({"head", {head_.get()}, [this](Tensor x) {
                     return checkpoint::run(head_->policy, [&] { return (*head_)(std::move(x)); });
                   }});
  return parts;
}

Tensor Model::operator()(Tensor x, CheckpointSetting setting) {
  if (is_floating(x.dtype()) && first_parameter_.defined()) x = std::move(x).to(first_parameter_.dtype());
  for (const SummaryPart& part : parts(setting)) x = part.call(std::move(x));
  return x;
}

void Model::visit(Visitor& visitor) {
  if (stem_) stem_->visit(visitor);
  for (const NamedBlock& block : blocks_) visitor(block.name, *block.block);
  head_->visit(visitor);
}

std::string summary(Model& model, std::int64_t batch, CheckpointSetting setting) {
  std::vector<std::int64_t> shape = {batch};
  for (std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  return summary(model.parts(setting),
                 {.shape = shape, .dtype = model.input_dtype(), .device = Device::cpu()});
}

}  // namespace reprise::nn
