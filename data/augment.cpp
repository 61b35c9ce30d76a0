#include "reprise/data/augment.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/data/epoch_order.h"

namespace reprise::data {

Tensor augment(const Tensor& images, std::span<const std::int64_t> indices, std::uint64_t seed,
               std::int64_t epoch, AugmentOptions options) {
  if (images.shape().rank() != 4 || images.dtype() != DType::f32)
    throw UserError(fmt::format("augment: {}; f32 images [n, h, w, c] are needed", to_string(images.info())));
  if (static_cast<std::int64_t>(indices.size()) != images.size(0))
    throw UserError(fmt::format("augment: {} images, but {} indices", images.size(0), indices.size()));
  if (options.crop_padding < 0)
    throw UserError(fmt::format("augment: crop_padding {}; at least 0", options.crop_padding));
  const std::int64_t height = images.size(1), width = images.size(2), channels = images.size(3);
  const std::int64_t padding = options.crop_padding;
  const auto places = static_cast<std::uint64_t>(2 * padding + 1);
  const std::uint64_t stream = epoch_stream(seed, epoch, EpochStream::augment);

  const memory::TagScope tag(memory::Tag::data);
  Tensor result = Tensor::empty(images.shape());
  const float* from = images.read<float>().data();
  float* to = result.write<float>().data();
  for (std::int64_t index : indices) {
    const auto words = philox(stream, static_cast<std::uint64_t>(index));
    const bool flip = options.horizontal_flip && (words[0] & 1) != 0;
    const std::int64_t down = static_cast<std::int64_t>(words[1] % places) - padding;
    const std::int64_t right = static_cast<std::int64_t>(words[2] % places) - padding;
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x, to += channels) {
        const std::int64_t source_y = y + down;
        const std::int64_t source_x = (flip ? width - 1 - x : x) + right;
        if (source_y < 0 || source_y >= height || source_x < 0 || source_x >= width)
          std::fill_n(to, channels, static_cast<float>(options.fill));
        else
          std::copy_n(from + (source_y * width + source_x) * channels, channels, to);
      }
    from += height * width * channels;
  }
  return result;
}

}  // namespace reprise::data
