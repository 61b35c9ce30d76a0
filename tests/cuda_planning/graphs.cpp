#include "reprise/tests/cuda_planning/graphs.h"

#include <fmt/format.h>

#include <cstdio>

#include "reprise/core/error.h"

namespace reprise::planning {

namespace {

using cuda::AttentionProblem;
using cuda::Convolution;
using cuda::ConvolutionKind;

std::string describe(const AttentionProblem& p) {
  const AttentionShape& s = p.shape;
  return fmt::format("attention in {}: {} entries, {} queries, {} keys, {} of {} heads of {}, causal {}",
                     to_string(p.dtype), s.batch, s.queries, s.keys, s.key_heads, s.heads, s.head_dim,
                     p.causal);
}

const char* name_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return "forward";
    case ConvolutionKind::backward_input:
      return "backward_input";
    case ConvolutionKind::backward_weight:
      return "backward_weight";
  }
  return "?";
}

std::string describe(const Convolution& c) {
  return fmt::format("{}{} in {}: x {} weight {} stride {} padding {}", name_of(c.kind),
                     c.bias ? " with a bias" : "", to_string(c.dtype), to_string(c.x), to_string(c.weight),
                     c.stride.h, c.padding.h);
}

void add_convolution(const TraceNode& node, const Shape& x, const Shape& weight, const Shape& y, bool bias,
                     Graphs& graphs) {
  Convolution c{.x = x, .weight = weight, .y = y};
  long long sh, sw, ph, pw, dh, dw;
  if (std::sscanf(node.attributes.c_str(), "stride=%lldx%lld padding=%lldx%lld dilation=%lldx%lld", &sh, &sw,
                  &ph, &pw, &dh, &dw) != 6)
    throw InternalError("conv2d's attributes do not read as they should: " + node.attributes);
  c.stride = Pair(sh, sw);
  c.padding = Pair(ph, pw);
  c.dilation = Pair(dh, dw);
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    c.dtype = dtype;
    for (const ConvolutionKind kind :
         {ConvolutionKind::forward, ConvolutionKind::backward_input, ConvolutionKind::backward_weight}) {
      c.kind = kind;
      graphs.convolutions.emplace(describe(c), c);
    }
    if (bias) {
      Convolution biased = c;
      biased.kind = ConvolutionKind::forward;
      biased.bias = true;
      graphs.convolutions.emplace(describe(biased), biased);
    }
  }
}

void add_attention(const AttentionShape& shape, std::int64_t q_row, std::int64_t k_row, const TraceNode& node,
                   Graphs& graphs) {
  const AttentionProblem p{
      .shape = shape, .causal = node.attributes.starts_with("causal=true"), .q_row = q_row, .k_row = k_row};
  graphs.attention.emplace(describe(p), p);
}

}  // namespace

void add_graphs(const Trace& trace, const TraceNode& node, Graphs& graphs) {
  const auto shape = [&](std::int32_t value) { return trace.values[static_cast<std::size_t>(value)].shape; };
  const auto in = [&](std::size_t i) { return shape(node.inputs[i]); };
  if (node.op == "conv2d")
    add_convolution(node, in(0), in(1), shape(node.outputs[0]), node.inputs.size() == 3, graphs);
  if (node.op == "conv2d_backward_input")
    add_convolution(node, shape(node.outputs[0]), in(1), in(0), false, graphs);
  if (node.op == "conv2d_backward_weight")
    add_convolution(node, in(1), shape(node.outputs[0]), in(0), false, graphs);
  const bool plain = node.attributes.find(" dropout=0 ") != std::string::npos;
  if (node.op == "attention" && plain && node.inputs.size() == 3) {
    const Shape q = in(0), k = in(1);
    add_attention({q[0], q[1], k[1], q[2], k[2], q[3]}, q[2] * q[3], k[2] * k[3], node, graphs);
  }
  if (node.op == "attention_qkv" && plain && node.inputs.size() == 1) {
    const Shape qkv = in(0);
    const std::int64_t row = 3 * qkv[3] * qkv[4];
    add_attention({qkv[0], qkv[1], qkv[1], qkv[3], qkv[3], qkv[4]}, row, row, node, graphs);
  }
}

}  // namespace reprise::planning
