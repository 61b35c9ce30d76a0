#include "reprise/tests/engine_program.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"

namespace reprise::test {
namespace {

struct UnitOp : Op {
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0]}; }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i)
      out[0].as<double>()[i] = formula(in[0].as<double>()[i]);
  }
  virtual double formula(double x) const = 0;
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

struct Sine final : UnitOp {
  std::string_view name() const override { return "sine"; }
  double formula(double x) const override { return std::sin(x); }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] * sincos(context.inputs[0]).second);
  }
};

struct Squash final : UnitOp {
  std::string_view name() const override { return "squash"; }
  double formula(double x) const override { return std::tanh(x); }
  Saved saves(Needs) const override { return {.inputs = {}, .outputs = {0}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& y = context.outputs[0];
    return tensors(gradients[0] - gradients[0] * (y * y));
  }
};

struct SinCos final : Op {
  std::string_view name() const override { return "sincos"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0], in[0]}; }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i) {
      out[0].as<double>()[i] = std::sin(in[0].as<double>()[i]);
      out[1].as<double>()[i] = std::cos(in[0].as<double>()[i]);
    }
  }
  Saved saves(Needs) const override { return {.inputs = {}, .outputs = {0, 1}}; }
  std::vector<int> differentiable() const override { return {0, 1}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    Tensor dx;
    if (gradients[0].defined()) dx = gradients[0] * context.outputs[1];
    if (gradients[1].defined()) {
      Tensor more = -(gradients[1] * context.outputs[0]);
      dx = dx.defined() ? dx + more : more;
    }
    return tensors(dx);
  }
};

struct SquareAndLargest final : Op {
  std::string_view name() const override { return "square_and_largest"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {in[0], {{1}, in[0].dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    const auto* x = in[0].as<double>();
    const std::int64_t n = in[0].info->shape.numel();
    for (std::int64_t i = 0; i < n; ++i) out[0].as<double>()[i] = x[i] * x[i];
    *out[1].as<double>() = *std::max_element(x, x + n);
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {1}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] * context.inputs[0] * 2.0);
  }
};

struct TwiceNeverReplayed final : UnitOp {
  std::shared_ptr<int> runs;
  explicit TwiceNeverReplayed(std::shared_ptr<int> r) : runs(std::move(r)) {}
  std::string_view name() const override { return "twice_never_replayed"; }
  double formula(double x) const override { return 2 * x; }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    if (runs) ++*runs;
    UnitOp::forward(in, out, workspace);
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] * 2.0);
  }
  Keep keep() const override { return Keep::never_replay; }
};

Tensor random_tensor(const Shape& shape, std::uint64_t seed, double scale, bool requires_grad) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(scale * (2.0 * uniform_from_word(random_word(seed, static_cast<std::uint64_t>(i))) - 1));
  return Tensor::from(values, shape, {.dtype = DType::f64, .requires_grad = requires_grad});
}

}  // namespace

Tensor sine(Tensor x) { return record(Sine(), std::move(x)); }
Tensor squash(Tensor x) { return record(Squash(), std::move(x)); }
std::pair<Tensor, Tensor> sincos(Tensor x) {
  std::vector<Tensor> both = record(std::make_shared<const SinCos>(), tensors(std::move(x)));
  return {std::move(both[0]), std::move(both[1])};
}
std::pair<Tensor, Tensor> square_and_largest(Tensor x) {
  std::vector<Tensor> both = record(std::make_shared<const SquareAndLargest>(), tensors(std::move(x)));
  return {std::move(both[0]), std::move(both[1])};
}
Tensor twice_never_replayed(Tensor x, std::shared_ptr<int> runs) {
  return record(TwiceNeverReplayed(std::move(runs)), std::move(x));
}

Bits bits(const Tensor& tensor) { return bits(std::span<const Tensor>(&tensor, 1)); }
Bits bits(std::span<const Tensor> tensors) {
  Bits result;
  if (is_dry_run()) return result;
  for (const Tensor& tensor : tensors)
    if (tensor.defined())
      for (const double value : tensor.read<double>()) result.push_back(std::bit_cast<std::uint64_t>(value));
  return result;
}
std::vector<Tensor> grads(std::span<const Tensor> leaves) {
  std::vector<Tensor> result;
  for (const Tensor& leaf : leaves) result.push_back(leaf.grad());
  return result;
}
void release_grads(std::span<const Tensor> leaves) {
  for (const Tensor& leaf : leaves) leaf.set_grad({});
}

