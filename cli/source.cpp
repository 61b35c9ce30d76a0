#include "reprise/cli/source.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "reprise/data/fashion_mnist.h"
#include "reprise/data/synthetic.h"

namespace reprise::cli {
namespace {

// A validation reads no more: enough for two digits of the loss.
constexpr std::int64_t kValidationTokens = 65536;

}  // namespace

const std::vector<std::string>& source_names() {
  static const std::vector<std::string> names = {"fashion-mnist", "synthetic"};
  return names;
}

std::string text_file(const std::string& name) {
  constexpr std::string_view kPrefix = "text:";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::string();
}

Source open_source(const std::string& name, data::Split split, const SourceOptions& options) {
  if (name == "fashion-mnist") {
    const auto set = std::make_shared<const data::FashionMnist>(split, options.folder);
    return {.name = name,
            .sample = {28, 28, 1},
            .classes = static_cast<std::int64_t>(data::FashionMnist::kClasses.size()),
            .samples = set->size(),
            .fill = -data::FashionMnist::kMean / data::FashionMnist::kStd,
            .read = [set](auto indices, std::int64_t) { return set->get(indices); }};
  }
  if (options.text) {
    const data::TextWindows windows(
        *options.text, split,
        {.context = options.sample[0],
         .validation = options.validation,
         .seed = options.seed,
         .most = std::max<std::int64_t>(kValidationTokens / options.sample[0], 1)});
    return {.name = name,
            .sample = options.sample,
            .dtype = DType::i64,
            .classes = options.text->tokenizer.size(),
            .samples = windows.size(),
            .read = [windows](auto indices, std::int64_t epoch) { return windows.get(indices, epoch); }};
  }
  if (options.dtype == DType::i64) {
    const data::SyntheticTokens set({.length = options.sample[0],
                                     .vocabulary = options.classes,
                                     .size = options.samples,
                                     .seed = options.seed,
                                     .split = split});
    return {.name = name,
            .sample = options.sample,
            .dtype = options.dtype,
            .classes = options.classes,
            .samples = options.samples,
            .read = [set](auto indices, std::int64_t) { return set.get(indices); }};
  }
  const data::Synthetic set({.shape = options.sample,
                             .classes = options.classes,
                             .size = options.samples,
                             .seed = options.seed,
                             .split = split});
  return {.name = name,
          .sample = options.sample,
          .classes = options.classes,
          .samples = options.samples,
          .read = [set](auto indices, std::int64_t) { return set.get(indices); }};
}

data::Batch batch_in_order(const Source& source, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = first; i < first + count; ++i) indices.push_back(i % source.size());
  return source.get(indices);
}

}  // namespace reprise::cli
