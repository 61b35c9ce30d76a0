#pragma once
// The ready models by name.
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "reprise/nn/models/model.h"

namespace reprise::nn {

enum class Stem {
  small_images,  // convolution 3x3
  large_images,  // convolution 7x7 of stride 2, max-pool 3x3 of stride 2: for 224 pixels
};

// Without a value: the model's own.
struct ModelOptions {
  std::optional<std::int64_t> classes = {};
  std::optional<std::int64_t> in_channels = {};  // of the convolutional models
  std::optional<Stem> stem = {};                 // of the ResNets
  // Of the GPTs: nn/models/gpt.h. Their classes are the vocabulary.
  std::optional<std::int64_t> layers = {}, width = {}, heads = {}, context = {};
  std::optional<double> dropout = {};
  std::optional<bool> tied_head = {};
};

// name                 input        classes  blocks
// mlp                  28x28x1      10       linear 784-128, ReLU
// lenet                28x28x1      10       2: convolution 3x3, ReLU, max-pool 2 (32 and 64 channels); the head is
//                                            linear 3136-128, ReLU, linear
// resnet18, resnet34   32x32x3      10       8, 16 basic blocks; the stem is for small images
// resnet50, 101, 152   224x224x3    1000     16, 33, 50 bottlenecks; the stem is for large images
// chain                256          10       100: linear 256-256, tanh
// gpt                  256 tokens   65       6 Transformer blocks of width 384 with 6 heads
// gpt2-124m, gpt2-350m, gpt2-774m, gpt2-1.5b: 1024 tokens, 50257 classes, 12, 24, 36, 48 blocks: GPT-2's shapes
//
// In evaluation and for other image sizes the ResNets take any; their input_shape() is 32 or 224 pixels, by the stem.
// UserError for an unknown name, which lists all, and for an option that the model does not have.
Model make_model(std::string_view name, ModelOptions options = {});
std::span<const std::string_view> model_names();

}  // namespace reprise::nn
