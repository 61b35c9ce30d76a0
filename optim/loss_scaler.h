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
  double min_scale = 0x1p-20;           // above 0: update() throws instead of going below
};

class LossScaler {
 public:
  // UserError for options out of their range.
  explicit LossScaler(LossScalerOptions options = {});

  // loss times the scale, on the tape.
  Tensor scale(Tensor loss) const;

  // Divides the gradients of the optimizer's parameters by the scale, once until update(). UserError for a second time,
  // and for a parameter whose gradient another optimizer's unscale() has divided.
  void unscale(Optimizer& optimizer);

  // Unscales where that is not done, and steps unless a gradient is an infinity or NaN. Has it stepped? UserError for a
  // second time before update(). UserError too if a backward or set_grad() brought gradients after unscale(): the step
  // would use them times the scale.
  bool step(Optimizer& optimizer);

  // After the steps of all optimizers: adapts the scale. UserError without a step() or unscale() before it. UserError too
  // if the scale would fall below min_scale. Then no scale helps, because the loss or the weights are infinite or NaN. The
  // scale stays as it is, and training may go on.
  void update();

  double current() const { return scale_; }

  // The state that a resumed run needs: "scale" (f64) and "growth" (i64, steps since the scale changed). UserError for another
  // state, for a scale that is infinite, NaN or below min_scale, and for a negative growth; then nothing has changed.
  NamedTensors state() const;
  void load_state(const NamedTensors& state);

 private:
  // A parameter's gradient as unscale() left it.
  struct Seen {
    Tensor parameter;
    bool has_gradient = false;
    std::uint64_t walk = 0;     // of backward
    std::uint32_t version = 0;  // of the gradient's storage: clipping makes it newer
  };
  struct Unscaled {
    std::vector<Seen>
        seen;  // not empty; the first parameter says whose it is, also when the optimizer has moved
    bool finite = true;
    bool stepped = false;
  };
  Unscaled* find(const std::vector<Tensor>& parameters);
  static void check_fresh(const Unscaled& entry);

  LossScalerOptions options_;
  double scale_;
  std::int64_t growth_ = 0;
  std::int64_t left_out_ = 0;       // updates in a row with an infinity or NaN
  std::vector<Unscaled> unscaled_;  // since the last update
};

}  // namespace reprise::optim
