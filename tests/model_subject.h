#pragma once
// A ready model, a batch and a loss: what tests of checkpointing and of plans take steps with.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "reprise/checkpoint/checkpoint.h"
#include "reprise/nn/nn.h"

namespace reprise::test {

// A model, its samples, and the state to begin each step from. Dropout before the head, so that randomness is replayed. "gpt"
// is a small one, with dropout in every place that has one.
struct Subject {
  nn::Model model;
  Tensor x, y;

  // `pixels`: of a ResNet's images, where not the model's own.
  explicit Subject(std::string_view name, DType dtype = DType::f32, std::int64_t pixels = 0);
  explicit Subject(nn::Model made, std::int64_t batch = 2, std::int64_t pixels = 0);
  void to(Device device);
  void reset();
  Tensor loss(nn::CheckpointSetting setting, bool nested);
  checkpoint::Step step();  // without checkpointing
};

std::vector<std::byte> bytes_of(const Tensor& tensor);

struct Outcome {
  std::vector<std::vector<std::byte>> bits;  // loss, gradients, running statistics
  std::size_t peak = 0;
  std::int64_t replays = 0;
};

// A step from the same state each time. `nested`: one region more, around the whole model. On the CPU, requires that the allocator kept
// its bound.
Outcome take_step(Subject& subject, nn::CheckpointSetting setting, bool nested, const Plan* plan);

// Of a step that is one region: all values but the last node's are offloaded.
Plan offloading_plan(const Trace& trace);

}  // namespace reprise::test
