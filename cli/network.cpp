#include "reprise/cli/network.h"

#include <fmt/format.h>

#include "reprise/cli/options.h"
#include "reprise/core/dry_run.h"

namespace reprise::cli {
namespace {

constexpr std::int64_t kSmallImage = 64;  // pixels

bool is_resnet(const std::string& model) { return model.starts_with("resnet"); }

}  // namespace

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names(nn::model_names().begin(), nn::model_names().end());
  return names;
}

std::int64_t default_batch(const std::string& model) {
  if (model == "chain") return 4096;
  if (model == "resnet18" || model == "resnet34") return 32;
  if (is_resnet(model)) return 8;
  return 64;
}

ModelInput default_input(const std::string& model) {
  const DryRun dry;  // counts the weights instead of making them
  const nn::Model made = nn::make_model(model);
  return {made.input_shape(), made.classes()};
}

nn::Model make_network(const std::string& model, const ModelInput& input, DType dtype) {
  nn::ModelOptions options{.classes = input.classes};
  if (is_resnet(model) && input.sample.rank() == 3) {
    options.in_channels = input.sample[2];
    options.stem = input.sample[0] <= kSmallImage ? nn::Stem::small_images : nn::Stem::large_images;
  }
  nn::Model made = nn::make_model(model, options);
  if (made.input_shape() != input.sample && !(is_resnet(model) && input.sample.rank() == 3))
    throw UsageError(fmt::format("--model {} takes samples of shape {}, the data has {}", model,
                                 to_string(made.input_shape()), to_string(input.sample)));
  if (dtype != DType::f32) made.to(dtype);
  return made;
}

DType parse_dtype(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "f64") return DType::f64;
  throw UsageError(fmt::format("--dtype: '{}' is not f32 or f64", name));
}

nn::CheckpointSetting parse_checkpoint(const std::string& text, const nn::Model& model) {
  nn::CheckpointSetting setting;
  try {
    setting = nn::checkpoint_setting_from_string(text);
  } catch (const UserError& error) {
    throw UsageError(fmt::format("--checkpoint: {}", error.what()));
  }
  if (setting.kind == nn::CheckpointSetting::Kind::segments && setting.segments > model.block_count())
    throw UsageError(fmt::format("--checkpoint: {} segments, but {} has {} blocks", setting.segments,
                                 model.name(), model.block_count()));
  return setting;
}

}  // namespace reprise::cli
