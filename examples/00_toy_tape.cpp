// A complete autograd with gradient checkpointing, without Reprise: forward, drop, replay, backward. The real engine
// (autograd/) does the same for any graph and any tensor; read this first.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

using Values = std::vector<double>;

// A value is `layers[i]` applied to the value before it: x[i + 1] = tanh(w x[i]), element by element.
struct Layer {
  double w;
  Values forward(const Values& x) const {
    Values y = x;
    for (double& e : y) e = std::tanh(w * e);
    return y;
  }
  // The chain rule: dy is the loss's gradient of y; returns the gradient of x and adds to that of w.
  Values backward(const Values& x, Values dy, double& dw) const {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double t = std::tanh(w * x[i]), dz = dy[i] * (1 - t * t);
      dw += dz * x[i];
      dy[i] = dz * w;
    }
    return dy;
  }
};

struct Tape {
  std::vector<Layer> layers;
  std::vector<Values> values;  // values[i] is the input of layer i; empty: dropped
  int replayed = 0, most_resident = 0;

  void count() {
    int resident = 0;
    for (const Values& v : values) resident += !v.empty();
    most_resident = std::max(most_resident, resident);
  }
  // Makes values[i] again from the nearest value before it that is resident.
  const Values& replay(std::size_t i) {
    if (!values[i].empty()) return values[i];
    values[i] = layers[i - 1].forward(replay(i - 1));
    ++replayed;
    count();
    return values[i];
  }
  // The gradients of sum(output) for each w. Forward keeps each `segment`-th value and drops the others.
  Values gradients(const Values& input, std::size_t segment) {
    const std::size_t n = layers.size();
    values.assign(n + 1, {});
    values[0] = input;
    for (std::size_t i = 0; i < n; ++i) {
      values[i + 1] = layers[i].forward(values[i]);
      count();
      if (i % segment != 0) values[i].clear();  // inside a region: dropped
    }
    Values dw(n), dy(input.size(), 1.0);
    for (std::size_t i = n; i-- > 0; values[i + 1].clear())
      dy = layers[i].backward(replay(i), dy, dw[i]);  // the input is needed now
    return dw;
  }
};

int main() {
  Tape tape{.layers = std::vector<Layer>(100, Layer{0.9}), .values = {}};
  const Values input = {0.5, -1.0, 2.0};
  const Values without = tape.gradients(input, 1);
  std::printf("without checkpointing: %3d values resident at most, %3d replayed\n", tape.most_resident,
              tape.replayed);
  tape.most_resident = 0;
  const Values with = tape.gradients(input, 10);
  std::printf("regions of 10 layers:  %3d values resident at most, %3d replayed\n", tape.most_resident,
              tape.replayed);
  std::printf("gradients equal: %s\n", with == without ? "yes" : "no");
  // 100 layers in 10 regions: 10 values stay, and one region at a time is replayed.
  return with == without && tape.replayed == 90 && tape.most_resident <= 21 ? 0 : 1;
}
