// Each op case at its edges: f16, NaN and infinities in one element, denormals, large values, no elements, one element.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>

#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case_sections.h"
#include "reprise/tests/op_case_variants.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// The results of plain or fast kernels; nothing, if the op refuses the inputs.
std::optional<Result> attempt(const OpCase& op_case, const std::vector<Tensor>& inputs, bool plain) {
  const PlainKernels kernels(plain);
  try {
    return run(op_case, inputs);
  } catch (const UserError&) {
    return {};
  }
}

void check_same_classes(const Result& fast, const Result& plain) {
  CHECK(classes(fast.y) == classes(plain.y));
  for (std::size_t i = 0; i < plain.gradients.size(); ++i) {
    INFO("gradient " << i);
    REQUIRE(fast.gradients[i].defined() == plain.gradients[i].defined());
    if (plain.gradients[i].defined()) CHECK(classes(fast.gradients[i]) == classes(plain.gradients[i]));
  }
}

// Attention's weights and batch_norm's centred values are 0 or tiny as the rounding falls, and only 0 makes NaN of infinity.
bool meets_zero_times_infinity(const OpCase& op_case) {
  return op_case.name.starts_with("attention") || op_case.name.starts_with("batch_norm");
}

void check_shapes(const Result& result, const std::vector<Tensor>& inputs) {
  std::size_t next = 0;
  for (const Tensor& input : inputs) {
    if (!input.requires_grad()) continue;
    if (result.gradients[next].defined()) CHECK(result.gradients[next].shape() == input.shape());
    ++next;
  }
}

}  // namespace

TEST_CASE("op cases: names are different, so that each can run alone", "[ops]") {
  for (const OpCase& one : op_cases())
    CHECK(std::count_if(op_cases().begin(), op_cases().end(),
                        [&](const OpCase& other) { return other.name == one.name; }) == 1);
}

TEST_CASE("op cases: a NaN or an infinity in one element goes where the plain kernels let it go", "[ops]") {
  for_each_case([](const OpCase& op_case) {
    // In a row that is NaN the plain kernel multiplies dropped weights by 0, and the fast one leaves them out.
    const bool drops_weights =
        op_case.name.starts_with("attention") && op_case.name.find("dropout") != std::string::npos;
    if (op_case.large || drops_weights) return;
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL})
      for (const std::size_t input : floating_inputs(op_case)) {
        if (std::isinf(value) && meets_zero_times_infinity(op_case)) continue;
        INFO(value << " in input " << input);
        std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
        plant(inputs, input, value);
        const auto plain = attempt(op_case, inputs, true), fast = attempt(op_case, inputs, false);
        REQUIRE(plain.has_value() == fast.has_value());
        if (plain) check_same_classes(*fast, *plain);
      }
  });
}

TEST_CASE("op cases: denormal and large values make NaN and infinity where the plain kernels do", "[ops]") {
  for_each_case([](const OpCase& op_case) {
    if (op_case.large) return;
    for (const double factor : {0x1p-140, 0x1p40}) {
      INFO("times " << factor);
      std::vector<Tensor> inputs = make_inputs(op_case, DType::f32);
      scale(inputs, factor);
      const auto plain = attempt(op_case, inputs, true), fast = attempt(op_case, inputs, false);
      REQUIRE(plain.has_value() == fast.has_value());
      if (plain) check_same_classes(*fast, *plain);
    }
  });
}

TEST_CASE("op cases: inputs without elements are computed, or refused by a UserError", "[ops]") {
  for_each_case([](const OpCase& op_case) {
    if (op_case.large) return;
    for (const std::int64_t extent : extents_of(op_case)) {
      INFO("0 in place of " << extent);
      const std::vector<Tensor> inputs = make_inputs(with_extent(op_case, extent, 0), DType::f32);
      const auto plain = attempt(op_case, inputs, true), fast = attempt(op_case, inputs, false);
      REQUIRE(plain.has_value() == fast.has_value());
      if (!plain) continue;
      check_same_classes(*fast, *plain);
      check_shapes(*plain, inputs);
    }
  });
}

TEST_CASE("op cases: inputs of one element are computed, or refused by a UserError", "[ops]") {
  for_each_case([](const OpCase& op_case) {
    if (op_case.large) return;
    const std::vector<Tensor> inputs = make_inputs(with_one_element(op_case), DType::f32);
    const auto plain = attempt(op_case, inputs, true), fast = attempt(op_case, inputs, false);
    REQUIRE(plain.has_value() == fast.has_value());
    if (!plain) return;
    check_same_classes(*fast, *plain);
    check_shapes(*plain, inputs);
  });
}
