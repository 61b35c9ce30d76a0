#pragma once
// Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 60,000 and 10,000 grey images of clothing, 28 x 28, in 10
// classes. The files are those of the Debian package dataset-fashion-mnist, as it installs them.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "reprise/core/tensor.h"
#include "reprise/data/dataset.h"

namespace reprise::data {

class FashionMnist {
 public:
  // Of the training images' pixels in [0, 1]; inputs are (pixel / 255 - mean) / std.
  static constexpr double kMean = 0.2860;
  static constexpr double kStd = 0.3530;
  static constexpr std::array<std::string_view, 10> kClasses = {
      "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};

  // Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz, and keeps them as bytes. FileError,
  // with file and offset, for what is missing, truncated, corrupt or not what its name says; a missing
  // folder's error says which package has it.
  explicit FashionMnist(Split split, const std::string& folder = "/usr/share/datasets/fashion-mnist");

  std::int64_t size() const { return images_.size(0); }
  // inputs: f32 [n, 28, 28, 1], normalized; targets: i64 [n].
  Batch get(std::span<const std::int64_t> indices) const;

  const Tensor& images() const { return images_; }  // u8 [size, 28, 28]
  const Tensor& labels() const { return labels_; }  // u8 [size]

 private:
  Tensor images_, labels_;
};

}  // namespace reprise::data
