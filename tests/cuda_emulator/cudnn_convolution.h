#pragma once
// The meaning of cuDNN's convolutions, with the CPU's arithmetic, wherever their strides point.
#include "reprise/tests/cuda_emulator/cudnn_object.h"

namespace reprise::emulator {

bool is_convolution(const Object& operation);

struct Convolution {
  cudnnBackendDescriptorType_t type;
  Tensor x, weight, y;
  std::vector<std::int64_t> padding, stride, dilation;
  float alpha, beta;
  cudaDataType computed;         // what sums are rounded to
  bool rounds_operands = false;  // to TF32

  explicit Convolution(const Object& operation);
  bool fits() const;
  // Of what it computes, by their places in that tensor; the operands' data must be set.
  std::vector<double> sums() const;
  void run() const;

 private:
  struct Names {
    int x, weight, y, settings, alpha, beta;
  };
  static Names names_of(cudnnBackendDescriptorType_t type);
  Convolution(const Object& operation, const Names& names);
  template <class F>
  void for_each_product(F f) const;
  const Tensor& written() const;
};

}  // namespace reprise::emulator
