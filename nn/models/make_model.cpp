#include "reprise/nn/models/make_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "reprise/nn/conv2d.h"
#include "reprise/nn/linear.h"
#include "reprise/nn/models/gpt.h"
#include "reprise/nn/models/resnet.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {
namespace {

constexpr std::array<std::string_view, 13> kNames = {
    "mlp",   "lenet", "resnet18",  "resnet34",  "resnet50",  "resnet101", "resnet152",
    "chain", "gpt",   "gpt2-124m", "gpt2-350m", "gpt2-774m", "gpt2-1.5b"};

struct LinearHead : ModelBlock {
  Linear head;
  LinearHead(std::int64_t in, std::int64_t classes) : head(in, classes) {}
  Tensor operator()(Tensor x) override { return head(std::move(x)); }
  void visit(Visitor& visitor) override { visitor("head", head); }
};

struct MlpBlock : ModelBlock {
  Linear linear{784, 128};
  Tensor operator()(Tensor x) override { return relu(linear(flatten(std::move(x), 1))); }
  void visit(Visitor& visitor) override { visitor("linear", linear); }
};

Model make_mlp(std::int64_t classes) {
  std::vector<Model::NamedBlock> blocks;
  blocks.push_back({"blocks.0", std::make_unique<MlpBlock>()});
  return Model("mlp", {.shape = {28, 28, 1}}, classes, nullptr, std::move(blocks),
               std::make_unique<LinearHead>(128, classes));
}

struct LenetBlock : ModelBlock {
  Conv2d conv;
  LenetBlock(std::int64_t in, std::int64_t out) : conv(in, out, {.kernel_size = 3, .padding = 1}) {}
  Tensor operator()(Tensor x) override { return max_pool2d_relu(conv(std::move(x)), {.kernel_size = 2}); }
  void visit(Visitor& visitor) override { visitor("conv", conv); }
};

struct LenetHead : ModelBlock {
  Linear fc1{3136, 128}, fc2;
  explicit LenetHead(std::int64_t classes) : fc2(128, classes) {}
  Tensor operator()(Tensor x) override { return fc2(relu(fc1(flatten(std::move(x), 1)))); }
  void visit(Visitor& visitor) override {
    visitor("fc1", fc1);
    visitor("fc2", fc2);
  }
};

Model make_lenet(std::int64_t classes, std::int64_t in_channels) {
  std::vector<Model::NamedBlock> blocks;
  blocks.push_back({"blocks.0", std::make_unique<LenetBlock>(in_channels, 32)});
  blocks.push_back({"blocks.1", std::make_unique<LenetBlock>(32, 64)});
  return Model("lenet", {.shape = {28, 28, in_channels}}, classes, nullptr, std::move(blocks),
               std::make_unique<LenetHead>(classes));
}

struct ChainBlock : ModelBlock {
  Linear linear{256, 256};
  Tensor operator()(Tensor x) override { return tanh(linear(std::move(x))); }
  void visit(Visitor& visitor) override { visitor("linear", linear); }
};

Model make_chain(std::int64_t classes) {
  std::vector<Model::NamedBlock> blocks;
  for (int i = 0; i < 100; ++i)
    blocks.push_back({fmt::format("blocks.{}", i), std::make_unique<ChainBlock>()});
  return Model("chain", {.shape = {256}}, classes, nullptr, std::move(blocks),
               std::make_unique<LinearHead>(256, classes));
}

void refuse(std::string_view model, std::string_view option, bool given) {
  if (given) throw UserError(fmt::format("make_model: {} has no option {}", model, option));
}

Model make_named_gpt(std::string_view name, const ModelOptions& options) {
  GptOptions gpt = name == "gpt" ? GptOptions() : gpt2_options(name);
  gpt.vocabulary = options.classes.value_or(gpt.vocabulary);
  gpt.context = options.context.value_or(gpt.context);
  gpt.layers = options.layers.value_or(gpt.layers);
  gpt.width = options.width.value_or(gpt.width);
  gpt.heads = options.heads.value_or(gpt.heads);
  gpt.dropout = options.dropout.value_or(gpt.dropout);
  gpt.tied_head = options.tied_head.value_or(gpt.tied_head);
  return make_gpt(gpt, std::string(name));
}

}  // namespace

std::span<const std::string_view> model_names() { return kNames; }

Model make_model(std::string_view name, ModelOptions options) {
  if (options.classes.value_or(1) < 1 || options.in_channels.value_or(1) < 1)
    throw UserError(fmt::format("make_model: {}: classes and in_channels are at least 1", name));
  if (name == "gpt" || name.starts_with("gpt2-")) {
    refuse(name, "in_channels", options.in_channels.has_value());
    refuse(name, "stem", options.stem.has_value());
    return make_named_gpt(name, options);
  }
  refuse(name, "layers", options.layers.has_value());
  refuse(name, "width", options.width.has_value());
  refuse(name, "heads", options.heads.has_value());
  refuse(name, "context", options.context.has_value());
  refuse(name, "dropout", options.dropout.has_value());
  refuse(name, "tied_head", options.tied_head.has_value());
  if (name.starts_with("resnet"))
    for (int depth : {18, 34, 50, 101, 152})
      if (name.substr(6) == std::to_string(depth)) {
        const bool bottlenecks = depth >= 50;
        return make_resnet(depth, options.classes.value_or(bottlenecks ? 1000 : 10),
                           options.in_channels.value_or(3),
                           options.stem.value_or(bottlenecks ? Stem::large_images : Stem::small_images));
      }
  const std::int64_t classes = options.classes.value_or(10);
  if (name == "lenet") {
    refuse(name, "stem", options.stem.has_value());
    return make_lenet(classes, options.in_channels.value_or(1));
  }
  if (name == "mlp" || name == "chain") {
    refuse(name, "stem", options.stem.has_value());
    refuse(name, "in_channels",
           options.in_channels.has_value() && !(name == "mlp" && options.in_channels == 1));
    return name == "mlp" ? make_mlp(classes) : make_chain(classes);
  }
  throw UserError(fmt::format("no model \"{}\"; there are {}", name, fmt::join(kNames, ", ")));
}

}  // namespace reprise::nn
