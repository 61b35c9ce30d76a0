#include "reprise/nn/models/resnet.h"

#include <fmt/format.h>

#include <array>

#include "reprise/ops/ops.h"

namespace reprise::nn {
namespace {

Conv2d conv1x1(std::int64_t in, std::int64_t out, std::int64_t stride = 1) {
  return Conv2d(in, out, {.kernel_size = 1, .stride = stride, .bias = false});
}
Conv2d conv3x3(std::int64_t in, std::int64_t out, std::int64_t stride = 1) {
  return Conv2d(in, out, {.kernel_size = 3, .stride = stride, .padding = 1, .bias = false});
}

struct ResNetStem : ModelBlock {
  Stem kind;
  Conv2d conv1;
  BatchNorm2d bn1;
  ResNetStem(std::int64_t in, Stem stem)
      : kind(stem),
        conv1(stem == Stem::small_images
                  ? conv3x3(in, 64)
                  : Conv2d(in, 64, {.kernel_size = 7, .stride = 2, .padding = 3, .bias = false})),
        bn1(64) {}
  Tensor operator()(Tensor x) override {
    Tensor h = bn1.then_relu(conv1(std::move(x)));
    if (kind == Stem::small_images) return h;
    return max_pool2d(std::move(h), {.kernel_size = 3, .stride = 2, .padding = 1});
  }
  void visit(Visitor& visitor) override {
    visitor("conv1", conv1);
    visitor("bn1", bn1);
  }
};

struct ResNetHead : ModelBlock {
  Linear fc;
  ResNetHead(std::int64_t channels, std::int64_t classes) : fc(channels, classes) {}
  Tensor operator()(Tensor x) override { return fc(mean(std::move(x), {1, 2})); }
  void visit(Visitor& visitor) override { visitor("fc", fc); }
};

struct Depth {
  int layers;
  bool bottleneck;
  std::array<int, 4> blocks;  // of the four stages
};
constexpr std::array<Depth, 5> kDepths = {{{18, false, {2, 2, 2, 2}},
                                           {34, false, {3, 4, 6, 3}},
                                           {50, true, {3, 4, 6, 3}},
                                           {101, true, {3, 4, 23, 3}},
                                           {152, true, {3, 8, 36, 3}}}};

const Depth& find_depth(int layers) {
  for (const Depth& depth : kDepths)
    if (depth.layers == layers) return depth;
  throw UserError(fmt::format("make_resnet: no depth {}, there are 18, 34, 50, 101 and 152", layers));
}

std::unique_ptr<ModelBlock> make_block(bool bottleneck, std::int64_t in, std::int64_t channels,
                                       std::int64_t stride) {
  if (bottleneck) return std::make_unique<Bottleneck>(in, channels, stride);
  return std::make_unique<BasicBlock>(in, channels, stride);
}

}  // namespace

Downsample::Downsample(std::int64_t in, std::int64_t out, std::int64_t stride) {
  if (stride == 1 && in == out) return;
  conv = conv1x1(in, out, stride);
  norm.emplace(out);
}

Tensor Downsample::operator()(Tensor x) { return conv ? (*norm)((*conv)(std::move(x))) : x; }

void Downsample::visit(Visitor& visitor) {
  visitor("downsample.0", conv);
  visitor("downsample.1", norm);
}

BasicBlock::BasicBlock(std::int64_t in, std::int64_t channels, std::int64_t stride)
    : conv1(conv3x3(in, channels, stride)),
      bn1(channels),
      conv2(conv3x3(channels, channels)),
      bn2(channels),
      downsample(in, channels, stride) {}

Tensor BasicBlock::operator()(Tensor x) {
  Tensor h = conv2(bn1.then_relu(conv1(x)));
  return bn2.then_add_relu(std::move(h), downsample(std::move(x)));
}

void BasicBlock::visit(Visitor& visitor) {
  visitor("conv1", conv1);
  visitor("bn1", bn1);
  visitor("conv2", conv2);
  visitor("bn2", bn2);
  downsample.visit(visitor);
}

Bottleneck::Bottleneck(std::int64_t in, std::int64_t channels, std::int64_t stride)
    : conv1(conv1x1(in, channels)),
      bn1(channels),
      conv2(conv3x3(channels, channels, stride)),
      bn2(channels),
      conv3(conv1x1(channels, 4 * channels)),
      bn3(4 * channels),
      downsample(in, 4 * channels, stride) {}

Tensor Bottleneck::operator()(Tensor x) {
  Tensor h = conv3(bn2.then_relu(conv2(bn1.then_relu(conv1(x)))));
  return bn3.then_add_relu(std::move(h), downsample(std::move(x)));
}

void Bottleneck::visit(Visitor& visitor) {
  visitor("conv1", conv1);
  visitor("bn1", bn1);
  visitor("conv2", conv2);
  visitor("bn2", bn2);
  visitor("conv3", conv3);
  visitor("bn3", bn3);
  downsample.visit(visitor);
}

Model make_resnet(int depth, std::int64_t classes, std::int64_t in_channels, Stem stem) {
  const Depth& chosen = find_depth(depth);
  std::vector<Model::NamedBlock> blocks;
  std::int64_t in = 64, channels = 64;
  for (std::size_t stage = 0; stage < chosen.blocks.size(); ++stage, channels *= 2)
    for (int i = 0; i < chosen.blocks[stage]; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      blocks.push_back(
          {fmt::format("layer{}.{}", stage + 1, i), make_block(chosen.bottleneck, in, channels, stride)});
      in = chosen.bottleneck ? 4 * channels : channels;
    }
  const std::int64_t pixels = stem == Stem::small_images ? 32 : 224;
  return Model(fmt::format("resnet{}", depth), {.shape = {pixels, pixels, in_channels}}, classes,
               std::make_unique<ResNetStem>(in_channels, stem), std::move(blocks),
               std::make_unique<ResNetHead>(in, classes));
}

}  // namespace reprise::nn
