// The ready models: shapes, parameter counts, names; and every checkpoint setting gives the same bits.
#include <catch2/catch.hpp>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using Catch::Contains;

namespace {

Shape batch_of(const nn::Model& model, std::int64_t batch) {
  std::vector<std::int64_t> shape = {batch};
  for (std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  return shape;
}

std::vector<float> elements(const Tensor& tensor) {
  const auto values = tensor.read<float>();
  return {values.begin(), values.end()};
}

struct Step {
  std::vector<float> loss;
  std::vector<std::vector<float>> gradients, state;
  std::int64_t replays = 0, nodes = 0;
};

// The first step of a model made from the same seed each time.
Step first_step(std::string_view name, nn::CheckpointSetting setting) {
  manual_seed(7);
  nn::Model model = nn::make_model(name);
  const Tensor x = Tensor::randn(batch_of(model, 2));
  const Tensor y = Tensor::from<std::int64_t>({1, 3}, {2}, {.dtype = DType::i64});
  Step step;
  Tape tape;
  Tensor loss = cross_entropy(model(x, setting), y);
  step.nodes = tape.nodes();
  step.loss = elements(loss);
  tape.backward(loss);
  step.replays = tape.replays();
  for (const Tensor& parameter : model.parameters()) step.gradients.push_back(elements(parameter.grad()));
  for (const nn::NamedState& state : nn::named_state(model)) step.state.push_back(elements(state.tensor));
  return step;
}

}  // namespace

TEST_CASE("Parameter counts are the published ones", "[nn]") {
  struct Case {
    const char* name;
    nn::ModelOptions options;
    std::int64_t count;
  };
  const nn::ModelOptions imagenet = {.classes = 1000, .stem = nn::Stem::large_images};
  // torchvision's for the ResNets with 1000 classes.
  for (const Case& c : {Case{"mlp", {}, 784 * 128 + 128 + 128 * 10 + 10}, Case{"lenet", {}, 421'642},
                        Case{"chain", {}, 100 * (256 * 256 + 256) + 2570},
                        Case{"resnet18", imagenet, 11'689'512}, Case{"resnet34", imagenet, 21'797'672},
                        Case{"resnet50", {}, 25'557'032}, Case{"resnet101", {}, 44'549'160},
                        Case{"resnet152", {}, 60'192'808}, Case{"resnet18", {}, 11'173'962},
                        Case{"gpt", {}, 10'795'776}, Case{"gpt", {.tied_head = true}, 10'795'776 - 65 * 384},
                        // GPT-2's as published, tied.
                        Case{"gpt2-124m", {}, 124'439'808}, Case{"gpt2-350m", {}, 354'823'168},
                        Case{"gpt2-774m", {}, 774'030'080}, Case{"gpt2-1.5b", {}, 1'557'611'200}}) {
    INFO(c.name);
    const DryRun dry_run;  // the weights need no memory
    CHECK(nn::make_model(c.name, c.options).parameter_count() == c.count);
  }
}

TEST_CASE("Names of a ResNet's parameters are torchvision's", "[nn]") {
  const DryRun dry_run;
  nn::Model model = nn::make_model("resnet50");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.named_parameters()) names.push_back(name);
  CHECK(std::vector<std::string>(names.begin(), names.begin() + 5) ==
        std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight",
                                 "layer1.0.bn1.weight"});
  for (const char* name : {"layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias",
                           "layer3.5.bn3.weight", "layer4.2.conv3.weight", "fc.weight", "fc.bias"}) {
    INFO(name);
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
  }
  CHECK(names.size() == 161);
  CHECK(model.named_buffers().size() == 106);  // torchvision's 159 less num_batches_tracked
}

TEST_CASE("Each model maps its own input to its classes, with the blocks it says", "[nn]") {
  struct Case {
    const char* name;
    std::int64_t blocks, classes;
  };
  for (const Case& c : {Case{"mlp", 1, 10}, Case{"lenet", 2, 10}, Case{"resnet18", 8, 10},
                        Case{"resnet34", 16, 10}, Case{"resnet50", 16, 1000}, Case{"resnet101", 33, 1000},
                        Case{"resnet152", 50, 1000}, Case{"chain", 100, 10}, Case{"gpt", 6, 65},
                        Case{"gpt2-124m", 12, 50257}, Case{"gpt2-1.5b", 48, 50257}}) {
    INFO(c.name);
    const DryRun dry_run;
    nn::Model model = nn::make_model(c.name);
    CHECK(model.block_count() == c.blocks);
    CHECK(model.classes() == c.classes);
    const Shape logits = model(Tensor::empty(batch_of(model, 3), {.dtype = model.input_dtype()})).shape();
    CHECK(logits == (model.input_dtype() == DType::i64 ? Shape{3, model.input_shape()[0], c.classes}
                                                       : Shape{3, c.classes}));
  }
  const DryRun dry_run;
  nn::Model gray =
      nn::make_model("resnet18", {.classes = 7, .in_channels = 1, .stem = nn::Stem::large_images});
  CHECK(gray.input_shape() == Shape{224, 224, 1});
  CHECK(gray(Tensor::empty({2, 28, 28, 1})).shape() == Shape{2, 7});
}

TEST_CASE("Every checkpoint setting gives the same loss, gradients and running statistics", "[nn][slow]") {
  using Kind = nn::CheckpointSetting::Kind;
  struct Case {
    const char* name;
    std::vector<std::int64_t> segments;
  };
  for (const Case& c :
       {Case{"mlp", {1}}, Case{"lenet", {1, 2}}, Case{"resnet18", {3, 8}}, Case{"chain", {7, 100}}}) {
    INFO(c.name);
    const Step plain = first_step(c.name, {});
    CHECK(plain.replays == 0);
    std::vector<nn::CheckpointSetting> settings = {{Kind::block}, {Kind::sqrt}};
    for (std::int64_t segments : c.segments) settings.push_back({Kind::segments, segments});
    for (const nn::CheckpointSetting& setting : settings) {
      INFO(to_string(setting));
      const Step step = first_step(c.name, setting);
      CHECK(step.nodes == plain.nodes);
      CHECK(step.loss == plain.loss);
      CHECK((step.gradients == plain.gradients));
      CHECK((step.state == plain.state));
    }
  }
}

TEST_CASE("chain replays exactly what its segments say", "[nn]") {
  using Kind = nn::CheckpointSetting::Kind;
  // tanh saves its output, so that a segment's last value, the next one's boundary, is gone when tanh's backward comes:
  // all 20 nodes of the 9 segments run again, as the engine's rule says for ops that save their output.
  CHECK(first_step("chain", {Kind::sqrt}).replays == 9 * 20);
  CHECK(first_step("chain", {Kind::block}).replays == 99 * 2);  // not the last block
  CHECK(first_step("mlp", {Kind::block}).replays > 0);          // but the only one
  CHECK(first_step("chain", {Kind::segments, 1}).replays == 0);
}

TEST_CASE("Checkpointing cuts the activation memory of the deep models", "[nn]") {
  using Kind = nn::CheckpointSetting::Kind;
  auto activation_peak = [](const char* name, std::int64_t batch, nn::CheckpointSetting setting) {
    const DryRun dry_run;
    nn::Model model = nn::make_model(name);
    const Tensor x = Tensor::empty(batch_of(model, batch));
    const Tensor y = Tensor::empty({batch}, {.dtype = DType::i64});
    const std::size_t before = memory::live(Device::cpu());
    memory::reset_peak(Device::cpu());
    Tape tape;
    tape.backward(cross_entropy(model(x, setting), y));
    return static_cast<double>(memory::peak(Device::cpu()) - before);
  };
  CHECK(activation_peak("chain", 4096, {Kind::sqrt}) <= 0.25 * activation_peak("chain", 4096, {}));
  CHECK(activation_peak("resnet152", 8, {Kind::block}) <= 0.40 * activation_peak("resnet152", 8, {}));
}

TEST_CASE("Segments have edges at round(i n / k); settings are read from text", "[nn]") {
  using Segments = std::vector<std::pair<std::int64_t, std::int64_t>>;
  CHECK(nn::balanced_segments(8, 3) == Segments{{0, 3}, {3, 5}, {5, 8}});
  CHECK(nn::balanced_segments(9, 5) == Segments{{0, 2}, {2, 4}, {4, 5}, {5, 7}, {7, 9}});
  CHECK(nn::balanced_segments(2, 2) == Segments{{0, 1}, {1, 2}});
  CHECK_THROWS_WITH(nn::balanced_segments(2, 3), Contains("from 1 to 2"));
  for (const char* text : {"none", "block", "recompute_cheap", "sqrt", "7"})
    CHECK(to_string(nn::checkpoint_setting_from_string(text)) == text);
  for (const char* text : {"", "0", "-1", "7x", "blocks"})
    CHECK_THROWS_WITH(nn::checkpoint_setting_from_string(text),
                      Contains("none, block, recompute_cheap, sqrt"));
}

TEST_CASE("Unknown models and options are refused, and the message lists the models", "[nn]") {
  CHECK_THROWS_WITH(nn::make_model("resnet19"),
                    Contains("resnet19") && Contains("mlp, lenet") && Contains("chain"));
  CHECK_THROWS_WITH(nn::make_model("mlp", {.in_channels = 3}), Contains("in_channels"));
  CHECK_THROWS_WITH(nn::make_model("chain", {.stem = nn::Stem::small_images}), Contains("stem"));
  CHECK_THROWS_AS(nn::make_model("lenet", {.classes = 0}), UserError);
  CHECK_THROWS_WITH(nn::make_model("mlp", {.layers = 3}), Contains("layers"));
  CHECK_THROWS_WITH(nn::make_model("gpt", {.in_channels = 3}), Contains("in_channels"));
  CHECK_THROWS_WITH(nn::make_model("gpt", {.width = 100, .heads = 3}), Contains("heads 3"));
  CHECK_THROWS_WITH(nn::make_model("gpt2-2b"), Contains("gpt2-1.5b"));
}

TEST_CASE("The summary's rows say what is kept, and block checkpointing keeps less", "[nn]") {
  using Kind = nn::CheckpointSetting::Kind;
  nn::Model model = nn::make_model("chain");
  const ValueInfo input = {{64, 256}, DType::f32, Device::cpu()};
  const std::vector<nn::SummaryRow> plain = nn::summary_rows(model.parts(), input);
  REQUIRE(plain.size() == 101);
  const std::size_t activation = 64 * 256 * 4;
  for (std::size_t i = 0; i < 100; ++i) {
    INFO(plain[i].name);
    CHECK(plain[i].output == Shape{64, 256});
    CHECK(plain[i].parameters == 256 * 256 + 256);
    CHECK(plain[i].kept == activation);     // tanh's output
    CHECK(plain[i].dropped == activation);  // linear's output
  }
  CHECK(plain[100].name == "head");
  CHECK(plain[100].kept == 64 * 10 * 4);
  const std::vector<nn::SummaryRow> sqrt = nn::summary_rows(model.parts({Kind::sqrt}), input);
  REQUIRE(sqrt.size() == 11);
  CHECK(sqrt[0].kept == activation);  // the next segment's boundary
  CHECK(sqrt[0].dropped == 19 * activation);
  CHECK(sqrt[9].kept == 10 * activation);  // the last segment is no region
  nn::Sequential small(nn::Linear(4, 8), relu, nn::Linear(8, 2));
  // What a part gave and the next does not need is not kept: relu saves its output, so linear's goes.
  const std::vector<nn::SummaryRow> apart =
      nn::summary_rows({{"linear", {small.module(0)}, [&](Tensor x) { return small.call(0, std::move(x)); }},
                        {"relu", {}, [&](Tensor x) { return small.call(1, std::move(x)); }}},
                       {{3, 4}, DType::f32, Device::cpu()});
  CHECK(apart[0].kept == 0);
  CHECK(apart[0].dropped == 3 * 8 * 4);
  CHECK(apart[1].kept == 3 * 8 * 4);
  CHECK(apart[1].dropped == 0);
  const std::string parts = nn::summary(small, {{3, 4}, DType::f32, Device::cpu()});
  CHECK_THAT(parts, Contains("[3, 8]") && Contains("40") && Contains("58"));
  const std::string table = nn::summary(model, 64, {Kind::sqrt});
  CHECK_THAT(table, Contains("blocks.0 .. blocks.9") && Contains("total") && Contains("6581770"));
}
