// Each op case in every mode.
#include "reprise/tests/op_case.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/region.h"
#include "reprise/core/kernel_slot.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case_sections.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// Nodes that backward has to run again when nothing made on the tape was kept but `y`: the makers of what the tracked
// nodes save, and of what these need in turn.
std::int64_t expected_replays(const Trace& trace) {
  const std::int32_t y = trace.values[static_cast<std::size_t>(trace.nodes.back().outputs[0])].storage;
  std::set<std::int32_t> again;
  std::vector<std::int32_t> needed;
  for (const TraceNode& node : trace.nodes)
    if (node.tracked) needed.insert(needed.end(), node.saved.begin(), node.saved.end());
  while (!needed.empty()) {
    const std::int32_t storage = trace.values[static_cast<std::size_t>(needed.back())].storage;
    needed.pop_back();
    if (storage == y) continue;
    std::int32_t maker = -1;
    for (const TraceValue& value : trace.values)
      if (value.storage == storage) {  // the buffer's first value; its views come later
        maker = value.maker;
        break;
      }
    if (maker < 0 || !again.insert(maker).second) continue;
    const TraceNode& node = trace.nodes[static_cast<std::size_t>(maker)];
    needed.insert(needed.end(), node.inputs.begin(), node.inputs.end());
  }
  return static_cast<std::int64_t>(again.size());
}

}  // namespace

TEST_CASE("op cases: forward equals the formula", "[ops]") {
  const PlainKernels plain;
  for_each_case([&](const OpCase& op_case) {
    if (!op_case.reference) return;
    const std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
    std::vector<Values> values;
    for (const Tensor& input : inputs) values.push_back(input.to_vector());
    const Values expected = op_case.reference(values);
    const Values actual = op_case.function(inputs).to_vector();
    REQUIRE(actual.size() == expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      INFO("element " << i);
      CHECK(actual[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-12));
    }
  });
}

TEST_CASE("op cases: the gradient is that of central differences", "[ops]") {
  const PlainKernels plain;
  for_each_case([&](const OpCase& op_case) {
    if (!has_gradient(op_case) || op_case.large) return;
    const std::vector<Tensor> all = make_inputs(op_case, DType::f64);
    std::vector<Tensor> differentiable;
    for (const Tensor& input : all)
      if (input.requires_grad()) differentiable.push_back(input);
    auto function = [&](Inputs in) {
      std::vector<Tensor> inputs = all;
      std::size_t next = 0;
      for (Tensor& input : inputs)
        if (input.requires_grad()) input = in[next++];
      return op_case.function(inputs);
    };
    CHECK_NOTHROW(gradcheck(function, differentiable));
  });
}

// The derivative of <gradient, direction v> along a direction u, by differences and by differentiating backward.
TEST_CASE("op cases: the gradient's gradient is that of central differences", "[ops]") {
  const PlainKernels plain;
  for_each_case([&](const OpCase& op_case) {
    if (!has_gradient(op_case) || !op_case.double_backward) return;
    const std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
    std::vector<Tensor> wanted;
    for (const Tensor& input : inputs)
      if (input.requires_grad()) wanted.push_back(input);

    double scale = 0;                  // of what is summed: what differences can resolve
    auto along_v = [&](double step) {  // <gradient at inputs + step u, v>
      std::vector<Tensor> moved = inputs;
      for (std::size_t i = 0; i < moved.size(); ++i)
        if (inputs[i].requires_grad()) {
          moved[i] = (inputs[i] + weights_like(inputs[i], 20 + i) * step).detach();
          moved[i].set_requires_grad(true);
        }
      const Result result = run(op_case, moved);
      double total = 0;
      for (std::size_t i = 0; i < result.gradients.size(); ++i) {
        if (!result.gradients[i].defined()) continue;
        const Values g = result.gradients[i].to_vector(), v = weights_like(wanted[i], 10 + i).to_vector();
        for (std::size_t k = 0; k < g.size(); ++k) {
          total += g[k] * v[k];
          scale = std::max(scale, std::abs(g[k]));
        }
      }
      return total;
    };
    const double step = 1e-5;
    const double expected = (along_v(step) - along_v(-step)) / (2 * step);

    Tape tape;
    Tensor y = op_case.function(inputs);
    std::vector<Tensor> gradients =
        tape.gradients(y, wanted, {.seed = weights_like(y, 2), .create_graph = true, .allow_unused = true});
    Tensor total = Tensor::zeros({}, {.dtype = DType::f64});
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      total = total + 0.0 * sum(wanted[i]);  // a gradient may not depend on the inputs at all
      if (gradients[i].defined()) total = total + sum(gradients[i] * weights_like(wanted[i], 10 + i));
    }
    const std::vector<Tensor> second = tape.gradients(total, wanted);
    double actual = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].requires_grad()) continue;
      const Values h = second[next++].to_vector(), u = weights_like(inputs[i], 20 + i).to_vector();
      for (std::size_t k = 0; k < h.size(); ++k) actual += h[k] * u[k];
    }
    CHECK(actual == Approx(expected).epsilon(1e-4).margin(1e-5 * std::max(1.0, scale)));
  });
}

