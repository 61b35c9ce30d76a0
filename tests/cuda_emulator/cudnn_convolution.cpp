#include "reprise/tests/cuda_emulator/cudnn_convolution.h"

namespace reprise::emulator {

bool is_convolution(const Object& operation) {
  return operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
         operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
         operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}

Convolution::Names Convolution::names_of(cudnnBackendDescriptorType_t type) {
  if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

Convolution::Convolution(const Object& operation) : Convolution(operation, names_of(operation.type)) {}
Convolution::Convolution(const Object& operation, const Names& names)
    : type(operation.type),
      x(operation.part(names.x)),
      weight(operation.part(names.weight)),
      y(operation.part(names.y)),
      alpha(operation.value<float>(names.alpha)),
      beta(operation.value<float>(names.beta)) {
  const Object& settings = operation.part(names.settings);
  padding = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  stride = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  dilation = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  computed = element_type(settings, CUDNN_ATTR_CONVOLUTION_COMP_TYPE);
}

bool Convolution::fits() const {
  if (x.extents[0] != y.extents[0] || weight.extents[0] != y.extents[1]) return false;
  if (x.extents[1] % weight.extents[1] != 0) return false;
  const std::int64_t groups = x.extents[1] / weight.extents[1];
  if (y.extents[1] % groups != 0) return false;
  for (std::size_t d = 0; d < 2; ++d) {
    const std::int64_t reach = dilation[d] * (weight.extents[2 + d] - 1) + 1;
    if (y.extents[2 + d] != (x.extents[2 + d] + 2 * padding[d] - reach) / stride[d] + 1) return false;
  }
  return true;
}

// Calls f(place in x, place in weight, place in y) for every product of the sum.
template <class F>
void Convolution::for_each_product(F f) const {
  const std::int64_t groups = x.extents[1] / weight.extents[1], outs = y.extents[1] / groups;
  for (std::int64_t n = 0; n < y.extents[0]; ++n)
    for (std::int64_t p = 0; p < y.extents[2]; ++p)
      for (std::int64_t q = 0; q < y.extents[3]; ++q)
        for (std::int64_t i = 0; i < weight.extents[2]; ++i) {
          const std::int64_t h = p * stride[0] - padding[0] + i * dilation[0];
          if (h < 0 || h >= x.extents[2]) continue;
          for (std::int64_t j = 0; j < weight.extents[3]; ++j) {
            const std::int64_t w = q * stride[1] - padding[1] + j * dilation[1];
            if (w < 0 || w >= x.extents[3]) continue;
            const std::int64_t in_x = x.at(n, 0, h, w), in_weight = weight.at(0, 0, i, j),
                               in_y = y.at(n, 0, p, q);
            for (std::int64_t o = 0; o < y.extents[1]; ++o) {
              const std::int64_t from = in_x + o / outs * weight.extents[1] * x.strides[1];
              const std::int64_t with = in_weight + o * weight.strides[0], to = in_y + o * y.strides[1];
              for (std::int64_t c = 0; c < weight.extents[1]; ++c)
                f(from + c * x.strides[1], with + c * weight.strides[1], to);
            }
          }
        }
}

const Tensor& Convolution::written() const {
  if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) return y;
  return type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? x : weight;
}

std::vector<double> Convolution::sums() const {
  const Tensor& target = written();
  std::vector<double> values[3];
  const Tensor* tensors[3] = {&x, &weight, &y};
  for (int t = 0; t < 3; ++t)
    for (std::int64_t k = 0; k < tensors[t]->elements() && tensors[t] != &target; ++k) {
      const double value = load(tensors[t]->data, tensors[t]->type, k);
      values[t].push_back(rounds_operands ? rounded_to_tf32(value) : value);
    }
  const auto number = [](std::int64_t k) { return static_cast<std::size_t>(k); };
  std::vector<double> sums(number(target.elements()));
  if (&target == &y)
    for_each_product(
        [&](auto a, auto b, auto c) { sums[number(c)] += values[0][number(a)] * values[1][number(b)]; });
  else if (&target == &x)
    for_each_product(
        [&](auto a, auto b, auto c) { sums[number(a)] += values[1][number(b)] * values[2][number(c)]; });
  else
    for_each_product(
        [&](auto a, auto b, auto c) { sums[number(b)] += values[0][number(a)] * values[2][number(c)]; });
  for (double& sum : sums) sum = rounded(computed, sum);
  return sums;
}

void Convolution::run() const {
  const Tensor& target = written();
  const std::vector<double> numbers = sums();
  for (std::int64_t k = 0; k < target.elements(); ++k)
    store(target.data, target.type, k, numbers[static_cast<std::size_t>(k)]);
}

}  // namespace reprise::emulator
