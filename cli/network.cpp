#include "reprise/cli/network.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/core/dry_run.h"

namespace reprise::cli {
namespace {

constexpr std::int64_t kSmallImage = 64;  // pixels

bool is_resnet(const std::string& model) { return model.starts_with("resnet"); }
bool is_gpt(const std::string& model) { return model.starts_with("gpt"); }

nn::ModelOptions options_of(const ModelShape& shape) {
  const auto given = [](auto value) { return value > 0 ? std::optional(value) : std::nullopt; };
  return {.layers = given(shape.layers),
          .width = given(shape.width),
          .heads = given(shape.heads),
          .context = given(shape.context),
          .dropout = given(shape.dropout)};
}

nn::Model make_model(const std::string& name, const nn::ModelOptions& options) {
  try {
    return nn::make_model(name, options);
  } catch (const UserError& error) {
    throw UsageError(error.what());
  }
}

}  // namespace

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names(nn::model_names().begin(), nn::model_names().end());
  return names;
}

std::int64_t default_batch(const std::string& model) {
  if (model == "chain") return 4096;
  if (model == "resnet18" || model == "resnet34") return 32;
  if (is_resnet(model)) return 8;
  if (is_gpt(model)) return model == "gpt" ? 16 : 1;
  return 64;
}

std::string default_optimizer(const std::string& model) { return is_gpt(model) ? "adamw" : "sgd"; }

std::unique_ptr<optim::Optimizer> make_step_optimizer(const std::string& name, const std::string& model,
                                                      std::vector<Tensor> parameters) {
  const std::string chosen = name.empty() ? default_optimizer(model) : name;
  return make_optimizer(chosen, std::move(parameters),
                        {.lr = 1e-3, .momentum = 0.9, .weight_decay = chosen == "adamw" ? 0.01 : 0.0});
}

ModelInput default_input(const std::string& model, const ModelShape& shape) {
  const DryRun dry;  // counts the weights instead of making them
  const nn::Model made = make_model(model, options_of(shape));
  return {made.input_shape(), made.classes(), made.input_dtype()};
}

nn::Model make_network(const std::string& model, const ModelShape& shape, const ModelInput& input,
                       DType dtype, Device device) {
  nn::ModelOptions options = options_of(shape);
  options.classes = input.classes;
  if (is_resnet(model) && input.sample.rank() == 3) {
    options.in_channels = input.sample[2];
    options.stem = input.sample[0] <= kSmallImage ? nn::Stem::small_images : nn::Stem::large_images;
  }
  nn::Model made = make_model(model, options);
  if (made.input_dtype() != input.dtype)
    throw UsageError(fmt::format("--model {} takes {}, the data has {}", model,
                                 made.input_dtype() == DType::i64 ? "tokens" : "images or features",
                                 input.dtype == DType::i64 ? "tokens" : "others"));
  if (made.input_shape() != input.sample && !(is_resnet(model) && input.sample.rank() == 3))
    throw UsageError(fmt::format("--model {} takes samples of shape {}, the data has {}", model,
                                 to_string(made.input_shape()), to_string(input.sample)));
  if (dtype != DType::f32) made.to(dtype);
  if (device != Device::cpu()) made.to(device);
  return made;
}

Device parse_device(const std::string& name) {
  constexpr std::string_view kCuda = "cuda:";
  const std::string full = name == "cuda" ? "cuda:0" : name;
  Device device = Device::cpu();
  bool known = name == "cpu";
  if (full.starts_with(kCuda)) {
    const char *first = full.data() + kCuda.size(), *last = full.data() + full.size();
    int index = 0;
    const auto [end, error] = std::from_chars(first, last, index);
    known = error == std::errc() && end == last && index >= 0;
    device = Device::cuda(index);
  }
  if (!known) throw UsageError(fmt::format("--device: '{}' is not cpu, cuda or cuda:N", name));
  services(device);
  return device;
}

DType parse_dtype(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "f64") return DType::f64;
  throw UsageError(fmt::format("--dtype: '{}' is not f32, bf16 or f64", name));
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
