#pragma once
// A ready model as the command line asks for it.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reprise/cli/options.h"
#include "reprise/nn/models.h"
#include "reprise/optim/optimizer.h"

namespace reprise::cli {

// The names of --model.
const std::vector<std::string>& model_names();

// The batch and the optimizer that the benchmarks use.
std::int64_t default_batch(const std::string& model);
std::string default_optimizer(const std::string& model);
// The optimizer of a step that is timed or planned, by its name or, without one, the model's default.
std::unique_ptr<optim::Optimizer> make_step_optimizer(const std::string& name, const std::string& model,
                                                      std::vector<Tensor> parameters);

// The sample that the model reads when nothing else is asked for, and its classes.
struct ModelInput {
  Shape sample;
  std::int64_t classes;
  DType dtype = DType::f32;
};
ModelInput default_input(const std::string& model, const ModelShape& shape);

// "cpu", "cuda" or "cuda:N". UsageError for another word; where a CUDA device cannot be used, the error says why.
Device parse_device(const std::string& name);

// For samples of this shape. ResNets take other channels and sizes than their own (with the stem for small images up to 64
// pixels); UsageError where a model does not fit the data
// or has no such shape.
nn::Model make_network(const std::string& model, const ModelShape& shape, const ModelInput& input,
                       DType dtype, Device device = Device::cpu());

// "f32", "bf16" or "f64". UsageError.
DType parse_dtype(const std::string& name);

// UsageError for an unknown setting and for more segments than the model has blocks.
nn::CheckpointSetting parse_checkpoint(const std::string& text, const nn::Model& model);

}  // namespace reprise::cli
