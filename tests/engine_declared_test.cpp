// An op's declarations are checked when the op is recorded or walked: places, sizes, counts, gradients.
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

// 2 x, with every declaration open to be wrong.
struct Declared final : Op {
  std::function<std::vector<ValueInfo>(std::span<const ValueInfo>)> infer_ = [](auto in) {
    return std::vector<ValueInfo>{in[0]};
  };
  std::optional<Alias> alias_;
  Saved saves_;
  std::vector<int> differentiable_ = {0};
  std::optional<int> overwrites_;
  std::function<std::vector<Tensor>(const Tensor&)> backward_ = [](const Tensor& g) {
    return tensors(g * 2.0);
  };

  std::string_view name() const override { return "declared"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return infer_(in); }
  std::optional<Alias> alias(std::span<const ValueInfo>) const override { return alias_; }
  Saved saves(Needs) const override { return saves_; }
  std::vector<int> differentiable() const override { return differentiable_; }
  std::optional<int> overwrites() const override { return overwrites_; }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    for (std::int64_t i = 0; i < out[0].info->shape.numel(); ++i)
      static_cast<double*>(out[0].data)[i] = 2 * static_cast<const double*>(in[0].data)[i];
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return backward_(gradients[0]);
  }
};

constexpr int kCount = 70000;

ValueInfo f64(const Shape& shape) { return {shape, DType::f64, Device::cpu()}; }

}  // namespace

TEST_CASE("an op that declares places out of range is refused by name, and nothing is recorded", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const auto refused = [&](const std::function<void(Declared&)>& change, const char* text) {
    INFO(text);
    Declared op;
    change(op);
    Tape tape;
    CHECK_THROWS_WITH(record(op, Tensor(x)), Contains("declared") && Contains(text));
    CHECK(tape.nodes() == 0);
    tape.backward(sum(record(Declared(), Tensor(x))));
    CHECK(x.grad().to_vector() == std::vector<double>(4, 2.0));
    release_grads({&x, 1});
  };
  refused([](Declared& op) { op.saves_ = {{1}, {}}; }, "saves names input 1 of 1");
  refused([](Declared& op) { op.saves_ = {{-1}, {}}; }, "saves names input -1 of 1");
  refused([](Declared& op) { op.saves_ = {{}, {1}}; }, "saves names output 1 of 1");
  refused([](Declared& op) { op.differentiable_ = {1}; }, "differentiable names output 1 of 1");
  refused([](Declared& op) { op.differentiable_ = {-1}; }, "differentiable names output -1 of 1");
  refused([](Declared& op) { op.alias_ = Alias{1, 0}; }, "alias names input 1 of 1");
  refused([](Declared& op) { op.alias_ = Alias{-1, 0}; }, "alias names input -1 of 1");
  refused([](Declared& op) { op.alias_ = Alias{0, 8}; }, "where it does not fit");
  refused([](Declared& op) { op.alias_ = Alias{0, SIZE_MAX - 7}; }, "where it does not fit");
  refused(
      [](Declared& op) {
        op.alias_ = Alias{0, 4};
        op.infer_ = [](auto) { return std::vector<ValueInfo>{f64({1})}; };
      },
      "where it does not fit");
  refused(
      [](Declared& op) {
        op.alias_ = Alias{0, 0};
        op.infer_ = [](auto) { return std::vector<ValueInfo>{f64({5})}; };
      },
      "where it does not fit");
  refused(
      [](Declared& op) {
        op.alias_ = Alias{0, 0};
        op.infer_ = [](auto) { return std::vector<ValueInfo>{f64({2}), f64({2})}; };
      },
      "alias is for one output");
  refused([](Declared& op) { op.infer_ = [](auto) { return std::vector<ValueInfo>{}; }; }, "no outputs");
}

TEST_CASE("an op that declares to overwrite an input out of range is refused, where no tape records",
          "[engine]") {
  const Tensor x = random_constant({4}, 1);
  for (const int place : {-1, 1}) {
    Declared op;
    op.overwrites_ = place;
    CHECK_THROWS_WITH(record(op, Tensor(x)), Contains("overwrites names input"));
  }
}

TEST_CASE("a null op is refused", "[engine]") {
  CHECK_THROWS_AS(record(std::shared_ptr<const Op>(), std::vector<Tensor>{}), UserError);
}

TEST_CASE("an op may have more inputs than 16 bits count", "[engine]") {
  for (const std::size_t count : {65535U, 65536U, 70000U}) {
    const Tensor w = Tensor::ones({1, 2}, {.requires_grad = true});
    Tape tape;
    tape.backward(sum(cat(std::vector<Tensor>(count, w), 0)));
    REQUIRE(w.grad().defined());
    CHECK(w.grad().to_vector() == std::vector<double>(2, static_cast<double>(count)));
  }
}

TEST_CASE("an op may have more outputs and saves than 16 bits count", "[engine]") {
  struct Many final : Op {
    std::string_view name() const override { return "many"; }
    std::vector<ValueInfo> infer(std::span<const ValueInfo>) const override {
      return std::vector<ValueInfo>(kCount, f64({1}));
    }
    void forward(std::span<const ConstView> in, std::span<const View> out,
                 std::span<std::byte>) const override {
      for (const View& view : out) *static_cast<double*>(view.data) = *static_cast<const double*>(in[0].data);
    }
    Saved saves(Needs) const override {
      Saved saved;
      for (int j = 0; j < kCount; ++j) saved.outputs.push_back(j);
      return saved;
    }
    std::vector<int> differentiable() const override { return {kCount - 1}; }
    std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
      return {gradients.back() * context.outputs.back()};
    }
  };
  const Tensor x = Tensor::from({3.0}, {1}, {.dtype = DType::f64, .requires_grad = true});
  for (const bool in_region : {false, true}) {
    release_grads({&x, 1});
    Tape tape;
    const Tensor last =
        checkpoint::run(in_region ? checkpoint::Policy::full() : checkpoint::Policy::none(),
                        [&] { return record(std::make_shared<const Many>(), tensors(Tensor(x))).back(); });
    tape.backward(last);
    CHECK(x.grad().to_vector() == std::vector<double>{3.0});
  }
}
