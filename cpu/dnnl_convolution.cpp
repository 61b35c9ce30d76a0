#include "reprise/cpu/dnnl_convolution.h"

#include <algorithm>

namespace reprise::cpu {
namespace {

using Dims = dnnl::memory::dims;
using Layout = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

template <class Description, class Primitive>
ConvolutionPrimitive::ConvolutionPrimitive(const Description& description, const Primitive& primitive,
                                           std::vector<Operand> operands) {
  std::vector<DnnlPrimitive::Argument> arguments;
  std::size_t end = 0, scratchpad = 0;
  for (Operand& operand : operands) {
    Place place{operand.written, 0, nullptr};
    if (operand.ours != operand.theirs) {
      place.copy = operand.written ? make_reorder(operand.theirs, operand.ours)
                                   : make_reorder(operand.ours, operand.theirs);
      place.offset = end;
      end += aligned(operand.theirs.get_size());
      scratchpad = std::max(scratchpad, place.copy->workspace());
    }
    arguments.push_back({operand.number, operand.theirs});
    places_.push_back(std::move(place));
  }
  convolution_ = std::make_unique<const DnnlPrimitive>(description, primitive, std::move(arguments));
  scratchpad_ = end;
  workspace_ = end + std::max(scratchpad, convolution_->workspace());
}

void ConvolutionPrimitive::run(const void* x, const void* weight, const void* bias, const void* y,
                               std::byte* workspace) const {
  const std::array<const void*, 4> ours = {x, weight, y, bias};
  std::array<const void*, 4> theirs = ours;
  std::byte* scratchpad = workspace + scratchpad_;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (!place.copy) continue;
    theirs[i] = workspace + place.offset;
    if (!place.written) place.copy->run({ours[i], theirs[i]}, scratchpad);
  }
  if (places_.size() == 4)
    convolution_->run({theirs[0], theirs[1], theirs[2], theirs[3]}, scratchpad);
  else
    convolution_->run({theirs[0], theirs[1], theirs[2]}, scratchpad);
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (places_[i].copy && places_[i].written) places_[i].copy->run({theirs[i], ours[i]}, scratchpad);
}

// The weight is transformed at each call, which takes enough tiles of the image to pay: measured on resnet's convolutions,
// from 16 tiles on.
bool uses_winograd(const Convolution& c) {
  constexpr std::int64_t kTile = 4, kMinTiles = 16, kMinChannels = 32;
  const Conv2dFunctionOptions& o = c.options;
  const std::int64_t tiles = c.n * ((c.p + kTile - 1) / kTile) * ((c.q + kTile - 1) / kTile);
  return c.dtype == DType::f32 && c.kernel_h == 3 && c.kernel_w == 3 && o.stride == Pair(1) &&
         o.dilation == Pair(1) && o.groups == 1 && o.padding.h <= 1 && o.padding.w <= 1 && c.in % 16 == 0 &&
         c.out % 16 == 0 && c.in >= kMinChannels && c.out >= kMinChannels && tiles >= kMinTiles;
}

namespace {

// Measured on resnet's convolutions: a strided 3x3's gradient of the weight takes 20 to 60 % longer on NHWC.
bool prefers_blocks(const Convolution& c) {
  return c.pass == ConvolutionPass::backward_weight && c.kernel_h > 1 && c.options.stride != Pair(1) &&
         c.options.groups == 1 && c.in % 16 == 0 && c.out % 16 == 0;
}

struct Problem {
  dnnl::algorithm algorithm;
  Layout x, weight, y, bias;  // what oneDNN may choose is `any`
  Layout our_x, our_weight, our_y;
  Dims stride, dilation, padding;
};

Problem problem(const Convolution& c, bool winograd, bool blocks) {
  const Dims x = {c.n, c.in, c.h, c.w}, y = {c.n, c.out, c.p, c.q};
  const std::int64_t groups = c.options.groups;
  const Dims weight = groups == 1 ? Dims{c.out, c.in, c.kernel_h, c.kernel_w}
                                  : Dims{groups, c.out / groups, c.in / groups, c.kernel_h, c.kernel_w};
  const Tag images = blocks ? Tag::nChw16c : Tag::nhwc;
  const auto type = dnnl_type(c.dtype);
  // Sums over a batch, which are not rounded to 16 bits.
  const auto sums = c.pass == ConvolutionPass::backward_weight ? dnnl_type(DType::f32) : type;
  return {.algorithm = winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct,
          .x = Layout(x, type, images),
          .weight = Layout(weight, sums, Tag::any),
          .y = Layout(y, type, images),
          .bias = c.bias ? Layout({c.out}, sums, Tag::a) : Layout(),
          .our_x = Layout(x, type, Tag::nhwc),
          .our_weight = Layout(weight, sums, groups == 1 ? Tag::ohwi : Tag::gohwi),
          .our_y = Layout(y, type, Tag::nhwc),
          .stride = {c.options.stride.h, c.options.stride.w},
          .dilation = {c.options.dilation.h - 1, c.options.dilation.w - 1},
          .padding = {c.options.padding.h, c.options.padding.w}};
}

dnnl::convolution_forward::primitive_desc forward(const Problem& p) {
  const auto kind = dnnl::prop_kind::forward_training;
  if (p.bias.data.ndims != 0)
    return {dnnl::convolution_forward::desc(kind, p.algorithm, p.x, p.weight, p.bias, p.y, p.stride,
                                            p.dilation, p.padding, p.padding),
            dnnl_attributes(), dnnl_engine(), /*allow_empty=*/true};
  return {dnnl::convolution_forward::desc(kind, p.algorithm, p.x, p.weight, p.y, p.stride, p.dilation,
                                          p.padding, p.padding),
          dnnl_attributes(), dnnl_engine(), /*allow_empty=*/true};
}

dnnl::convolution_backward_data::primitive_desc backward_input(
    const Problem& p, const dnnl::convolution_forward::primitive_desc& hint) {
  return {dnnl::convolution_backward_data::desc(p.algorithm, p.x, p.weight, p.y, p.stride, p.dilation,
                                                p.padding, p.padding),
          dnnl_attributes(), dnnl_engine(), hint, /*allow_empty=*/true};
}

dnnl::convolution_backward_weights::primitive_desc backward_weight(
    const Problem& p, const dnnl::convolution_forward::primitive_desc& hint) {
  if (p.bias.data.ndims != 0)
    return {dnnl::convolution_backward_weights::desc(p.algorithm, p.x, p.weight, p.bias, p.y, p.stride,
                                                     p.dilation, p.padding, p.padding),
            dnnl_attributes(), dnnl_engine(), hint, /*allow_empty=*/true};
  return {dnnl::convolution_backward_weights::desc(p.algorithm, p.x, p.weight, p.y, p.stride, p.dilation,
                                                   p.padding, p.padding),
          dnnl_attributes(), dnnl_engine(), hint, /*allow_empty=*/true};
}

template <class Description>
bool usable(const Description& description) {
  return description && !is_reference(description.impl_info_str());
}

std::shared_ptr<const ConvolutionPrimitive> make(const Convolution& c, bool winograd) {
  const DnnlThreads threads;
  const bool blocks = winograd || prefers_blocks(c);
  const Problem p = problem(c, winograd, blocks);
  Convolution hint = c;
  hint.pass = ConvolutionPass::forward;
  const auto forwards = forward(problem(hint, winograd, blocks));  // which the other passes take as a hint
  if (!forwards) return nullptr;
  switch (c.pass) {
    case ConvolutionPass::forward: {
      if (!usable(forwards)) return nullptr;
      std::vector<ConvolutionPrimitive::Operand> operands = {
          {DNNL_ARG_SRC, false, p.our_x, forwards.src_desc()},
          {DNNL_ARG_WEIGHTS, false, p.our_weight, forwards.weights_desc()},
          {DNNL_ARG_DST, true, p.our_y, forwards.dst_desc()}};
      if (c.bias) operands.push_back({DNNL_ARG_BIAS, false, p.bias, p.bias});
      return std::make_shared<const ConvolutionPrimitive>(forwards, dnnl::convolution_forward(forwards),
                                                          std::move(operands));
    }
    case ConvolutionPass::backward_input: {
      const auto description = backward_input(p, forwards);
      if (!usable(description)) return nullptr;
      return std::make_shared<const ConvolutionPrimitive>(
          description, dnnl::convolution_backward_data(description),
          std::vector<ConvolutionPrimitive::Operand>{
              {DNNL_ARG_DIFF_SRC, true, p.our_x, description.diff_src_desc()},
              {DNNL_ARG_WEIGHTS, false, p.our_weight, description.weights_desc()},
              {DNNL_ARG_DIFF_DST, false, p.our_y, description.diff_dst_desc()}});
    }
    case ConvolutionPass::backward_weight: {
      const auto description = backward_weight(p, forwards);
      if (!usable(description)) return nullptr;
      std::vector<ConvolutionPrimitive::Operand> operands = {
          {DNNL_ARG_SRC, false, p.our_x, description.src_desc()},
          {DNNL_ARG_DIFF_WEIGHTS, true, p.our_weight, description.diff_weights_desc()},
          {DNNL_ARG_DIFF_DST, false, p.our_y, description.diff_dst_desc()}};
      if (c.bias) operands.push_back({DNNL_ARG_DIFF_BIAS, true, p.bias, p.bias});
      return std::make_shared<const ConvolutionPrimitive>(
          description, dnnl::convolution_backward_weights(description), std::move(operands));
    }
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const ConvolutionPrimitive> convolution_primitive(const Convolution& c) {
  if (std::min({c.n, c.h, c.w, c.in, c.out, c.p, c.q}) == 0) return nullptr;
  const Conv2dFunctionOptions& o = c.options;
  const PrimitiveKey key = {static_cast<std::int64_t>(PrimitiveKind::convolution),
                            static_cast<std::int64_t>(c.pass),
                            c.n,
                            c.h,
                            c.w,
                            c.in,
                            c.out,
                            c.kernel_h,
                            c.kernel_w,
                            o.stride.h,
                            o.stride.w,
                            o.padding.h,
                            o.padding.w,
                            o.dilation.h,
                            o.dilation.w,
                            o.groups,
                            c.bias,
                            static_cast<std::int64_t>(c.dtype)};
  return cached_primitive<ConvolutionPrimitive>(key, [&] {
    std::shared_ptr<const ConvolutionPrimitive> made;
    if (uses_winograd(c)) made = make(c, true);
    if (!made) made = make(c, false);
    return made;
  });
}

}  // namespace reprise::cpu
