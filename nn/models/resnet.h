#pragma once
// Residual networks (He et al., 2016) as torchvision makes them: its names of parameters, and the stride of a
// bottleneck in its 3x3 convolution ("v1.5").
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "reprise/nn/batch_norm2d.h"
#include "reprise/nn/conv2d.h"
#include "reprise/nn/linear.h"
#include "reprise/nn/models/make_model.h"
#include "reprise/nn/models/model.h"

namespace reprise::nn {

// What carries a block's input around it where the shapes differ: a 1x1 convolution and a norm.
struct Downsample {
  std::optional<Conv2d> conv;
  std::optional<BatchNorm2d> norm;
  Downsample(std::int64_t in, std::int64_t out, std::int64_t stride);
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor);
};

// relu(x' + norm(conv3x3(relu(norm(conv3x3(x)))))): [n, h, w, in] to [n, h / stride, w / stride, channels]
struct BasicBlock : ModelBlock {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Downsample downsample;
  BasicBlock(std::int64_t in, std::int64_t channels, std::int64_t stride);
  Tensor operator()(Tensor x) override;
  void visit(Visitor& visitor) override;
};

// 1x1 to `channels`, 3x3, 1x1 to 4 channels: [n, h, w, in] to [n, h / stride, w / stride, 4 channels]
struct Bottleneck : ModelBlock {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;
  Downsample downsample;
  Bottleneck(std::int64_t in, std::int64_t channels, std::int64_t stride);
  Tensor operator()(Tensor x) override;
  void visit(Visitor& visitor) override;
};

// depth 18, 34, 50, 101 or 152 (UserError).
Model make_resnet(int depth, std::int64_t classes, std::int64_t in_channels, Stem stem);

}  // namespace reprise::nn
