#pragma once
// Graphs beside those of the ready models, and on which GPUs cuDNN has an engine for them.
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "reprise/cuda/attention_graph.h"
#include "reprise/cuda/cudnn_graph.h"

namespace reprise::planning {

struct Expected {
  std::string text;
  std::function<std::vector<cuda::Descriptor>()> operations;
  std::array<bool, 3> accepted;  // by gpus.h's
  bool exact_f32 = false;        // engines that round f32 are refused
};

const std::vector<Expected>& expected_graphs();

// A refusal too where an operation cannot be described.
cuda::PlanResult plan(const Expected& expected, const cuda::Descriptor& device);

}  // namespace reprise::planning
