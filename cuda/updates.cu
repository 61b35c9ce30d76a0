// Optimizer steps: many parameters in one launch. Parameters are f32 or f64, or masters in f32 of parameters of 16 bits.
#include "reprise/cuda/kernel.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/adam_update.h"
#include "reprise/ops/sgd_update.h"

namespace reprise::cuda {
namespace {

constexpr int kTensors = 48;                     // of a launch: what fits the arguments of a kernel
constexpr std::int64_t kElementsOfBlock = 4096;  // of one tensor

// A launch's tensors: block b works on the tensor whose blocks are [first_block[t], first_block[t + 1]).
template <class TensorPointers>
struct Batch {
  int tensors = 0;
  std::int64_t first_block[kTensors + 1] = {};
  TensorPointers pointers[kTensors] = {};
  std::int64_t counts[kTensors] = {};

  void append(const TensorPointers& tensor, std::int64_t count) {
    pointers[tensors] = tensor;
    counts[tensors] = count;
    first_block[tensors + 1] = first_block[tensors] + divide_up(count, kElementsOfBlock);
    ++tensors;
  }
  __device__ int tensor_of_block(std::int64_t block) const {
    int tensor = 0;
    while (block >= first_block[tensor + 1]) ++tensor;
    return tensor;
  }
};

// Calls update(pointers, i) for the elements of this block.
template <class TensorPointers, class Update>
__device__ void for_block(const Batch<TensorPointers>& batch, Update update) {
  const int tensor = batch.tensor_of_block(blockIdx.x);
  const std::int64_t first = (blockIdx.x - batch.first_block[tensor]) * kElementsOfBlock;
  const std::int64_t last =
      first + kElementsOfBlock < batch.counts[tensor] ? first + kElementsOfBlock : batch.counts[tensor];
  for (std::int64_t i = first + threadIdx.x; i < last; i += blockDim.x) update(batch.pointers[tensor], i);
}

template <class T>
struct AdamPointers {
  T* parameter;
  WritableFloats rounded;
  const T* gradient;
  T *m, *v;
};
template <class T>
struct AdamConstants {
  T decay, shrink, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, root, eps;
  friend bool operator==(const AdamConstants&, const AdamConstants&) = default;
  explicit AdamConstants(const AdamArgs& args) {
    const bool decoupled = args.weight_decay_kind == WeightDecay::decoupled;
    decay = static_cast<T>(decoupled ? 0.0 : args.weight_decay);
    shrink = static_cast<T>(decoupled ? 1.0 - args.lr * args.weight_decay : 1.0);
    beta1 = static_cast<T>(args.beta1);
    one_minus_beta1 = static_cast<T>(1.0 - args.beta1);
    beta2 = static_cast<T>(args.beta2);
    one_minus_beta2 = static_cast<T>(1.0 - args.beta2);
    rate = static_cast<T>(args.lr / args.correction1);
    root = static_cast<T>(::sqrt(args.correction2));
    eps = static_cast<T>(args.eps);
  }
};

template <class T>
__global__ void adam_step(AdamConstants<T> c, Batch<AdamPointers<T>> batch) {
  for_block(batch, [&](const AdamPointers<T>& tensor, std::int64_t i) {
    const T g = tensor.gradient[i] + c.decay * tensor.parameter[i];
    tensor.m[i] = c.beta1 * tensor.m[i] + c.one_minus_beta1 * g;
    tensor.v[i] = c.beta2 * tensor.v[i] + c.one_minus_beta2 * g * g;
    const T p =
        c.shrink * tensor.parameter[i] - c.rate * tensor.m[i] / (::sqrt(tensor.v[i]) / c.root + c.eps);
    tensor.parameter[i] = p;
    if (tensor.rounded) tensor.rounded.write(i, p);
  });
}

template <class T>
struct SGDPointers {
  T* parameter;
  WritableFloats rounded;
  const T* gradient;
  T* momentum_buffer;
};
template <class T>
struct SGDConstants {
  T lr, momentum, weight_decay;
  bool nesterov, first;
  friend bool operator==(const SGDConstants&, const SGDConstants&) = default;
  explicit SGDConstants(const SGDArgs& args)
      : lr(static_cast<T>(args.lr)),
        momentum(static_cast<T>(args.momentum)),
        weight_decay(static_cast<T>(args.weight_decay)),
        nesterov(args.nesterov),
        first(args.first) {}
};

template <class T>
__global__ void sgd_step(SGDConstants<T> c, Batch<SGDPointers<T>> batch) {
  for_block(batch, [&](const SGDPointers<T>& tensor, std::int64_t i) {
    const T g = tensor.gradient[i] + c.weight_decay * tensor.parameter[i];
    T direction = g;
    if (tensor.momentum_buffer) {
      const T b = c.first ? g : c.momentum * tensor.momentum_buffer[i] + g;
      tensor.momentum_buffer[i] = b;
      direction = c.nesterov ? g + c.momentum * b : b;
    }
    const T p = tensor.parameter[i] - c.lr * direction;
    tensor.parameter[i] = p;
    if (tensor.rounded) tensor.rounded.write(i, p);
  });
}

// Consecutive tensors with the same constants share launches.
template <class Constants, class Pointers, class Args, class PointersOf>
void step(const char* name, std::span<const Args> updates, void (*kernel)(Constants, Batch<Pointers>),
          PointersOf pointers_of) {
  for (std::size_t i = 0; i < updates.size();) {
    const Constants constants(updates[i]);
    const Context& context = use(updates[i].parameter.info->device);
    Batch<Pointers> batch;
    for (; i < updates.size() && batch.tensors < kTensors && Constants(updates[i]) == constants; ++i)
      batch.append(pointers_of(updates[i]), updates[i].parameter.info->shape.numel());
    launch(name, context, batch.first_block[batch.tensors], kThreads, 0, kernel, constants, batch);
  }
}

template <class T>
void adam(const UpdateListArgs<AdamArgs>& args, std::span<std::byte>) {
  step("adam", args.updates, adam_step<T>, [](const AdamArgs& update) {
    return AdamPointers<T>{update.parameter.as<T>(), update.rounded, update.gradient.as<T>(),
                           update.m.as<T>(), update.v.as<T>()};
  });
}

template <class T>
void sgd(const UpdateListArgs<SGDArgs>& args, std::span<std::byte>) {
  step("sgd", args.updates, sgd_step<T>, [](const SGDArgs& update) {
    return SGDPointers<T>{update.parameter.as<T>(), update.rounded, update.gradient.as<T>(),
                          update.momentum_buffer.as<T>()};
  });
}

}  // namespace

void fill_updates() {
  fill(adam_slot, {DType::f32}, adam<float>);
  fill(adam_slot, {DType::f64}, adam<double>);
  fill(sgd_slot, {DType::f32}, sgd<float>);
  fill(sgd_slot, {DType::f64}, sgd<double>);
}

}  // namespace reprise::cuda
