#pragma once
// What a step asks of cuDNN, from its trace.
#include <map>
#include <string>

#include "reprise/autograd/plan.h"
#include "reprise/cuda/attention_graph.h"
#include "reprise/cuda/convolution_graph.h"

namespace reprise::planning {

// By descriptions.
struct Graphs {
  // In f32, f64 and bf16: forward, with the bias where there is one, and both gradients.
  std::map<std::string, cuda::Convolution> convolutions;
  std::map<std::string, cuda::AttentionProblem>
      attention;  // in bf16: forward, and the gradient of part_of_batch
  bool empty() const { return convolutions.empty() && attention.empty(); }
};

// Adds those of a node, where it has any: a convolution or one of its gradients, attention without a mask and dropout.
void add_graphs(const Trace& trace, const TraceNode& node, Graphs& graphs);

}  // namespace reprise::planning
