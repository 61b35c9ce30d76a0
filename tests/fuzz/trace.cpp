// Trace files: planners take what is read, and simulate refuses it, because a file has no ops.
#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {
namespace {

template <class F>
void try_all(F&& f) {
  try {
    f();
  } catch (const InternalError&) {
    throw;
  } catch (const Error&) {
    // The next use is tried all the same.
  }
}

void step(Tape& tape) {
  manual_seed(1);
  const Tensor w = Tensor::randn({4, 4}, {.requires_grad = true});
  Tensor x = Tensor::ones({2, 4});
  for (int i = 0; i < 3; ++i) x = tanh(matmul(std::move(x), w));
  tape.backward(sum(std::move(x)));
}

}  // namespace

void read_input(std::string_view bytes) {
  const InputFile file(bytes);
  const Trace trace = Trace::load(file.path());
  const std::string copy = written([&](const std::string& path) { trace.save(path); });
  const InputFile second(copy);
  require(Trace::load(second.path()).nodes.size() == trace.nodes.size(), "a written trace is another one");
  if (trace.nodes.size() > 200) return;
  try_all([&] { checkpoint::forward_nodes(trace); });
  try_all([&] { checkpoint::bytes_before_first_node(trace); });
  try_all([&] { checkpoint::crossings(trace); });
  try_all([&] { checkpoint::chain_edges(trace); });
  try_all([&] { checkpoint::sqrt_planner(trace, {.budget = 1000}); });
  try_all([&] { checkpoint::revolve_planner(trace, {.budget = 1000}); });
  try_all([&] { checkpoint::plan(trace, {.budget = 1000}); });
  try_all([&] {
    Plan plan;
    checkpoint::simulate(trace, plan);
  });
}

std::vector<std::string> seeds() {
  const Trace trace = checkpoint::trace([](Tape& tape) { step(tape); });
  const Trace accumulating = checkpoint::trace([](Tape& tape) {
    Tensor w = Tensor::ones({3}, {.requires_grad = true});
    const Tensor loss = sum(relu(w * 2.0));
    tape.backward(loss, {.retain_graph = true});
    tape.gradients(loss, {w});
  });
  return {written([&](const std::string& path) { trace.save(path); }),
          written([&](const std::string& path) { accumulating.save(path); })};
}

}  // namespace reprise::fuzz
