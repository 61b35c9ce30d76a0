#include "reprise/data/fashion_mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/data/idx.h"

namespace reprise::data {
namespace {

constexpr std::int64_t kSide = 28;
constexpr std::int64_t kLabelHeaderBytes = 8;

std::string find_file(const std::string& folder, const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const std::string& candidate : {name + ".gz", name}) {
    const fs::path path = fs::path(folder) / candidate;
    if (fs::exists(path, error)) return path.string();
  }
  throw FileError(fmt::format(
      "Fashion-MNIST: {}/{}.gz is missing: install the package dataset-fashion-mnist (apt install "
      "dataset-fashion-mnist), or name the folder that has the files (--data-dir)",
      folder, name));
}

}  // namespace

FashionMnist::FashionMnist(Split split, const std::string& folder) {
  const std::string prefix = split == Split::train ? "train" : "t10k";
  const std::string images_path = find_file(folder, prefix + "-images-idx3-ubyte");
  const std::string labels_path = find_file(folder, prefix + "-labels-idx1-ubyte");
  images_ = read_idx(images_path, 3);
  labels_ = read_idx(labels_path, 1);
  if (images_.size(1) != kSide || images_.size(2) != kSide)
    throw FileError(fmt::format("{}: byte 8: images of {} x {} pixels; Fashion-MNIST's are {} x {}",
                                images_path, images_.size(1), images_.size(2), kSide, kSide));
  if (images_.size(0) != labels_.size(0))
    throw FileError(fmt::format("{}: byte 4: {} labels, but {} holds {} images", labels_path, labels_.size(0),
                                images_path, images_.size(0)));
  if (images_.size(0) == 0) throw FileError(fmt::format("{}: byte 4: no images", images_path));
  const auto labels = labels_.read<std::uint8_t>();
  const auto bad =
      std::find_if(labels.begin(), labels.end(), [](std::uint8_t l) { return l >= kClasses.size(); });
  if (bad != labels.end())
    throw FileError(fmt::format("{}: byte {}: label {}; there are {} classes", labels_path,
                                (bad - labels.begin()) + kLabelHeaderBytes, *bad, kClasses.size()));
}

Batch FashionMnist::get(std::span<const std::int64_t> indices) const {
  static const std::array<float, 256> normalized = [] {
    std::array<float, 256> table;
    for (std::size_t pixel = 0; pixel < table.size(); ++pixel)
      table[pixel] = static_cast<float>((static_cast<double>(pixel) / 255 - kMean) / kStd);
    return table;
  }();
  check_indices("FashionMnist", indices, size());
  const memory::TagScope tag(memory::Tag::data);
  const auto n = static_cast<std::int64_t>(indices.size());
  Batch batch{Tensor::empty({n, kSide, kSide, 1}), Tensor::empty({n}, {.dtype = DType::i64})};
  const auto images = images_.read<std::uint8_t>();
  const auto labels = labels_.read<std::uint8_t>();
  const auto inputs = batch.inputs.write<float>();
  const auto targets = batch.targets.write<std::int64_t>();
  constexpr std::size_t pixels = kSide * kSide;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto index = static_cast<std::size_t>(indices[i]);
    const auto image = images.subspan(index * pixels, pixels);
    std::transform(image.begin(), image.end(), inputs.subspan(i * pixels).begin(),
                   [](std::uint8_t pixel) { return normalized[pixel]; });
    targets[i] = labels[index];
  }
  return batch;
}

}  // namespace reprise::data
