#pragma once
// A ready model: a stem, a list of blocks, a head. Checkpointing is set over the list of blocks.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reprise/nn/block.h"
#include "reprise/nn/models/checkpoint_setting.h"
#include "reprise/nn/summary.h"

namespace reprise::nn {

// A block from one tensor to one.
struct ModelBlock : Block {
  virtual Tensor operator()(Tensor x) = 0;
};

// One sample that a model reads, without the batch: images and features are f32, tokens i64.
struct SampleInfo {
  Shape shape = {};
  DType dtype = DType::f32;
};

class Model : public Module {
 public:
  struct NamedBlock {
    std::string name;
    std::unique_ptr<ModelBlock> block;
  };
  // `stem` may be null. Parts of stem and head are named without a prefix, as in torchvision: "conv1.weight",
  // "layer1.0.conv1.weight", "fc.weight".
  Model(std::string name, SampleInfo input, std::int64_t classes, std::unique_ptr<ModelBlock> stem,
        std::vector<NamedBlock> blocks, std::unique_ptr<ModelBlock> head);

  // x [batch, ..input_shape()], the result [batch, classes()], or of tokens [batch, tokens, classes()]: logits. Floating
  // samples of another dtype than the model's first parameter are cast to it, on the tape. A block's own policy
  // (enable_checkpointing) holds besides the setting. UserError for more segments than blocks.
  Tensor operator()(Tensor x, CheckpointSetting setting = {});
  void visit(Visitor& visitor) override;

  // The parts of a call in order: stem, blocks (or segments of them), head, each with its region.
  std::vector<SummaryPart> parts(CheckpointSetting setting = {});

  const std::string& name() const { return name_; }
  const Shape& input_shape() const { return input_.shape; }
  DType input_dtype() const { return input_.dtype; }  // before to(DType)
  std::int64_t classes() const { return classes_; }
  std::int64_t block_count() const { return static_cast<std::int64_t>(blocks_.size()); }

 private:
  Tensor run_blocks(std::int64_t first, std::int64_t last, Tensor x);

  std::string name_;
  SampleInfo input_;
  std::int64_t classes_;
  Tensor first_parameter_;
  std::unique_ptr<ModelBlock> stem_;
  std::vector<NamedBlock> blocks_;
  std::unique_ptr<ModelBlock> head_;
};

// nn/summary.h's table of a step's forward pass on this many samples.
std::string summary(Model& model, std::int64_t batch, CheckpointSetting setting = {});

}  // namespace reprise::nn
