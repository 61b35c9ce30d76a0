// Trace and Plan files with numbers out of range: refused when they are read, so that no planner meets them.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

// A small step with a view, a seed, two backwards and a buffer beside the tape.
Trace small_trace() {
  const Tensor x = random_leaf({4}, 1), y = random_leaf({4}, 2);
  return checkpoint::trace([&](Tape& tape) {
    const Tensor constant = Tensor::ones({4}, {.dtype = DType::f64});
    const Tensor h = squash(sine(x * constant)).reshape({2, 2});
    tape.backward(h, {.seed = Tensor::ones({2, 2}, {.dtype = DType::f64}), .retain_graph = true});
    const auto [g] = tape.gradients(sum(h), {x}, {.retain_graph = true});
    tape.backward(sum(h * h) + sum(y));
  });
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A file that the reader takes must be one that every planner and the simulation survive; any Error is fine.
void read_and_plan(const std::string& path) {
  try {
    const Trace trace = Trace::load(path);
    for (const std::string_view name : checkpoint::planner_names())
      for (const std::size_t budget : {std::size_t{0}, std::size_t{1000}}) {
        try {
          checkpoint::plan(trace, {.budget = budget, .planner = checkpoint::planner_by_name(name)});
        } catch (const Error&) {
        }
      }
  } catch (const Error&) {
  }
  try {
    const Plan plan = Plan::load(path);
    plan.validate();
    Tape tape({.plan = plan});
  } catch (const Error&) {
  }
}

}  // namespace

TEST_CASE("a trace that is read back is the trace that was written", "[readers]") {
  const TemporaryFile file("trace.json");
  const Trace trace = small_trace();
  trace.validate();
  trace.save(file.path());
  const Trace back = Trace::load(file.path());
  CHECK(back.nodes.size() == trace.nodes.size());
  CHECK(back.values.size() == trace.values.size());
  CHECK(back.base_bytes == trace.base_bytes);
}

TEST_CASE("a trace with a number out of range is refused by validate", "[readers]") {
  const Trace right = small_trace();
  const auto refused = [&](const char* text, const std::function<void(Trace&)>& change) {
    INFO(text);
    Trace trace = right;
    change(trace);
    CHECK_THROWS_WITH(trace.validate(), Contains("trace") && Contains(text));
    CHECK_THROWS_AS(checkpoint::plan(trace), UserError);
  };
  refused("storage of value 0", [](Trace& t) { t.values[0].storage = -1; });
  refused("storage of value 1", [](Trace& t) { t.values[1].storage = static_cast<int>(t.values.size()); });
  refused("maker of value 0", [](Trace& t) { t.values[0].maker = static_cast<int>(t.nodes.size()); });
  refused("larger than its buffer", [](Trace& t) { t.values[0].bytes = 3; });
  refused("larger than its buffer", [](Trace& t) { t.values[0].shape = {std::int64_t{1} << 48}; });
  refused("more bytes than any machine", [](Trace& t) { t.base_bytes = SIZE_MAX; });
  refused("more bytes than any machine", [](Trace& t) { t.nodes[0].workspace = SIZE_MAX - 5; });
  refused("the tape's values", [](Trace& t) { t.tape_values = -1; });
  refused("the tape's values", [](Trace& t) { t.tape_values = static_cast<int>(t.values.size()) + 1; });
  refused("an input of node 0", [](Trace& t) { t.nodes[0].inputs[0] = -1; });
  refused("an output of node 1", [](Trace& t) { t.nodes[1].outputs[0] = 1 << 30; });
  refused("before it is made", [](Trace& t) { t.nodes[0].inputs[0] = t.nodes[1].outputs[0]; });
  refused("no outputs", [](Trace& t) { t.nodes[0].outputs.clear(); });
  refused("not its own", [](Trace& t) { t.nodes[0].saved = {t.nodes.back().outputs[0]}; });
  refused("negative or not finite", [](Trace& t) { t.nodes[0].flops = -1; });
  refused("negative or not finite", [](Trace& t) { t.nodes[0].seconds = std::nan(""); });
  refused("the loss of a backward", [](Trace& t) { t.backwards[0].loss = -1; });
  refused("the seed of a backward", [](Trace& t) { t.backwards[0].seed = 1 << 20; });
  refused("more results", [](Trace& t) { t.backwards[1].results.assign(5, 0); });
  refused("the node of an event", [](Trace& t) {
    for (TraceEvent& e : t.events)
      if (e.kind == TraceEvent::Kind::node) e.index = 0;
  });
  refused("the backward of an event", [](Trace& t) {
    for (TraceEvent& e : t.events)
      if (e.kind == TraceEvent::Kind::backward) e.index = 7;
  });
  refused("the buffer of an event", [](Trace& t) {
    for (TraceEvent& e : t.events)
      if (e.kind == TraceEvent::Kind::allocate) e.index = -1;
  });
}

