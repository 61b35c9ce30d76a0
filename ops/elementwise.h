#pragma once
// What the element-wise ops share: the arguments of their kernels, and bases that leave an op's own file with its formula
// and its gradient. All of them compute in the dtype of their first operand.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/ops/kernel_op.h"

namespace reprise {

// y = f(x); equal shapes.
struct UnaryArgs {
  ConstView x;
  View y;
};
// y = f(x, value): a tensor and a number.
struct ScalarArgs {
  ConstView x;
  double value;
  View y;
};
// y = f(a, b): y has the shape that a and b broadcast to; equal dtypes, but y may be boolean (comparisons).
struct BinaryArgs {
  ConstView a, b;
  View y;
};
// dx = gradient * f'(saved), where saved is the input or the output of f; equal shapes.
struct GradientArgs {
  ConstView gradient, saved;
  View dx;
};

// The shape that both broadcast to: aligned at the last dimension, equal extents or one of them 1.
// UserError: "add: shapes [2, 3] and [4] do not broadcast".
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

// UserErrors that name the op: "exp: dtype i64 carries no fractions: convert with .to(DType::f32)",
// "add: dtypes f32 and f64 differ: convert one with .to(DType)". That devices agree is checked where an op is recorded.
void require_floating(std::string_view op, const ValueInfo& x);
void require_same_dtype(std::string_view op, const ValueInfo& a, const ValueInfo& b);
void require_same_shape(std::string_view op, const ValueInfo& a, const ValueInfo& b);
void require_alike(std::string_view op, const ValueInfo& a, const ValueInfo& b);  // dtype and shape

enum class Operands { floating, numbers, any };  // numbers: i32 and i64 too

// Which operand or result of y = f(x) the gradient reads.
enum class GradientReads { nothing, input, output };

// y = f(x) for a floating x. An op adds its backward.
class UnaryOp : public KernelOp<UnaryArgs> {
 public:
  UnaryOp(const char* name, const KernelSlot<UnaryArgs>& slot, GradientReads reads, double flops_per_element,
          Operands operands = Operands::floating)
      : KernelOp(name, slot), reads_(reads), operands_(operands), flops_per_element_(flops_per_element) {}
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override;
  Saved saves(Needs needs) const override;
  double flops(std::span<const ValueInfo> in) const override;

 protected:
  UnaryArgs args(std::span<const ConstView> in, std::span<const View> out) const override;

 private:
  GradientReads reads_;
  Operands operands_;
  double flops_per_element_;
};

// y = f(x, value). For integers the value is a whole number that the dtype and a double hold (UserError). An op adds its
// backward.
class ScalarOp : public KernelOp<ScalarArgs> {
 public:
  ScalarOp(const char* name, const KernelSlot<ScalarArgs>& slot, Scalar value, GradientReads reads,
           double flops_per_element, Operands operands = Operands::floating)
      : KernelOp(name, slot),
        value_(value.to_double()),
        scalar_(value),
        reads_(reads),
        operands_(operands),
        flops_per_element_(flops_per_element) {}
  std::string attributes() const override;
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override;
  Saved saves(Needs needs) const override;
  double flops(std::span<const ValueInfo> in) const override;
  double value() const { return value_; }

 protected:
  ScalarArgs args(std::span<const ConstView> in, std::span<const View> out) const override;

 private:
  double value_;
  Scalar scalar_;  // the value as it was given
  GradientReads reads_;
  Operands operands_;
  double flops_per_element_;
};

// y = f(a, b), broadcasting. An op adds what it saves and its backward; gradients go through sum_to.
class BinaryOp : public KernelOp<BinaryArgs> {
 public:
  BinaryOp(const char* name, const KernelSlot<BinaryArgs>& slot, double flops_per_element,
           Operands operands = Operands::floating)
      : KernelOp(name, slot), operands_(operands), flops_per_element_(flops_per_element) {}
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override;
  double flops(std::span<const ValueInfo> in) const override;

 protected:
  BinaryArgs args(std::span<const ConstView> in, std::span<const View> out) const override;

 private:
  Operands operands_;
  double flops_per_element_;
};

// dx = gradient * f'(saved): the gradient of an element-wise op as an op of its own, inputs (gradient, saved). It is
// linear in the gradient; an op adds its own backward, so that it can be differentiated again.
class GradientOp : public KernelOp<GradientArgs> {
 public:
  GradientOp(const char* name, const KernelSlot<GradientArgs>& slot, double flops_per_element)
      : KernelOp(name, slot), flops_per_element_(flops_per_element) {}
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override;
  // For f' with a derivative of its own: both; an op whose f' is constant almost everywhere overrides it.
  Saved saves(Needs needs) const override;
  double flops(std::span<const ValueInfo> in) const override;

 protected:
  GradientArgs args(std::span<const ConstView> in, std::span<const View> out) const override;

 private:
  double flops_per_element_;
};

}  // namespace reprise
