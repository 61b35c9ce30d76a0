// Losses over classes and over elements. A target that is out of range is skipped: only the CPU can report it.
#include "reprise/cuda/cross_entropy.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/binary_cross_entropy.h"
#include "reprise/ops/cross_entropy.h"
#include "reprise/ops/mse_loss.h"
#include "reprise/ops/nll_loss.h"

namespace reprise::cuda {
namespace {

struct StoreMeanOf {
  WritableFloats loss;
  double count;
  __device__ void operator()(double sum) const { loss.write(0, sum / count); }
};

// ---- cross_entropy

std::size_t cross_entropy_workspace(const CrossEntropyArgs& args) {
  return LossWorkspace::bytes(args.targets.info->shape.numel(), true);
}

void cross_entropy(const CrossEntropyArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.logits.info->device);
  const std::int64_t positions = args.targets.info->shape.numel(), classes = args.logits.info->shape[-1];
  const Targets targets{args.targets.as<std::int64_t>(), classes, args.options.ignore_index};
  const LossWorkspace space(workspace, positions);
  with_any_floating(args.logits.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch("cross_entropy", context, positions, threads_for_row(classes), kThreads / kWarp * sizeof(double),
           cross_entropy_rows<T>, targets, args.options.label_smoothing, args.logits.as<T>(),
           args.log_sum.as<Computed<T>>(), space.losses);
  });
  total("cross_entropy", context, positions, space.partial, Count{targets}, Store{space.count});
  total("cross_entropy", context, positions, space.partial, Stored{space.losses},
        StoreMean{args.loss, space.count});
}

std::size_t cross_entropy_backward_workspace(const CrossEntropyBackwardArgs& args) {
  return LossWorkspace::bytes(args.targets.info->shape.numel(), false);
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.logits.info->device);
  const std::int64_t positions = args.targets.info->shape.numel(), classes = args.logits.info->shape[-1];
  const Targets targets{args.targets.as<std::int64_t>(), classes, args.options.ignore_index};
  const LossWorkspace space(workspace, positions);
  total("cross_entropy_backward", context, positions, space.partial, Count{targets}, Store{space.count});
  with_any_floating(args.logits.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch("cross_entropy_backward", context, positions, threads_for_row(classes),
           kThreads / kWarp * sizeof(double), cross_entropy_backward_rows<T>, targets,
           args.options.label_smoothing, space.count, args.dloss.as<Computed<T>>(), args.logits.as<T>(),
           args.log_sum.as<Computed<T>>(), args.dlogits.as<T>());
  });
}

// ---- nll_loss

struct MinusLogProbability {
  Targets targets;
  FloatsIn<double> log_probabilities;
  __device__ double operator()(std::int64_t position) const {
    if (!targets.counts(position)) return 0;
    return -log_probabilities[position * targets.classes + targets.values[position]];
  }
};

std::size_t nll_loss_workspace(const NllLossArgs& args) {
  return LossWorkspace::bytes(args.targets.info->shape.numel(), false);
}

void nll_loss(const NllLossArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.log_probabilities.info->device);
  const std::int64_t positions = args.targets.info->shape.numel();
  const Targets targets{args.targets.as<std::int64_t>(), args.log_probabilities.info->shape[-1],
                        args.ignore_index};
  const LossWorkspace space(workspace, positions);
  total("nll_loss", context, positions, space.partial, Count{targets}, Store{space.count});
  total("nll_loss", context, positions, space.partial, MinusLogProbability{targets, args.log_probabilities},
        StoreMean{args.loss, space.count});
}

__global__ void nll_loss_backward_elements(std::int64_t elements, Targets targets, const double* count,
                                           FloatsIn<double> dloss, WritableFloats dx) {
  const std::int64_t i = thread_number();
  if (i >= elements) return;
  const std::int64_t position = i / targets.classes;
  const bool chosen = targets.counts(position) && i % targets.classes == targets.values[position];
  dx.write(i, chosen ? -dloss[0] / *count : 0.0);
}

std::size_t nll_loss_backward_workspace(const NllLossBackwardArgs& args) {
  return LossWorkspace::bytes(args.targets.info->shape.numel(), false);
}

void nll_loss_backward(const NllLossBackwardArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.dx.info->device);
  const std::int64_t positions = args.targets.info->shape.numel(), elements = args.dx.info->shape.numel();
  const Targets targets{args.targets.as<std::int64_t>(), args.dx.info->shape[-1], args.ignore_index};
  const LossWorkspace space(workspace, positions);
  total("nll_loss_backward", context, positions, space.partial, Count{targets}, Store{space.count});
  launch_each("nll_loss_backward", context, elements, nll_loss_backward_elements, elements, targets,
              space.count, args.dloss, args.dx);
}

// ---- of elements

struct SquaredDifference {
  FloatsIn<double> a, b;
  __device__ double operator()(std::int64_t i) const {
    const double difference = a[i] - b[i];
    return difference * difference;
  }
};
struct BinaryCrossEntropy {
  FloatsIn<double> logits, targets;
  __device__ double operator()(std::int64_t i) const {
    const double x = logits[i], t = targets[i];
    return fmax(x, 0.0) - x * t + log1p(::exp(-fabs(x)));
  }
};

std::size_t mse_loss_workspace(const MseLossArgs& args) {
  return total_workspace(args.a.info->shape.numel());
}
void mse_loss(const MseLossArgs& args, std::span<std::byte> workspace) {
  const std::int64_t count = args.a.info->shape.numel();
  total("mse_loss", use(args.a.info->device), count, workspace, SquaredDifference{args.a, args.b},
        StoreMeanOf{args.loss, static_cast<double>(count)});
}

std::size_t binary_cross_entropy_workspace(const BinaryCrossEntropyArgs& args) {
  return total_workspace(args.logits.info->shape.numel());
}
void binary_cross_entropy(const BinaryCrossEntropyArgs& args, std::span<std::byte> workspace) {
  const std::int64_t count = args.logits.info->shape.numel();
  total("binary_cross_entropy", use(args.logits.info->device), count, workspace,
        BinaryCrossEntropy{args.logits, args.targets}, StoreMeanOf{args.loss, static_cast<double>(count)});
}

}  // namespace

void fill_losses() {
  fill_any_floating(cross_entropy_slot, cross_entropy, cross_entropy_workspace);
  fill_any_floating(cross_entropy_backward_slot, cross_entropy_backward, cross_entropy_backward_workspace);
  fill_any_floating(nll_loss_slot, nll_loss, nll_loss_workspace);
  fill_any_floating(nll_loss_backward_slot, nll_loss_backward, nll_loss_backward_workspace);
  fill_any_floating(mse_loss_slot, mse_loss, mse_loss_workspace);
  fill_any_floating(binary_cross_entropy_slot, binary_cross_entropy, binary_cross_entropy_workspace);
}

}  // namespace reprise::cuda
