#pragma once
// Where samples come from: a dataset by its name on the command line.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "reprise/core/shape.h"
#include "reprise/data/dataset.h"
#include "reprise/data/text.h"

namespace reprise::cli {

// The names of --data, besides text:FILE.
const std::vector<std::string>& source_names();

// FILE of "text:FILE"; empty for another name.
std::string text_file(const std::string& name);

// Any dataset, as a dataset.
struct Source {
  std::string name = {};
  Shape sample = {};
  DType dtype = DType::f32;  // of the inputs; i64: tokens, with a target for each
  std::int64_t classes = 0;
  std::int64_t samples = 0;
  double fill = 0;  // what augmentation pads with: black
  std::function<data::Batch(std::span<const std::int64_t>, std::int64_t epoch)> read = {};

  std::int64_t size() const { return samples; }
  data::Batch get(std::span<const std::int64_t> indices, std::int64_t epoch = 0) const {
    return read(indices, epoch);
  }
};

struct SourceOptions {
  std::string folder = {};           // of fashion-mnist
  Shape sample = {};                 // of synthetic: the model's own input
  DType dtype = DType::f32;          // of synthetic
  std::int64_t classes = 10;         // of synthetic
  std::int64_t samples = 0;          // of synthetic
  std::uint64_t seed = 0;            // of synthetic and of a text's windows
  const data::Text* text = nullptr;  // of text:FILE, whose windows are `sample` long
  double validation = 0.1;           // of text:FILE
};

// FileError when files are missing or damaged.
Source open_source(const std::string& name, data::Split split, const SourceOptions& options);

// The batch [first, first + count) of the samples in order, starting over at the end.
data::Batch batch_in_order(const Source& source, std::int64_t first, std::int64_t count);

}  // namespace reprise::cli
