#include "reprise/tests/model_subject.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"

namespace reprise::test {
namespace {

nn::Model make(std::string_view name, DType dtype) {
  manual_seed(7);
  nn::GptOptions gpt = {
      .vocabulary = 17, .context = 12, .layers = 3, .width = 24, .heads = 2, .dropout = 0.2};
  gpt.tied_head = name == "gpt with a tied head";
  nn::Model model = name.starts_with("gpt") ? nn::make_gpt(gpt) : nn::make_model(name);
  if (dtype != DType::f32) model.to(dtype);
  return model;
}

}  // namespace

std::vector<std::byte> bytes_of(const Tensor& t) {
  std::vector<std::byte> bytes(t.bytes());
  services(t.device()).copy(bytes.data(), t.impl()->data(), bytes.size());
  return bytes;
}

Subject::Subject(std::string_view name, DType dtype, std::int64_t pixels)
    : Subject(make(name, dtype), 2, pixels) {}

Subject::Subject(nn::Model made, std::int64_t batch, std::int64_t pixels) : model(std::move(made)) {
  std::vector<std::int64_t> shape = {batch};
  for (const std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  if (pixels > 0) shape[1] = shape[2] = pixels;
  if (model.input_dtype() == DType::i64) {
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < batch * shape[1]; ++i) ids.push_back(i * i % model.classes());
    x = Tensor::from(ids, shape, {.dtype = DType::i64});
    std::rotate(ids.begin(), ids.begin() + 1, ids.end());
    y = Tensor::from(ids, shape, {.dtype = DType::i64});
    return;
  }
  x = Tensor::randn(shape);
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < batch; ++i) classes.push_back((2 * i + 1) % model.classes());
  y = Tensor::from(classes, {batch}, {.dtype = DType::i64});
}

void Subject::to(Device device) {
  model.to(device);
  x = x.to(device);
  y = y.to(device);
}

void Subject::reset() {
  manual_seed(5);
  for (const Tensor& parameter : model.parameters()) parameter.set_grad({});
  nn::for_each<nn::BatchNorm2d>(model, [](std::string_view, nn::BatchNorm2d& norm) {
    const TensorOptions options{.device = norm.running_mean.device()};
    assign_state(norm.running_mean, Tensor::zeros(norm.running_mean.shape(), options));
    assign_state(norm.running_var, Tensor::ones(norm.running_var.shape(), options));
  });
}

Tensor Subject::loss(nn::CheckpointSetting setting, bool nested) {
  const Tensor dropped = model.input_dtype() == DType::i64 ? x : dropout(x, 0.2);
  Tensor logits = nested ? checkpoint::run([&] { return model(dropped, setting); }) : model(dropped, setting);
  return cross_entropy(std::move(logits), y);
}

checkpoint::Step Subject::step() {
  return [this](Tape& tape) { tape.backward(loss({}, false)); };
}

Outcome take_step(Subject& subject, nn::CheckpointSetting setting, bool nested, const Plan* plan) {
  subject.reset();
  const Device device = subject.x.device();
  static std::size_t highest = 0;  // of the whole process, on the CPU: the peak is reset at each step
  highest = std::max(highest, memory::peak(Device::cpu()));
  memory::reset_peak(device);
  Outcome outcome;
  {
    Tape tape(plan ? TapeOptions{.plan = *plan} : TapeOptions{});
    Tensor loss = subject.loss(setting, nested);
    tape.backward(loss);
    outcome.replays = tape.replays();
    outcome.bits.push_back(bytes_of(loss));
  }
  outcome.peak = memory::peak(device);
  if (device == Device::cpu()) {
    highest = std::max(highest, outcome.peak);
    REQUIRE(memory::reserved(device) <= highest + highest * 15 / 100 + MiB(16));
  }
  for (const Tensor& parameter : subject.model.parameters())
    outcome.bits.push_back(bytes_of(parameter.grad()));
  for (const auto& [name, buffer] : subject.model.named_buffers()) outcome.bits.push_back(bytes_of(buffer));
  return outcome;
}

Plan offloading_plan(const Trace& trace) {
  checkpoint::PlanBuilder builder(trace);
  const auto nodes = static_cast<std::int32_t>(trace.nodes.size());
  builder.region(0, nodes - 1);
  for (std::int32_t n = 0; n < nodes - 1; ++n)
    for (const std::int32_t v : trace.nodes[static_cast<std::size_t>(n)].outputs)
      builder.decide(v, Decision::offload);
  return std::move(builder).finish();
}

}  // namespace reprise::test
