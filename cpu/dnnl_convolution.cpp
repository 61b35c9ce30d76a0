#include "reprise/cpu/dnnl_convolution.h"

#include <algorithm>
#include <string_view>

namespace reprise::cpu {
namespace {

using Dims = dnnl::memory::dims;
using Layout = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

// Measured on resnet's convolutions: a strided 3x3's gradient of the weight takes 20 to 60 % longer on NHWC, and without
// AVX-512 its forward pass 20 to 40 %.
bool prefers_blocks(const Convolution& c) {
  const bool pass = c.pass == ConvolutionPass::backward_weight ||
                    (c.pass == ConvolutionPass::forward && !has_instructions(dnnl_cpu_isa_avx512_core));
  return pass && c.kernel_h > 1 && c.options.stride != Pair(1) && c.options.groups == 1 && c.in % 16 == 0 &&
         c.out % 16 == 0;
}

// As wide as the processor's vectors; oneDNN has nothing fast for others.
Tag channel_blocks() { return has_instructions(dnnl_cpu_isa_avx512_core) ? Tag::nChw16c : Tag::nChw8c; }

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

struct Problem {
  Layout x, weight, y, bias;  // what oneDNN may choose is `any`
  Layout our_x, our_weight, our_y, our_bias;
  Dims stride, dilation, padding;
};

Problem problem(const Convolution& c, bool blocks) {
  const Dims x = {c.n, c.in, c.h, c.w}, y = {c.n, c.out, c.p, c.q};
  const std::int64_t groups = c.options.groups;
  const Dims weight = groups == 1 ? Dims{c.out, c.in, c.kernel_h, c.kernel_w}
                                  : Dims{groups, c.out / groups, c.in / groups, c.kernel_h, c.kernel_w};
  const Tag images = blocks ? channel_blocks() : Tag::nhwc;
  const auto ours = dnnl_type(c.dtype), theirs = dnnl_type(computing_dtype(c.dtype));
  // Sums over a batch, which are not rounded to 16 bits.
  const bool sums = c.pass == ConvolutionPass::backward_weight;
  const auto our_weights = sums ? dnnl_type(DType::f32) : ours, their_weights = sums ? our_weights : theirs;
  return {.x = Layout(x, theirs, images),
          .weight = Layout(weight, their_weights, Tag::any),
          .y = Layout(y, theirs, images),
          .bias = c.bias ? Layout({c.out}, their_weights, Tag::a) : Layout(),
          .our_x = Layout(x, ours, Tag::nhwc),
          .our_weight = Layout(weight, our_weights, groups == 1 ? Tag::ohwi : Tag::gohwi),
          .our_y = Layout(y, ours, Tag::nhwc),
          .our_bias = c.bias ? Layout({c.out}, our_weights, Tag::a) : Layout(),
          .stride = {c.options.stride.h, c.options.stride.w},
          .dilation = {c.options.dilation.h - 1, c.options.dilation.w - 1},
          .padding = {c.options.padding.h, c.options.padding.w}};
}

dnnl::convolution_forward::primitive_desc forward(const Problem& p) {
  using Forward = dnnl::convolution_forward;
  const auto kind = dnnl::prop_kind::forward_training;
  if (p.bias.is_zero())
    return describe<Forward>(dnnl_attributes(), kind, kDirect, p.x, p.weight, p.y, p.stride, p.dilation,
                             p.padding, p.padding);
  return describe<Forward>(dnnl_attributes(), kind, kDirect, p.x, p.weight, p.bias, p.y, p.stride, p.dilation,
                           p.padding, p.padding);
}

dnnl::convolution_backward_data::primitive_desc backward_input(
    const Problem& p, const dnnl::convolution_forward::primitive_desc& hint) {
  return describe_backward<dnnl::convolution_backward_data>(hint, dnnl_attributes(), kDirect, p.x, p.weight,
                                                            p.y, p.stride, p.dilation, p.padding, p.padding);
}

dnnl::convolution_backward_weights::primitive_desc backward_weight(
    const Problem& p, const dnnl::convolution_forward::primitive_desc& hint) {
  using Backward = dnnl::convolution_backward_weights;
  if (p.bias.is_zero())
    return describe_backward<Backward>(hint, dnnl_attributes(), kDirect, p.x, p.weight, p.y, p.stride,
                                       p.dilation, p.padding, p.padding);
  return describe_backward<Backward>(hint, dnnl_attributes(), kDirect, p.x, p.weight, p.bias, p.y, p.stride,
                                     p.dilation, p.padding, p.padding);
}

template <class Description>
bool usable(const Description& description) {
  return description && !is_reference(description.impl_info_str());
}

// oneDNN's kernel for the gradient of a strided 1x1 convolution's weight copies x in whole vectors of channels.
// With fewer channels, or with groups that end inside a vector, the last vector goes past the end of the kernel's
// scratchpad. AVX-512 masks that vector if there is one group.
bool writes_past_scratchpad(const Convolution& c) {
  const bool strided_pixel = c.pass == ConvolutionPass::backward_weight && c.kernel_h == 1 &&
                             c.kernel_w == 1 && c.options.stride != Pair(1);
  const bool masks = has_instructions(dnnl_cpu_isa_avx512_core), grouped = c.options.groups > 1;
  const std::int64_t vector = masks ? 16 : 8, in = c.in / c.options.groups;
  return strided_pixel && ((in < vector && !masks) || (grouped && in % vector != 0));
}

// Does each place of the kernel lie inside the image for some place of y? Along one dimension.
bool every_place_meets_image(std::int64_t kernel, std::int64_t stride, std::int64_t padding, std::int64_t x,
                             std::int64_t y) {
  for (std::int64_t i = 0; i < kernel; ++i) {
    bool meets = false;
    for (std::int64_t p = 0; p < y && !meets; ++p)
      meets = p * stride + i >= padding && p * stride + i < padding + x;
    if (!meets) return false;
  }
  return true;
}

// Does a place of the kernel meet the image nowhere? Its gradient is 0.
bool has_place_outside_image(const Convolution& c) {
  const Conv2dFunctionOptions& o = c.options;
  return !every_place_meets_image(c.kernel_h, o.stride.h, o.padding.h, c.h, c.p) ||
         !every_place_meets_image(c.kernel_w, o.stride.w, o.padding.w, c.w, c.q);
}

// The AMX kernel of oneDNN 2 for the gradient of a weight is wrong for dilated kernels. It also leaves a place of the
// kernel unwritten if that place meets the image nowhere.
bool wrong_with_amx(const Convolution& c) {
  return DNNL_VERSION_MAJOR < 3 && (c.options.dilation != Pair(1) || has_place_outside_image(c));
}

// oneDNN's depthwise kernels for the gradient of a weight leave such a place unwritten, too.
bool leaves_places_unwritten(const Convolution& c) {
  return c.pass == ConvolutionPass::backward_weight && c.options.groups > 1 && has_place_outside_image(c);
}

// The first implementation without AMX; none leaves the description empty.
void leave_amx(dnnl::convolution_backward_weights::primitive_desc& description) {
  while (description && std::string_view(description.impl_info_str()).find("amx") != std::string_view::npos)
    if (!description.next_impl()) description = {};
}

std::shared_ptr<const DnnlOperation> make(const Convolution& c) {
  if (writes_past_scratchpad(c) || leaves_places_unwritten(c)) return nullptr;
  const DnnlThreads threads;
  const bool blocks = prefers_blocks(c);
  const Problem p = problem(c, blocks);
  Convolution hint = c;
  hint.pass = ConvolutionPass::forward;
  const auto forwards = forward(problem(hint, blocks));  // which the other passes take as a hint
  if (!forwards) return nullptr;
  switch (c.pass) {
    case ConvolutionPass::forward: {
      if (!usable(forwards)) return nullptr;
      std::vector<DnnlOperation::Operand> operands = {
          {DNNL_ARG_SRC, false, p.our_x, forwards.src_desc()},
          {DNNL_ARG_WEIGHTS, false, p.our_weight, forwards.weights_desc()},
          {DNNL_ARG_DST, true, p.our_y, forwards.dst_desc()}};
      if (c.bias) operands.push_back({DNNL_ARG_BIAS, false, p.our_bias, p.bias});
      return std::make_shared<const DnnlOperation>(forwards, dnnl::convolution_forward(forwards),
                                                   std::move(operands));
    }
    case ConvolutionPass::backward_input: {
      const auto description = backward_input(p, forwards);
      if (!usable(description)) return nullptr;
      return std::make_shared<const DnnlOperation>(
          description, dnnl::convolution_backward_data(description),
          std::vector<DnnlOperation::Operand>{
              {DNNL_ARG_DIFF_DST, false, p.our_y, description.diff_dst_desc()},
              {DNNL_ARG_WEIGHTS, false, p.our_weight, description.weights_desc()},
              {DNNL_ARG_DIFF_SRC, true, p.our_x, description.diff_src_desc()}});
    }
    case ConvolutionPass::backward_weight: {
      auto description = backward_weight(p, forwards);
      if (wrong_with_amx(c)) leave_amx(description);
      if (!usable(description)) return nullptr;
      std::vector<DnnlOperation::Operand> operands = {
          {DNNL_ARG_DIFF_DST, false, p.our_y, description.diff_dst_desc()},
          {DNNL_ARG_SRC, false, p.our_x, description.src_desc()},
          {DNNL_ARG_DIFF_WEIGHTS, true, p.our_weight, description.diff_weights_desc()}};
      if (c.bias) operands.push_back({DNNL_ARG_DIFF_BIAS, true, p.our_bias, p.bias});
      return std::make_shared<const DnnlOperation>(
          description, dnnl::convolution_backward_weights(description), std::move(operands));
    }
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const DnnlOperation> convolution_primitive(const Convolution& c) {
  if (std::min({c.n, c.h, c.w, c.in, c.out, c.p, c.q}) == 0) return nullptr;
  if (std::max({c.n, c.h, c.w, c.in, c.out, c.p, c.q}) > kDnnlMostExtent) return nullptr;
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
  return cached_primitive<DnnlOperation>(key, [&] { return make(c); });
}

}  // namespace reprise::cpu