TEST_CASE("op cases: a replayed region gives the same bits, and replays just what is needed", "[ops]") {
  struct Mode {
    bool plain;
    DType dtype;
  };
  for (const Mode mode : {Mode{true, DType::f32}, Mode{false, DType::f32}, Mode{false, DType::bf16}}) {
    const PlainKernels kernels(mode.plain);
    const auto check = [&](const OpCase& op_case) {
      if (!has_gradient(op_case)) return;
      const std::vector<Tensor> inputs = make_inputs(op_case, mode.dtype);
      const Result kept = run(op_case, inputs);
      std::int64_t expected = 0, actual = 0;
      Result replayed;
      {
        Tape tape;
        replayed.y = checkpoint::run([&] { return op_case.function(inputs); });
        expected = expected_replays(tape.trace());
        std::vector<Tensor> wanted;
        for (const Tensor& input : inputs)
          if (input.requires_grad()) wanted.push_back(input);
        replayed.gradients =
            tape.gradients(replayed.y, wanted, {.seed = weights_like(replayed.y, 2), .allow_unused = true});
        actual = tape.replays();
      }
      CHECK(actual == expected);
      CHECK(same_bits(kept.y, replayed.y));
      for (std::size_t i = 0; i < kept.gradients.size(); ++i)
        CHECK(same_bits(kept.gradients[i], replayed.gradients[i]));
    };
    for_each_case(check, (mode.plain ? ", plain " : ", fast ") + std::string(to_string(mode.dtype)));
  }
}

TEST_CASE("op cases: a frozen input's partners are not saved", "[ops]") {
  for_each_case([&](const OpCase& op_case) {
    for (const ExpectedSaves& expected : op_case.saves) {
      INFO("frozen input " << expected.frozen);
      const std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
      if (expected.frozen >= 0) inputs[static_cast<std::size_t>(expected.frozen)].set_requires_grad(false);
      Tape tape;
      const Tensor y = op_case.function(inputs);
      const Trace trace = tape.trace();
      REQUIRE(!trace.nodes.empty());
      const TraceNode& node = trace.nodes.front();
      std::vector<std::int32_t> values;
      for (const int i : expected.inputs) values.push_back(node.inputs[static_cast<std::size_t>(i)]);
      for (const int i : expected.outputs) values.push_back(node.outputs[static_cast<std::size_t>(i)]);
      CHECK(node.saved == values);
    }
  });
}

// What lives after the forward pass: the buffers of what tracked nodes save, the output that is held here, and data
// that the case's function made itself (a number's tensor), which nobody could make again.
TEST_CASE("op cases: the tape keeps what is saved, to the byte", "[ops]") {
  for_each_case([&](const OpCase& op_case) {
    const std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
    const std::size_t before = memory::live(Device::cpu());
    Tape tape;
    const Tensor y = op_case.function(inputs);
    const Trace trace = tape.trace();
    std::map<std::int32_t, std::size_t> made;  // bytes of each buffer made here: those of its first value
    std::set<std::int32_t> seen;
    std::size_t expected = 0;
    for (const TraceValue& value : trace.values) {
      if (!seen.insert(value.storage).second) continue;
      if (value.maker >= 0)
        made[value.storage] = value.bytes;
      else
        expected += value.bytes;
    }
    for (const Tensor& input : inputs) expected -= input.bytes();
    std::set<std::int32_t> kept;
    for (const TraceNode& node : trace.nodes)
      if (node.tracked)
        for (const std::int32_t value : node.saved)
          kept.insert(trace.values[static_cast<std::size_t>(value)].storage);
    kept.insert(trace.values[static_cast<std::size_t>(trace.nodes.back().outputs[0])].storage);
    for (const auto& [storage, bytes] : made)
      if (kept.count(storage) != 0) expected += bytes;
    CHECK(memory::live(Device::cpu()) - before == expected);
  });
}

