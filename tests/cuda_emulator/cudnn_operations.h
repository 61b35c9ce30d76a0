#pragma once
// The meaning of cuDNN's graphs of products, convolutions, element-wise functions and reductions, with the CPU's arithmetic: an
// operation after the other, in the order in which they were set.
#include <optional>

#include "reprise/tests/cuda_emulator/cudnn_convolution.h"
#include "reprise/tests/cuda_emulator/cudnn_object.h"

namespace reprise::emulator {

class GraphProgram {
 public:
  // Throws std::invalid_argument for operations that do not fit.
  explicit GraphProgram(const std::vector<std::shared_ptr<Object>>& operations);

  std::vector<Tensor*> in_memory();  // of the device
  std::vector<Tensor*> numbers();    // in the host's
  int products() const;
  // What an engine would refuse; empty: nothing.
  std::string refusal() const;
  std::size_t workspace() const;
  void round_operands();  // of convolutions, to TF32
  void read_numbers();    // from where they lie now
  void run();

 private:
  struct Operand {
    Tensor tensor;
    std::vector<double> values = {};  // where it does not lie in the device's memory
    double read(std::int64_t at) const;
    double read(const std::array<std::int64_t, 4>& place) const;  // broadcast where an extent is 1
    void write(std::int64_t at, double x);
    std::vector<double> row_major() const;
  };
  struct Operation {
    cudnnBackendDescriptorType_t type;
    int mode = 0;
    std::size_t axis = 0;
    cudaDataType computed = CUDA_R_32F;  // what results are rounded to
    int x = -1, b = -1, t = -1, y = -1;  // operands
    std::optional<Convolution> convolution = {};
  };
  int add(const Object& operation, int name);  // -1: it has none of that name
  Operand& operand(int i) { return operands_.at(static_cast<std::size_t>(i)); }
  const Operand& operand(int i) const { return operands_.at(static_cast<std::size_t>(i)); }
  void convolve(const Operation& operation);
  void matmul(const Operation& operation);
  void pointwise(const Operation& operation);
  void reduce(const Operation& operation);
  void reshape(const Operation& operation);

  std::vector<Operation> operations_;
  std::vector<Operand> operands_;
};

}  // namespace reprise::emulator
