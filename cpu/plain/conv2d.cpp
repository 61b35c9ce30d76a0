// Each convolution is a sum over the places of the kernel; at one place, along one row of the image, it is a product
// of matrices (products.h) that are read where they lie.
#include "reprise/ops/conv2d.h"

#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// The extents of a convolution, from the shapes of x, weight and y.
struct Geometry {
  std::int64_t n, h, w, in, p, q, out, kernel_h, kernel_w, group_in, group_out;
  Conv2dFunctionOptions options;

  Geometry(const Shape& x, const Shape& weight, const Shape& y, const Conv2dFunctionOptions& o)
      : n(x[0]),
        h(x[1]),
        w(x[2]),
        in(x[3]),
        p(y[1]),
        q(y[2]),
        out(y[3]),
        kernel_h(weight[1]),
        kernel_w(weight[2]),
        group_in(weight[3]),
        group_out(y[3] / o.groups),
        options(o) {}

  // Elements between one output channel's weights and the next's.
  std::int64_t weights() const { return kernel_h * kernel_w * group_in; }
  std::int64_t weight_place(std::int64_t i, std::int64_t j) const { return (i * kernel_w + j) * group_in; }
  // The row of x that output row p reads at kernel row i; outside [0, h) it is padding.
  std::int64_t row(std::int64_t p_, std::int64_t i) const {
    return p_ * options.stride.h + i * options.dilation.h - options.padding.h;
  }
  // Output columns [first, last) whose place at kernel column j lies within the image.
  std::int64_t first_q(std::int64_t j) const {
    const std::int64_t before = options.padding.w - j * options.dilation.w;
    return std::min(q, before > 0 ? (before + options.stride.w - 1) / options.stride.w : 0);
  }
  std::int64_t last_q(std::int64_t j) const {
    const std::int64_t room = w - 1 + options.padding.w - j * options.dilation.w;
    return room < 0 ? 0 : std::min(q, room / options.stride.w + 1);
  }
  std::int64_t column(std::int64_t q_, std::int64_t j) const {
    return q_ * options.stride.w + j * options.dilation.w - options.padding.w;
  }
};

template <class T>
void conv2d(const Conv2dArgs& args, std::span<std::byte>) {
  const Geometry g(args.x.info->shape, args.weight.info->shape, args.y.info->shape, args.options);
  const T *x = args.x.as<T>(), *weight = args.weight.as<T>(), *bias = args.bias.as<T>();
  T* y = args.y.as<T>();
  parallel_for(g.n * g.p, grain_for(g.q * g.out * g.weights()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t np = begin; np < end; ++np) {  // one row of y
      T* y_row = y + np * g.q * g.out;
      for (std::int64_t q = 0; q < g.q; ++q)
        for (std::int64_t o = 0; o < g.out; ++o) y_row[q * g.out + o] = bias ? bias[o] : T{0};
      for (std::int64_t i = 0; i < g.kernel_h; ++i) {
        const std::int64_t h = g.row(np % g.p, i);
        if (h < 0 || h >= g.h) continue;
        const T* x_row = x + (np / g.p * g.h + h) * g.w * g.in;
        for (std::int64_t j = 0; j < g.kernel_w; ++j) {
          const std::int64_t first = g.first_q(j), last = g.last_q(j);
          if (first >= last) continue;
          for (std::int64_t group = 0; group < g.options.groups; ++group)
            add_product<T>(
                {x_row + g.column(first, j) * g.in + group * g.group_in, g.options.stride.w * g.in, 1},
                {weight + group * g.group_out * g.weights() + g.weight_place(i, j), 1, g.weights()},
                y_row + first * g.out + group * g.group_out, g.out, last - first, g.group_in, g.group_out);
        }
      }
    }
  });
}

