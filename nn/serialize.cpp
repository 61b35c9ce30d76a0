#include "reprise/nn/serialize.h"

#include <fmt/format.h>

#include <set>

#include "reprise/autograd/op.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/safetensors.h"
#include "reprise/nn/state.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {
namespace {

constexpr const char* kLayoutKey = "layout";
constexpr const char* kOurLayout = "reprise";  // convolution weights [out, h, w, in / groups]

// [out, channels * places] to [out, places * channels], or back.
Tensor reorder_columns(Tensor weight, std::int64_t first, std::int64_t second) {
  const Shape shape = weight.shape();
  return reshape(permute(reshape(std::move(weight), {shape[0], first, second}), {0, 2, 1}), shape);
}

std::int64_t flattened_places(std::string_view name, const Shape& shape, std::int64_t channels) {
  if (shape.rank() != 2 || channels < 1 || shape[1] % channels != 0)
    throw UserError(fmt::format("{}: of shape {} cannot read a flattened image of {} channels", name,
                                to_string(shape), channels));
  return shape[1] / channels;
}

Shape pytorch_shape(const NamedState& state) {
  const Shape& shape = state.tensor.shape();
  if (state.buffer || shape.rank() != 4) return shape;
  return {shape[0], shape[3], shape[1], shape[2]};
}

// `channels` is 0 where the weight does not read a flattened image.
Tensor from_pytorch(Tensor value, const NamedState& state, std::int64_t channels) {
  if (channels > 0)
    return reorder_columns(std::move(value), channels,
                           flattened_places(state.names.front(), state.tensor.shape(), channels));
  if (state.buffer || value.shape().rank() != 4) return value;
  return permute(std::move(value), {0, 2, 3, 1});
}

Tensor to_pytorch(Tensor value, const NamedState& state, std::int64_t channels) {
  if (channels > 0) {
    const std::int64_t places = flattened_places(state.names.front(), value.shape(), channels);
    return reorder_columns(std::move(value), places, channels);
  }
  if (state.buffer || value.shape().rank() != 4) return value;
  return permute(std::move(value), {0, 3, 1, 2});
}

std::int64_t flattened_channels(const std::map<std::string, std::int64_t>& flattened,
                                const NamedState& state) {
  for (const std::string& name : state.names)
    if (const auto found = flattened.find(name); found != flattened.end()) return found->second;
  return 0;
}

void check_flattened(const std::map<std::string, std::int64_t>& flattened,
                     const std::vector<NamedState>& states) {
  for (const auto& [name, channels] : flattened) {
    bool known = false;
    for (const NamedState& state : states)
      for (const std::string& own : state.names) known = known || own == name;
    if (!known) throw UserError(fmt::format("flattened names \"{}\", which the module does not have", name));
  }
}

}  // namespace

void load(Module& module, const std::string& path, LoadOptions options) {
  if (is_dry_run()) throw UserError("nn::load: a dry run leaves no trace; load before it");
  const SafetensorsHeader header = read_safetensors_header(path);
  const auto layout = header.metadata.find(kLayoutKey);
  if (options.from_pytorch && layout != header.metadata.end() && layout->second == kOurLayout)
    throw UserError(fmt::format(
        "{}: was written by nn::save in Reprise's own layout; load it without from_pytorch", path));
  const std::vector<NamedState> states = named_state(module);
  check_flattened(options.flattened, states);

  std::map<std::string, const SafetensorsEntry*> in_file;
  for (const SafetensorsEntry& entry : header.entries) in_file[entry.name] = &entry;

  std::string problems;
  std::set<std::string> expected;
  std::vector<std::pair<const SafetensorsEntry*, const NamedState*>> matches;
  for (const NamedState& state : states) {
    const SafetensorsEntry* match = nullptr;
    for (const std::string& name : state.names) {
      const std::string file_name = options.rename ? options.rename(name) : name;
      expected.insert(file_name);
      const auto found = in_file.find(file_name);
      if (found != in_file.end() && !match) match = found->second;
    }
    if (!match) {
      if (options.strict) problems += fmt::format("\n  missing: {}", state.names.front());
      continue;
    }
    const Shape shape = options.from_pytorch ? pytorch_shape(state) : state.tensor.shape();
    if (match->info.shape != shape)
      problems += fmt::format("\n  {}: the file has shape {}, the module {}", match->name,
                              to_string(match->info.shape), to_string(shape));
    else if (match->info.dtype != state.tensor.dtype() &&
             !(is_floating(match->info.dtype) && is_floating(state.tensor.dtype())))
      problems += fmt::format("\n  {}: the file has {}, the module {}", match->name,
                              to_string(match->info.dtype), to_string(state.tensor.dtype()));
    matches.emplace_back(match, &state);
  }
  if (options.strict)
    for (const auto& [name, entry] : in_file)
      if (!expected.contains(name) && !name.ends_with("num_batches_tracked"))
        problems += fmt::format("\n  unexpected: {}", name);
  if (!problems.empty())
    throw UserError(fmt::format(
        "{}: does not fit the module{}:{}", path,
        options.from_pytorch ? "" : " (a file of PyTorch's needs .from_pytorch = true)", problems));

  const NoGrad no_grad;
  std::vector<Copy> copies;
  for (const auto& [entry, state] : matches) {
    Tensor value = read_safetensors(path, *entry);
    if (options.from_pytorch)
      value = from_pytorch(std::move(value), *state, flattened_channels(options.flattened, *state));
    copies.push_back({std::move(value), state->tensor});
  }
  copy_values(std::move(copies));
}

void save(Module& module, const std::string& path, SaveOptions options) {
  if (is_dry_run()) throw UserError("nn::save: a dry run has no values to save");
  const std::vector<NamedState> states = named_state(module);
  check_flattened(options.flattened, states);
  const NoGrad no_grad;
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const NamedState& state : states) {
    Tensor value = state.tensor;
    if (options.to_pytorch)
      value = to_pytorch(std::move(value), state, flattened_channels(options.flattened, state));
    tensors.emplace_back(state.names.front(), std::move(value));
  }
  if (options.to_pytorch)
    write_safetensors(path, tensors, {{"format", "pt"}});
  else
    write_safetensors(path, tensors, {{kLayoutKey, kOurLayout}});
}

}  // namespace reprise::nn
