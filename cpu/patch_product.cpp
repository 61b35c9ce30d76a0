#include "reprise/cpu/patch_product.h"

#include <algorithm>

#include "reprise/core/parallel.h"
#include "reprise/cpu/dnnl_product.h"
#include "reprise/cpu/thread_scratch.h"

namespace reprise::cpu {
namespace {

std::int64_t patch_size(const Convolution& c) { return c.kernel_h * c.kernel_w * c.in; }

std::int64_t images_of_part(const Convolution& c) {
  constexpr std::int64_t kMostElements = std::int64_t{8} << 20;
  return std::clamp<std::int64_t>(kMostElements / (c.p * c.q * patch_size(c)), 1, c.n);
}

std::size_t patch_bytes(const Convolution& c) {
  const std::int64_t elements = images_of_part(c) * c.p * c.q * patch_size(c);
  return scratch_piece(static_cast<std::size_t>(elements) * sizeof(BFloat16));
}

std::shared_ptr<const DnnlOperation> product(const Convolution& c, std::int64_t images, bool accumulate) {
  return product_primitive({.m = c.out,
                            .n = patch_size(c),
                            .k = images * c.p * c.q,
                            .transpose_a = true,
                            .dtype = c.dtype,
                            .accumulate = accumulate});
}

// Calls body(first image, images).
template <class Body>
void for_each_part(const Convolution& c, Body body) {
  const std::int64_t images = images_of_part(c);
  for (std::int64_t first = 0; first < c.n; first += images) body(first, std::min(images, c.n - first));
}

void copy_patches(const Convolution& c, std::int64_t images, const BFloat16* x, BFloat16* patches) {
  const Conv2dFunctionOptions& o = c.options;
  parallel_for(images * c.p, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t image = row / c.p, top = row % c.p * o.stride.h - o.padding.h;
      BFloat16* to = patches + row * c.q * patch_size(c);
      for (std::int64_t q = 0; q < c.q; ++q)
        for (std::int64_t r = 0; r < c.kernel_h; ++r)
          for (std::int64_t s = 0; s < c.kernel_w; ++s, to += c.in) {
            const std::int64_t h = top + r * o.dilation.h,
                               w = q * o.stride.w - o.padding.w + s * o.dilation.w;
            if (h >= 0 && h < c.h && w >= 0 && w < c.w)
              std::copy_n(x + ((image * c.h + h) * c.w + w) * c.in, c.in, to);
            else
              std::fill_n(to, c.in, BFloat16{});
          }
    }
  });
}

}  // namespace

bool uses_patches(const Convolution& c) {
  constexpr std::int64_t kMinChannels = 32;  // of a cache line: fewer are slow to copy
  const Conv2dFunctionOptions& o = c.options;
  return c.pass == ConvolutionPass::backward_weight && c.dtype == DType::bf16 &&
         computing_dtype(c.dtype) == c.dtype && (o.stride.h > 1 || o.stride.w > 1) && o.groups == 1 &&
         !c.bias && c.in >= kMinChannels && c.out >= kMinChannels && c.n * c.p * c.q > 0 &&
         product(c, images_of_part(c), false) != nullptr;
}

std::size_t patch_workspace(const Convolution& c) {
  std::size_t most = 0;
  for_each_part(c, [&](std::int64_t first, std::int64_t images) {
    most = std::max(most, product(c, images, first > 0)->workspace());
  });
  return patch_bytes(c) + most;
}

void patch_backward_weight(const Convolution& c, const void* dy, const void* x, float* dweight,
                           std::span<std::byte> workspace) {
  auto* patches = reinterpret_cast<BFloat16*>(workspace.data());
  for_each_part(c, [&](std::int64_t first, std::int64_t images) {
    copy_patches(c, images, static_cast<const BFloat16*>(x) + first * c.h * c.w * c.in, patches);
    const BFloat16* gradient = static_cast<const BFloat16*>(dy) + first * c.p * c.q * c.out;
    product(c, images, first > 0)->run({gradient, patches, dweight}, workspace.subspan(patch_bytes(c)));
  });
}

}  // namespace reprise::cpu
