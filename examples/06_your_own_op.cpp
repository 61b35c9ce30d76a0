// An op of your own has the same rights as the built-in ones: it is recorded, replayed, checked and planned alike.
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

// y = x / (1 + |x|), dy/dx = 1 / (1 + |x|)^2 = (1 - |y|)^2: the output is enough, so x need not be kept.
struct Softsign final : Op {
  std::string_view name() const override { return "softsign"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    if (in[0].dtype != DType::f64) throw UserError("softsign: knows f64, not " + to_string(in[0]));
    return {in[0]};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    const auto* x = in[0].as<double>();
    auto* y = out[0].as<double>();
    for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i) y[i] = x[i] / (1 + std::abs(x[i]));
  }
  Saved saves(Needs) const override { return {.inputs = {}, .outputs = {0}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    Tensor slope = 1 - abs(context.outputs[0]);
    return {gradients[0] * slope * slope};  // written in ops: it can be differentiated again
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 3 * static_cast<double>(in[0].shape.numel());
  }
};
Tensor softsign(Tensor x) { return record(Softsign{}, std::move(x)); }

int main() {
  manual_seed(1);
  Tensor x = Tensor::randn({5, 7}, {.dtype = DType::f64});
  gradcheck([](std::span<const Tensor> in) { return softsign(in[0]); }, {x});
  std::cout << "the gradient agrees with central differences\n";

  x.set_requires_grad(true);
  Tape tape;
  Tensor y = checkpoint::run([&] { return softsign(softsign(x) * 2.0); });
  std::cout << tape.explain(y) << '\n';
  tape.backward(sum(y));
  std::cout << tape.replays() << " nodes replayed\n";
  tape.print(std::cout);
  return tape.replays() > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
