#pragma once
// A loss scale that adapts itself, for training in f16, whose small gradients would become 0: the loss is multiplied by the
// scale, so that gradients are, and the optimizer steps on gradients divided by it. A step with an infinity or NaN among
// its gradients is left out, and the scale is lowered; after some steps without, it is raised. PyTorch's GradScaler.
//
//   tape.backward(scaler.scale(loss));
//   scaler.unscale(optimizer);               // only where something reads the gradients, as clipping does
//   nn::clip_grad_norm(parameters, 1.0);
//   scaler.step(optimizer);                  // unscales where that is not done, and steps or leaves it out
//   scaler.update();
//
// bf16 has the range of f32 and needs none.
#include <cstdint>
#include <vector>

#include "reprise/optim/optimizer.h"

namespace reprise::optim {

struct LossScalerOptions {
  double init_scale = 65536;
  double growth_factor = 2;             // above 1
  double backoff_factor = 0.5;          // in (0, 1)
  std::int64_t growth_interval = 2000;  // steps in a row without an infinity or NaN, at least 1
};

class LossScaler {
 public:
  // UserError for options out of their range.
  explicit LossScaler(LossScalerOptions options = {});

  // loss times the scale, on the tape.
  Tensor scale(Tensor loss) const;

  // Divides the gradients of the optimizer's parameters by the scale, once until update(): a second time is a UserError.
  void unscale(Optimizer& optimizer);

  // Unscales where that is not done, and steps unless a gradient is an infinity or NaN. Has it stepped?
  bool step(Optimizer& optimizer);

  // After the steps of all optimizers: adapts the scale.
  void update();

  double current() const { return scale_; }

  // What a resumed run needs: "scale" (f64) and "growth" (i64, steps since the scale changed). UserError for another.
  NamedTensors state() const;
  void load_state(const NamedTensors& state);

 private:
  struct Unscaled {
    const Optimizer* optimizer;
    bool finite;
  };
  const Unscaled* find(const Optimizer& optimizer) const;

  LossScalerOptions options_;
  double scale_;
  std::int64_t growth_ = 0;
  std::vector<Unscaled> unscaled_;  // since the last update
};

}  // namespace reprise::optim
