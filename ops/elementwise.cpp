#include "reprise/ops/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace reprise {
namespace {

void require_operands(std::string_view op, const ValueInfo& x, Operands operands) {
  if (is_floating(x.dtype) || operands == Operands::any) return;
  if (operands == Operands::numbers && (x.dtype == DType::i32 || x.dtype == DType::i64)) return;
  throw UserError(fmt::format("{}: dtype {} is not one it computes in: convert with .to(DType::f32)", op,
                              to_string(x.dtype)));
}

Saved saved_by(GradientReads reads) {
  switch (reads) {
    case GradientReads::nothing:
      return {};
    case GradientReads::input:
      return {.inputs = {0}, .outputs = {}};
    case GradientReads::output:
      return {.inputs = {}, .outputs = {0}};
  }
  return {};
}

double per_element(double flops, const Shape& shape) { return flops * static_cast<double>(shape.numel()); }

}  // namespace

Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const std::span<const std::int64_t> x = a.extents(), y = b.extents();
  const std::size_t rank = std::max(x.size(), y.size());
  std::array<std::int64_t, Shape::kMaxRank> extents;
  for (std::size_t i = 0; i < rank; ++i) {  // i counts from the last dimension
    const std::int64_t p = i < x.size() ? x[x.size() - 1 - i] : 1;
    const std::int64_t q = i < y.size() ? y[y.size() - 1 - i] : 1;
    if (p != q && p != 1 && q != 1)
      throw UserError(fmt::format("{}: shapes {} and {} do not broadcast", op, to_string(a), to_string(b)));
    extents[rank - 1 - i] = p == 1 ? q : p;
  }
  return Shape(std::span<const std::int64_t>(extents.data(), rank));
}

void require_floating(std::string_view op, const ValueInfo& x) {
  require_operands(op, x, Operands::floating);
}

void require_same_dtype(std::string_view op, const ValueInfo& a, const ValueInfo& b) {
  if (a.dtype != b.dtype)
    throw UserError(fmt::format("{}: dtypes {} and {} differ: convert one with .to(DType)", op,
                                to_string(a.dtype), to_string(b.dtype)));
}

void require_same_shape(std::string_view op, const ValueInfo& a, const ValueInfo& b) {
  if (!(a.shape == b.shape))
    throw UserError(fmt::format("{}: shapes {} and {} differ", op, to_string(a.shape), to_string(b.shape)));
}

void require_alike(std::string_view op, const ValueInfo& a, const ValueInfo& b) {
  require_same_dtype(op, a, b);
  require_same_shape(op, a, b);
}

std::vector<ValueInfo> UnaryOp::infer(std::span<const ValueInfo> in) const {
  require_operands(name(), in[0], operands_);
  return {in[0]};
}
UnaryArgs UnaryOp::args(std::span<const ConstView> in, std::span<const View> out) const {
  return {in[0], out[0]};
}
Saved UnaryOp::saves(Needs) const { return saved_by(reads_); }
double UnaryOp::flops(std::span<const ValueInfo> in) const {
  return per_element(flops_per_element_, in[0].shape);
}

std::string ScalarOp::attributes() const { return fmt::format("value={}", value_); }
std::vector<ValueInfo> ScalarOp::infer(std::span<const ValueInfo> in) const {
  require_operands(name(), in[0], operands_);
  if (is_floating(in[0].dtype)) return {in[0]};
  const std::string problem = fmt::format("{}: {}", name(), to_string(scalar_));
  if (!scalar_.whole() && std::trunc(value_) != value_)
    throw UserError(fmt::format("{} is no whole number but the tensor is {}: convert with .to(DType::f32)",
                                problem, to_string(in[0].dtype)));
  if (!scalar_.fits(in[0].dtype))
    throw UserError(fmt::format("{} is out of range for {}: convert with .to(DType::i64) or .to(DType::f64)",
                                problem, to_string(in[0].dtype)));
  if (Scalar(value_).whole() != scalar_.whole())
    throw UserError(fmt::format(
        "{} has more digits than a double: add or multiply a tensor in place of the number", problem));
  return {in[0]};
}
ScalarArgs ScalarOp::args(std::span<const ConstView> in, std::span<const View> out) const {
  return {in[0], value_, out[0]};
}
Saved ScalarOp::saves(Needs) const { return saved_by(reads_); }
double ScalarOp::flops(std::span<const ValueInfo> in) const {
  return per_element(flops_per_element_, in[0].shape);
}

std::vector<ValueInfo> BinaryOp::infer(std::span<const ValueInfo> in) const {
  require_same_dtype(name(), in[0], in[1]);
  require_operands(name(), in[0], operands_);
  return {{broadcast_shapes(name(), in[0].shape, in[1].shape), in[0].dtype, in[0].device}};
}
BinaryArgs BinaryOp::args(std::span<const ConstView> in, std::span<const View> out) const {
  return {in[0], in[1], out[0]};
}
double BinaryOp::flops(std::span<const ValueInfo> in) const {
  return per_element(flops_per_element_, broadcast_shapes(name(), in[0].shape, in[1].shape));
}

std::vector<ValueInfo> GradientOp::infer(std::span<const ValueInfo> in) const {
  require_alike(name(), in[0], in[1]);
  require_floating(name(), in[0]);
  return {in[0]};
}
GradientArgs GradientOp::args(std::span<const ConstView> in, std::span<const View> out) const {
  return {in[0], in[1], out[0]};
}
Saved GradientOp::saves(Needs needs) const {
  if (needs(1)) return {.inputs = {0, 1}, .outputs = {}};
  return {.inputs = {1}, .outputs = {}};
}
double GradientOp::flops(std::span<const ValueInfo> in) const {
  return per_element(flops_per_element_, in[0].shape);
}

}  // namespace reprise
