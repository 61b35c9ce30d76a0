// Plans for GPUs that are not there, by the real cuDNN: an A100, an H100 and an RTX 5090.
//   planning [--listed] MODEL...   every convolution that a ready model trains with gets an engine that is deterministic and
//                                  rounds no f32, its attention in 16 bits a fused one; --listed: graphs of expected.cpp too,
//                                  which cuDNN takes or refuses as it says there. Says what differs, and fails where
//                                  something does.
//   planning --cases               for each op case with such a graph a line: its name, a tab, the GPUs that all of its graphs
//                                  are planned for.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/nn/nn.h"
#include "reprise/tests/cuda_planning/expected.h"
#include "reprise/tests/cuda_planning/gpus.h"
#include "reprise/tests/cuda_planning/graphs.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::planning;

namespace {

Trace trace_of(const std::string& model_name) {
  const DryRun dry;
  nn::Model model = nn::make_model(model_name);
  std::vector<std::int64_t> shape = {8};
  for (const std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  Tape tape;
  const Tensor y = model(Tensor::empty(shape, {.dtype = model.input_dtype()}));
  return tape.trace();
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

// The two passes of attention, and a convolution.
cuda::PlanResult plan(const cuda::Convolution& c, const cuda::Descriptor& device) {
  return make_plan(convolution_operations(c), device, plan_request(c, false));
}
cuda::PlanResult plan(const cuda::AttentionProblem& p, const cuda::Descriptor& device) {
  return make_plan(attention_operations(p), device, {.tf32 = true});
}
cuda::PlanResult plan_backward(const cuda::AttentionProblem& p, const cuda::Descriptor& device) {
  const cuda::PlanRequest request{.tf32 = true};
  return make_plan(attention_backward_operations(part_of_batch(p, request.most_workspace)), device, request);
}

void plan_case(const test::OpCase& op_case, const std::vector<cuda::Descriptor>& devices) {
  Graphs graphs;
  {
    Tape tape;
    const Tensor y = op_case.function(test::make_inputs(op_case, DType::f32));
    const Trace trace = tape.trace();
    for (const TraceNode& node : trace.nodes) add_graphs(trace, node, graphs);
  }
  if (graphs.empty()) return;
  std::string names;
  for (std::size_t g = 0; g < kGpus.size(); ++g) {
    bool all = true;
    for (const auto& [text, c] : graphs.convolutions) all = all && plan(c, devices[g]).plan;
    for (const auto& [text, p] : graphs.attention)
      all = all && plan(p, devices[g]).plan && plan_backward(p, devices[g]).plan;
    if (all) names += fmt::format("{}{}", names.empty() ? "" : ", ", kGpus[g].short_name);
  }
  fmt::print("{}\t{}\n", op_case.name, names);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--cases") {
    std::vector<cuda::Descriptor> devices;
    for (const Gpu& gpu : kGpus) devices.push_back(cuda::device_properties(json(gpu)));
    for (const test::OpCase& op_case : test::op_cases()) plan_case(op_case, devices);
    return 0;
  }
  Graphs graphs;
  const bool with_list = argc > 1 && std::string(argv[1]) == "--listed";
  for (int i = with_list ? 2 : 1; i < argc; ++i) {
    const Trace trace = trace_of(argv[i]);
    for (const TraceNode& node : trace.nodes) add_graphs(trace, node, graphs);
  }
  const std::vector<Expected> listed = with_list ? expected_graphs() : std::vector<Expected>();
  int wrong = 0;
  std::size_t count = 0;
  for (std::size_t g = 0; g < kGpus.size(); ++g) {
    const Gpu& gpu = kGpus[g];
    const cuda::Descriptor device = cuda::device_properties(json(gpu));
    Tally convolutions, attention, others;
    for (const auto& [text, c] : graphs.convolutions) convolutions.add(gpu, text, plan(c, device), true);
    for (const auto& [text, p] : graphs.attention) {
      attention.add(gpu, text, plan(p, device), true);
      attention.add(gpu, text + ", the gradient", plan_backward(p, device), true);
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