TEST_CASE("a plan with a decision out of range or out of order is refused by the tape and the reader",
          "[readers]") {
  Plan plan = checkpoint::plan(small_trace());
  const std::size_t nodes = plan.nodes.size();
  REQUIRE(nodes > 2);
  const TemporaryFile file("plan.json");
  const auto refused = [&](std::vector<PlanDecision> decisions, const char* text) {
    plan.decisions = std::move(decisions);
    CHECK_THROWS_WITH(Tape({.plan = plan}), Contains(text));
    plan.save(file.path());
    CHECK_THROWS_WITH(Plan::load(file.path()), Contains(text) && Contains(file.path()));
  };
  refused({{-1, 0, Decision::keep}}, "leaves the step");
  refused({{static_cast<int>(nodes), 0, Decision::keep}}, "leaves the step");
  refused({{0, -1, Decision::keep}}, "leaves the step");
  refused({{1, 0, Decision::keep}, {0, 0, Decision::keep}}, "not in order");
  refused({{1, 0, Decision::keep}, {1, 0, Decision::offload}}, "not in order");
}

TEST_CASE("numbers that are no whole numbers in range are refused by the readers of plans and traces",
          "[readers]") {
  const TemporaryFile file("numbers.json");
  const Plan plan = checkpoint::plan(small_trace());
  plan.save(file.path());
  const std::string text = text_of(file.path());
  for (const char* number : {"-1", "1.5", "18446744073709551616", "1e999", "\"3\"", "null", "[]"}) {
    INFO(number);
    std::string changed = text;
    const std::size_t at = changed.find("\"predicted_peak\": ") + 18, end = changed.find_first_of(",\n", at);
    changed.replace(at, end - at, number);
    std::ofstream(file.path()) << changed;
    CHECK_THROWS_AS(Plan::load(file.path()), FileError);
  }
}

TEST_CASE("random changes of plan and trace files end in an Error or in plans, never in anything else",
          "[readers]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const TemporaryFile file("mutated.json");
  std::vector<std::string> texts;
  const Trace trace = small_trace();
  trace.save(file.path());
  texts.push_back(text_of(file.path()));
  checkpoint::plan(trace).save(file.path());
  texts.push_back(text_of(file.path()));
  const char* numbers[] = {"-1",    "0",   "1", "7", "2147483647", "-2147483648", "18446744073709551615",
                           "1e300", "0.5", "{}"};
  for (int round = 0; round < 3000; ++round) {
    std::string text = texts[random() % texts.size()];
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t place = random() % text.size();
      if (random() % 4 == 0) {
        text[place] = static_cast<char>(random());
        continue;
      }
      const std::size_t begin = text.find_first_of("0123456789", place);
      if (begin == std::string::npos) continue;
      const std::size_t end = text.find_first_not_of("0123456789", begin);
      text.replace(begin, end - begin, numbers[random() % std::size(numbers)]);
    }
    std::ofstream(file.path()) << text;
    read_and_plan(file.path());
  }
  SUCCEED();
}
