// Plan files: what is read is valid, and a tape under the plan runs or refuses the step.
#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {
namespace {

Tensor& weight() {
  static Tensor w = [] {
    manual_seed(1);
    return Tensor::randn({4, 4}, {.requires_grad = true});
  }();
  return w;
}

void step(Tape& tape) {
  Tensor x = Tensor::ones({2, 4});
  for (int i = 0; i < 3; ++i) x = tanh(matmul(std::move(x), weight()));
  tape.backward(sum(std::move(x)));
}

const std::vector<double>& expected() {
  static const std::vector<double> gradient = [] {
    Tape tape;
    step(tape);
    std::vector<double> values = weight().grad().to_vector();
    weight().set_grad({});
    return values;
  }();
  return gradient;
}

}  // namespace

void read_input(std::string_view bytes) {
  const std::vector<double>& right = expected();
  const InputFile file(bytes);
  const Plan plan = Plan::load(file.path());
  plan.validate();
  const std::string copy = written([&](const std::string& path) { plan.save(path); });
  const InputFile second(copy);
  const Plan same = Plan::load(second.path());
  require(same.regions == plan.regions && same.decisions == plan.decisions && same.nodes == plan.nodes,
          "a written plan is another one");
  {
    Tape tape({.plan = plan});
    step(tape);
  }
  const std::vector<double> gradient = weight().grad().to_vector();
  weight().set_grad({});
  require(gradient == right, "a plan changes the gradient");
}

std::vector<std::string> seeds() {
  const Trace trace = checkpoint::trace([](Tape& tape) { step(tape); });
  checkpoint::PlanBuilder regions(trace);
  regions.region(0, 4);
  regions.region(2, 4);
  const Plan plan = std::move(regions).finish();
  return {written([&](const std::string& path) { plan.save(path); }),
          written([&](const std::string& path) { checkpoint::plan(trace).save(path); })};
}

}  // namespace reprise::fuzz