template <class T>
void conv2d_backward_input(const Conv2dBackwardInputArgs& args, std::span<std::byte>) {
  const Geometry g(args.dx.info->shape, args.weight.info->shape, args.dy.info->shape, args.options);
  const T *dy = args.dy.as<T>(), *weight = args.weight.as<T>();
  T* dx = args.dx.as<T>();
  parallel_for(g.n * g.h, grain_for(g.w * g.out * g.weights()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t nh = begin; nh < end; ++nh) {  // one row of dx
      T* dx_row = dx + nh * g.w * g.in;
      std::fill(dx_row, dx_row + g.w * g.in, T{0});
      for (std::int64_t i = 0; i < g.kernel_h; ++i) {
        const std::int64_t from = nh % g.h + g.options.padding.h - i * g.options.dilation.h;
        const std::int64_t p = from / g.options.stride.h;
        if (from < 0 || from % g.options.stride.h != 0 || p >= g.p) continue;
        const T* dy_row = dy + (nh / g.h * g.p + p) * g.q * g.out;
        for (std::int64_t j = 0; j < g.kernel_w; ++j) {
          const std::int64_t first = g.first_q(j), last = g.last_q(j);
          if (first >= last) continue;
          for (std::int64_t group = 0; group < g.options.groups; ++group)
            add_product<T>(
                {dy_row + first * g.out + group * g.group_out, g.out, 1},
                {weight + group * g.group_out * g.weights() + g.weight_place(i, j), g.weights(), 1},
                dx_row + g.column(first, j) * g.in + group * g.group_in, g.options.stride.w * g.in,
                last - first, g.group_out, g.group_in);
        }
      }
    }
  });
}

template <class T>
void conv2d_backward_weight(const Conv2dBackwardWeightArgs& args, std::span<std::byte>) {
  const Geometry g(args.x.info->shape, args.dweight.info->shape, args.dy.info->shape, args.options);
  const T *dy = args.dy.as<T>(), *x = args.x.as<T>();
  T* dweight = args.dweight.as<T>();
  const std::int64_t rows = g.n * g.p * g.q;
  parallel_for(g.out, grain_for(rows * g.weights()), [&](std::int64_t begin, std::int64_t end) {
    std::fill(dweight + begin * g.weights(), dweight + end * g.weights(), T{0});
    for (std::int64_t o = begin; o < end;) {  // output channels of one group
      const std::int64_t group = o / g.group_out, outputs = std::min(end, (group + 1) * g.group_out) - o;
      for (std::int64_t np = 0; np < g.n * g.p; ++np)
        for (std::int64_t i = 0; i < g.kernel_h; ++i) {
          const std::int64_t h = g.row(np % g.p, i);
          if (h < 0 || h >= g.h) continue;
          const T* x_row = x + (np / g.p * g.h + h) * g.w * g.in;
          for (std::int64_t j = 0; j < g.kernel_w; ++j) {
            const std::int64_t first = g.first_q(j), last = g.last_q(j);
            if (first >= last) continue;
            add_product<T>(
                {dy + (np * g.q + first) * g.out + o, 1, g.out},
                {x_row + g.column(first, j) * g.in + group * g.group_in, g.options.stride.w * g.in, 1},
                dweight + o * g.weights() + g.weight_place(i, j), g.weights(), outputs, last - first,
                g.group_in);
          }
        }
      o += outputs;
    }
  });
  if (!args.dbias.info) return;
  T* dbias = args.dbias.as<T>();
  for_each_channel_block(rows, g.out, [&](std::int64_t first, std::int64_t count) {
    const ChannelSums sums = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      return static_cast<double>(dy[row * g.out + c]);
    });
    for (std::int64_t c = 0; c < count; ++c)
      dbias[first + c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
  });
}

}  // namespace

void fill_conv2d() {
  fill_floating(conv2d_slot, conv2d<float>, conv2d<double>);
  fill_floating(conv2d_backward_input_slot, conv2d_backward_input<float>, conv2d_backward_input<double>);
  fill_floating(conv2d_backward_weight_slot, conv2d_backward_weight<float>, conv2d_backward_weight<double>);
  fill_widened<conv2d_slot, &Conv2dArgs::x, &Conv2dArgs::weight, &Conv2dArgs::bias, &Conv2dArgs::y>();
  fill_widened<conv2d_backward_input_slot, &Conv2dBackwardInputArgs::dy, &Conv2dBackwardInputArgs::weight,
               &Conv2dBackwardInputArgs::dx>();
  fill_widened<conv2d_backward_weight_slot, &Conv2dBackwardWeightArgs::dy, &Conv2dBackwardWeightArgs::x>();
}

}  // namespace reprise::cpu