TEST_CASE("op cases: plain kernels give the same bits on any number of threads", "[ops][threads]") {
  const PlainKernels plain;
  for_each_case([&](const OpCase& op_case) {
    const std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
    Result one;
    {
      const ThreadCount threads(1);
      one = run(op_case, inputs);
    }
    for (const int count : {2, 4}) {
      const ThreadCount threads(count);
      const Result more = run(op_case, inputs);
      CHECK(same_bits(one.y, more.y));
      for (std::size_t i = 0; i < one.gradients.size(); ++i)
        CHECK(same_bits(one.gradients[i], more.gradients[i]));
    }
  });
}

TEST_CASE("op cases: the fast kernels in f32 agree with the plain ones in f64", "[ops]") {
  for_each_case([&](const OpCase& op_case) {
    Result exact;
    {
      const PlainKernels plain;
      exact = run(op_case, make_inputs(op_case, DType::f64));
    }
    const PlainKernels fast(false);
    const Result actual = run(op_case, make_inputs(op_case, DType::f32));
    CHECK(relative_rms_error(actual.y, exact.y) <= op_case.fast_tolerance);
    for (std::size_t i = 0; i < exact.gradients.size(); ++i) {
      INFO("gradient " << i);
      REQUIRE(actual.gradients[i].defined() == exact.gradients[i].defined());
      if (exact.gradients[i].defined())
        CHECK(relative_rms_error(actual.gradients[i], exact.gradients[i]) <= op_case.fast_tolerance);
    }
  });
}

namespace {

bool beyond_f16(const Tensor& tensor) {
  const Values values = tensor.to_vector();
  return std::any_of(values.begin(), values.end(), [](double value) { return std::abs(value) > 65504; });
}

// On inputs that the dtype has exactly, so that the error is the kernels'.
void check_half(const OpCase& op_case, DType dtype, bool plain, double tolerance) {
  const std::vector<Tensor> inputs = make_inputs(op_case, dtype);
  Result exact;
  {
    const PlainKernels kernels;
    std::vector<Tensor> same;
    for (const Tensor& input : inputs) {
      same.push_back(is_floating(input.dtype()) ? input.detach().to(DType::f64) : input);
      if (input.requires_grad()) same.back().set_requires_grad(true);
    }
    exact = run(op_case, same, dtype);
  }
  if (dtype == DType::f16 && beyond_f16(exact.y)) return;
  const PlainKernels kernels(plain);
  const Result actual = run(op_case, inputs, dtype);
  CHECK(relative_rms_error(actual.y, exact.y) <= tolerance);
  for (std::size_t i = 0; i < exact.gradients.size(); ++i) {
    INFO("gradient " << i);
    REQUIRE(actual.gradients[i].defined() == exact.gradients[i].defined());
    if (!exact.gradients[i].defined()) continue;
    CHECK(actual.gradients[i].dtype() == DType::f32);
    CHECK(relative_rms_error(actual.gradients[i], exact.gradients[i]) <= tolerance);
  }
}

}  // namespace

TEST_CASE("op cases: bf16 agrees with the plain kernels in f64, and gradients of leaves come in f32",
          "[ops]") {
  for (const bool plain : {true, false})
    for_each_case(
        [&](const OpCase& op_case) { check_half(op_case, DType::bf16, plain, op_case.bf16_tolerance); },
        plain ? ", plain" : ", fast");
}

// f16 has three bits more than bf16.
TEST_CASE("op cases: f16 agrees with the plain kernels in f64, and gradients of leaves come in f32",
          "[ops]") {
  for_each_case([](const OpCase& op_case) {
    if (op_case.name.starts_with("attention")) return;  // has no kernel for f16 on the CPU
    check_half(op_case, DType::f16, true, op_case.bf16_tolerance / 4);
  });
}