Tensor random_leaf(const Shape& shape, std::uint64_t seed, double scale) {
  return random_tensor(shape, seed, scale, true);
}
Tensor random_constant(const Shape& shape, std::uint64_t seed, double scale) {
  return random_tensor(shape, seed, scale, false);
}

std::size_t live_bytes() { return memory::live(Device::cpu()); }
std::size_t peak_of(const std::function<void()>& step) {
  const std::size_t before = live_bytes();
  memory::reset_peak(Device::cpu());
  step();
  return memory::peak(Device::cpu()) - before;
}
Prediction predict(const std::function<std::int64_t()>& step) {
  const DryRun dry;
  Prediction prediction{};
  prediction.peak = peak_of([&] { prediction.replays = step(); });
  return prediction;
}

Plan plan_for(const std::function<Tensor()>& forward) {
  Tape tape;
  const Tensor result = forward();
  const Trace trace = tape.trace();
  Plan plan;
  for (const TraceNode& node : trace.nodes)
    plan.nodes.push_back(
        {node.op, node.attributes, trace.values[static_cast<std::size_t>(node.outputs.front())].shape});
  return plan;
}

const char* name(Style style) {
  switch (style) {
    case Style::none:
      return "none";
    case Style::each:
      return "each block a region";
    case Style::square_root:
      return "two blocks a region";
    case Style::nested:
      return "each block a region in one region";
    case Style::deep:
      return "a binary tree of regions";
    case Style::selective:
      return "each block a region that keeps matmul";
    case Style::offloaded:
      return "each block a region that offloads matmul";
  }
  return "";
}

ResidualBlocks::ResidualBlocks(int count, std::int64_t batch)
    : x(random_constant({batch, 8}, 3, 2)), blocks(count) {
  for (std::uint64_t k = 0; k < 4; ++k) leaves.push_back(random_leaf({8, 8}, 10 + k, 0.7));
  leaves.push_back(random_leaf({8}, 20));
  leaves.push_back(random_leaf({8}, 21));
}

Tensor ResidualBlocks::block(Tensor h, int k) {
  const Shape shape = h.shape();
  const std::int64_t half = shape[0] / 2;
  Tensor m = matmul(layer_norm(h, leaves[4], leaves[5]), leaves[static_cast<std::size_t>(k % 4)]);
  Tensor s = sincos(std::move(m)).first;
  Tensor u = reshape(dropout(squash(std::move(s)), 0.3), {-1});
  Tensor q = slice(h, 0, half) * slice(h, half, shape[0]);
  Tensor z = reshape(std::move(u), shape) + pad(std::move(q), 0, half, 0);
  return relu(z * z) + h * 0.5;
}

Tensor ResidualBlocks::tree(Tensor h, int first, int last) {
  checkpoint::Region region;
  if (last - first == 1) return block(std::move(h), first);
  const int middle = (first + last) / 2;
  return tree(tree(std::move(h), first, middle), middle, last);
}

Tensor ResidualBlocks::forward(Style style) {
  using checkpoint::Policy;
  const auto each = [this](const Policy& policy) {
    Tensor h = x;
    for (int k = 0; k < blocks; ++k) h = checkpoint::run(policy, [&] { return block(std::move(h), k); });
    return h;
  };
  Tensor h;
  switch (style) {
    case Style::none:
      h = each(Policy::none());
      break;
    case Style::each:
      h = each(Policy::full());
      break;
    case Style::square_root:
      h = x;
      for (int k = 0; k < blocks; k += 2) {
        const checkpoint::Region region;
        for (int i = k; i < std::min(k + 2, blocks); ++i) h = block(std::move(h), i);
      }
      break;
    case Style::nested:
      h = checkpoint::run([&] { return each(Policy::full()); });
      break;
    case Style::deep:
      h = tree(x, 0, blocks);
      break;
    case Style::selective:
      h = each(Policy::save_only({"matmul"}));
      break;
    case Style::offloaded:
      h = each(Policy::custom([](const NodeInfo& node) {
        return node.op == "matmul" ? Decision::offload : Decision::recompute;
      }));
      break;
  }
  return sum(h * h);
}

void ResidualBlocks::reset() {
  release_grads(leaves);
  manual_seed(7);
}

std::int64_t ResidualBlocks::step(Style style, TapeOptions options) {
  reset();
  Tape tape(std::move(options));
  const Tensor loss = forward(style);
  tape.backward(loss);
  return tape.replays();
}

}  // namespace reprise::test
