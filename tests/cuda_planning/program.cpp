// Plans for GPUs that are not there, by the real cuDNN: an A100, an H100 and an RTX 5090. Every convolution that a ready model
// trains with gets an engine that is deterministic and rounds no f32, its attention in 16 bits a fused one. --listed: graphs of expected.cpp too, which
// cuDNN takes or refuses as it says there. Says what differs, and fails where something does.
//   planning [--listed] MODEL...
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/cuda/convolution_graph.h"
#include "reprise/nn/nn.h"
#include "reprise/tests/cuda_planning/expected.h"
#include "reprise/tests/cuda_planning/gpus.h"

using namespace reprise;
using namespace reprise::planning;
using cuda::AttentionProblem;
using cuda::Convolution;
using cuda::ConvolutionKind;

namespace {

std::string describe(const AttentionProblem& p) {
  return fmt::format("attention in {}: {} entries, {} positions, {} heads of {}, causal {}",
                     to_string(p.dtype), p.shape.batch, p.shape.queries, p.shape.heads, p.shape.head_dim,
                     p.causal);
}

const char* name_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return "forward";
    case ConvolutionKind::backward_input:
      return "backward_input";
    case ConvolutionKind::backward_weight:
      return "backward_weight";
  }
  return "?";
}

std::string describe(const Convolution& c) {
  return fmt::format("{} in {}: x {} weight {} stride {} padding {}", name_of(c.kind), to_string(c.dtype),
                     to_string(c.x), to_string(c.weight), c.stride.h, c.padding.h);
}

// What a training step asks of cuDNN, by descriptions.
struct Graphs {
  std::map<std::string, Convolution> convolutions;
  std::map<std::string, AttentionProblem> attention;
};

Trace trace_of(const std::string& model_name) {
  const DryRun dry;
  nn::Model model = nn::make_model(model_name);
  std::vector<std::int64_t> shape = {8};
  for (const std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  Tape tape;
  const Tensor y = model(Tensor::empty(shape, {.dtype = model.input_dtype()}));
  return tape.trace();
}

void add_convolution(const Trace& trace, const TraceNode& node, Graphs& graphs) {
  const auto shape = [&](std::int32_t value) { return trace.values[static_cast<std::size_t>(value)].shape; };
  Convolution c;
  long long sh, sw, ph, pw, dh, dw;
  if (std::sscanf(node.attributes.c_str(), "stride=%lldx%lld padding=%lldx%lld dilation=%lldx%lld", &sh, &sw,
                  &ph, &pw, &dh, &dw) != 6)
    throw InternalError("conv2d's attributes do not read as they should: " + node.attributes);
  c.stride = Pair(sh, sw);
  c.padding = Pair(ph, pw);
  c.dilation = Pair(dh, dw);
  c.x = shape(node.inputs[0]);
  c.weight = shape(node.inputs[1]);
  c.y = shape(node.outputs[0]);
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const ConvolutionKind kind :
         {ConvolutionKind::forward, ConvolutionKind::backward_input, ConvolutionKind::backward_weight}) {
      c.dtype = dtype;
      c.kind = kind;
      graphs.convolutions.emplace(describe(c), c);
    }
}

void add_attention(const Trace& trace, const TraceNode& node, Graphs& graphs) {
  const Shape qkv = trace.values[static_cast<std::size_t>(node.inputs[0])].shape;
  AttentionProblem p;
  p.shape = {qkv[0], qkv[1], qkv[1], qkv[3], qkv[3], qkv[4]};
  p.causal = node.attributes.starts_with("causal=true");
  p.q_row = p.k_row = 3 * qkv[3] * qkv[4];
  graphs.attention.emplace(describe(p), p);
}

// Prints and counts what is not as expected. `most`: bytes of workspace.
struct Tally {
  std::size_t count = 0, planned = 0, most = 0;
  int wrong = 0;

  void add(const Gpu& gpu, const std::string& text, const cuda::PlanResult& result, bool expected) {
    ++count;
    if (result.plan) {
      ++planned;
      most = std::max(most, result.plan->workspace);
    }
    if (result.plan.has_value() == expected) return;
    ++wrong;
    fmt::print("{}: {}: {}\n  {}\n", gpu.name, expected ? "refused" : "planned", text, result.refusal);
  }
};

}  // namespace

int main(int argc, char** argv) {
  Graphs graphs;
  const bool with_list = argc > 1 && std::string(argv[1]) == "--listed";
  for (int i = with_list ? 2 : 1; i < argc; ++i) {
    const Trace trace = trace_of(argv[i]);
    for (const TraceNode& node : trace.nodes) {
      if (node.op == "conv2d") add_convolution(trace, node, graphs);
      if (node.op == "attention_qkv") add_attention(trace, node, graphs);
    }
  }
  const std::vector<Expected> listed = with_list ? expected_graphs() : std::vector<Expected>();
  int wrong = 0;
  std::size_t count = 0;
  for (std::size_t g = 0; g < kGpus.size(); ++g) {
    const Gpu& gpu = kGpus[g];
    const cuda::Descriptor device = cuda::device_properties(json(gpu));
    Tally convolutions, attention, others;
    for (const auto& [text, c] : graphs.convolutions)
      convolutions.add(gpu, text, make_plan(convolution_operations(c), device, plan_request(c, false)), true);
    for (const auto& [text, p] : graphs.attention) {
      const cuda::PlanRequest request{.tf32 = true};
      attention.add(gpu, text, make_plan(attention_operations(p), device, request), true);
      const AttentionProblem part = part_of_batch(p, request.most_workspace);
      attention.add(gpu, text + ", the gradient",
                    make_plan(attention_backward_operations(part), device, request), true);
    }
    for (const Expected& expected : listed)
      others.add(gpu, expected.text, plan(expected, device), expected.accepted[g]);
    for (const auto& [what, tally] :
         {std::pair("convolutions", convolutions), std::pair("passes of attention", attention),
          std::pair("listed graphs", others)}) {
      if (tally.count == 0) continue;
      fmt::print("{}: {} of {} {} planned, {} bytes of workspace at most\n", gpu.name, tally.planned,
                 tally.count, what, tally.most);
      wrong += tally.wrong;
      count += tally.count;
    }
  }
  return wrong == 0 && count > 0 ? 0 : 1;
}
