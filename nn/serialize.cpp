#include "reprise/nn/serialize.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
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

Shape pytorch_shape(const NamedState& state) {
  const Shape& shape = state.tensor.shape();
  if (state.buffer || shape.rank() != 4) return shape;
  return {shape[0], shape[3], shape[1], shape[2]};
}

// `channels` has a value if the weight reads a flattened image.
Tensor from_pytorch(Tensor value, const NamedState& state, std::optional<std::int64_t> channels) {
  if (channels) return reorder_columns(std::move(value), *channels, state.tensor.size(1) / *channels);
  if (state.buffer || value.shape().rank() != 4) return value;
  return permute(std::move(value), {0, 2, 3, 1});
}

Tensor to_pytorch(Tensor value, const NamedState& state, std::optional<std::int64_t> channels) {
  if (channels) return reorder_columns(std::move(value), state.tensor.size(1) / *channels, *channels);
  if (state.buffer || value.shape().rank() != 4) return value;
  return permute(std::move(value), {0, 3, 1, 2});
}

using Flattened = std::map<std::string, std::int64_t>;

std::optional<std::int64_t> flattened_channels(const Flattened& flattened, const NamedState& state) {
  for (const std::string& name : state.names)
    if (const auto found = flattened.find(name); found != flattened.end()) return found->second;
  return std::nullopt;
}

void check_flattened(const Flattened& flattened, const std::vector<NamedState>& states, bool pytorch,
                     const char* option) {
  for (const auto& [name, channels] : flattened) {
    const auto owner =
        std::find_if(states.begin(), states.end(), [&, &wanted = name](const NamedState& state) {
          return std::find(state.names.begin(), state.names.end(), wanted) != state.names.end();
        });
    if (owner == states.end())
      throw UserError(fmt::format("flattened names \"{}\", which the module does not have", name));
    const Shape& shape = owner->tensor.shape();
    if (owner->buffer || shape.rank() != 2 || channels < 1 || shape[1] % channels != 0)
      throw UserError(
          fmt::format("flattened: {} of shape {} cannot read a flattened image of {} channels: it must be a "
                      "linear weight "
                      "[out, in], and the channels, at least 1, divide in",
                      name, to_string(shape), channels));
    if (flattened_channels(flattened, *owner) != channels)
      throw UserError(
          fmt::format("flattened: \"{}\" is a tied weight with other channels under another name", name));
  }
  if (!flattened.empty() && !pytorch)
    throw UserError(fmt::format("flattened is for files in PyTorch's layout: give {} = true too", option));
}

// The file's entries for one parameter or buffer of the module. A tied weight may have several.
struct Match {
  const NamedState* state;
  std::vector<const SafetensorsEntry*> entries;
};

bool is_convolution(const NamedState& state) { return !state.buffer && state.tensor.shape().rank() == 4; }

// Matches a module's names with a file's, and lists all that does not fit.
class Matching {
 public:
  Matching(const SafetensorsHeader& header, const LoadOptions& options)
      : options_(options), ours_(is_ours(header)) {
    for (const SafetensorsEntry& entry : header.entries) entries_[entry.name] = &entry;
    for (const SafetensorsUnreadable& entry : header.unreadable) unreadable_[entry.name] = &entry;
  }

  static bool is_ours(const SafetensorsHeader& header) {
    const auto layout = header.metadata.find(kLayoutKey);
    return layout != header.metadata.end() && layout->second == kOurLayout;
  }

  void add(const NamedState& state) {
    Match match{&state, {}};
    for (const std::string& name : state.names) {
      const std::string file_name = options_.rename ? options_.rename(name) : name;
      if (!expected_.insert(file_name).second) continue;
      if (const auto found = entries_.find(file_name); found != entries_.end())
        match.entries.push_back(found->second);
      if (const auto found = unreadable_.find(file_name); found != unreadable_.end()) {
        problems_ += fmt::format("\n  {}: {}", file_name, found->second->reason);
        return;
      }
    }
    if (match.entries.empty()) {
      result.missing.push_back(state.names.front());
      return;
    }
    for (const SafetensorsEntry* entry : match.entries) check(*entry, state);
    result.loaded.push_back(state.names.front());
    matches.push_back(std::move(match));
  }

  // After the last add: UserError that lists the problems.
  void finish(const std::string& path) {
    for (const auto& [name, entry] : entries_) note_unexpected(name);
    for (const auto& [name, entry] : unreadable_) note_unexpected(name);
    const bool all = entries_.empty() && unreadable_.empty() && result.missing.empty();
    if (options_.strict) {
      for (const std::string& name : result.missing) problems_ += fmt::format("\n  missing: {}", name);
      for (const std::string& name : result.unexpected) problems_ += fmt::format("\n  unexpected: {}", name);
    }
    if (!problems_.empty())
      throw UserError(fmt::format("{}: does not fit the module{}:{}", path, hint(), problems_));
    if (matches.empty() && !all)
      throw UserError(fmt::format(
          "{}: nothing was loaded: the module {}, and the file {}: name the file's tensors with .rename",
          path, example("looks for", expected_.empty() ? "" : *expected_.begin()),
          example("has", result.unexpected.empty() ? "" : result.unexpected.front())));
  }

  std::vector<Match> matches;
  LoadResult result;

 private:
  static std::string example(const char* verb, const std::string& name) {
    return name.empty() ? fmt::format("{} nothing", verb) : fmt::format("{} \"{}\"", verb, name);
  }

  void note_unexpected(const std::string& name) {
    if (!expected_.contains(name) && !name.ends_with("num_batches_tracked"))
      result.unexpected.push_back(name);
  }

  void check(const SafetensorsEntry& entry, const NamedState& state) {
    const Tensor& tensor = state.tensor;
    const Shape shape = options_.from_pytorch ? pytorch_shape(state) : tensor.shape();
    if (entry.info.shape != shape) {
      problems_ += fmt::format("\n  {}: the file has shape {}, the module {}", entry.name,
                               to_string(entry.info.shape), to_string(shape));
      needs_pytorch_ = needs_pytorch_ || (!options_.from_pytorch && entry.info.shape == pytorch_shape(state));
    } else if (entry.info.dtype != tensor.dtype() &&
               !(is_floating(entry.info.dtype) && is_floating(tensor.dtype()))) {
      problems_ += fmt::format("\n  {}: the file has {}, the module {}", entry.name,
                               to_string(entry.info.dtype), to_string(tensor.dtype()));
    } else if (is_convolution(state) && !options_.from_pytorch && !ours_) {
      problems_ += fmt::format(
          "\n  {}: a convolution's weight, of a file whose metadata do not have \"{}\": \"{}\", as nn::save "
          "writes it",
          entry.name, kLayoutKey, kOurLayout);
      needs_pytorch_ = true;
    }
  }

  std::string hint() const {
    if (needs_pytorch_) return " (a file of PyTorch's needs .from_pytorch = true)";
    if (options_.strict && (!result.missing.empty() || !result.unexpected.empty()))
      return " (.strict = false leaves out what is missing or unexpected)";
    return "";
  }

  const LoadOptions& options_;
  const bool ours_;
  std::map<std::string, const SafetensorsEntry*> entries_;
  std::map<std::string, const SafetensorsUnreadable*> unreadable_;
  std::set<std::string> expected_;
  std::string problems_;
  bool needs_pytorch_ = false;
};

// In the dtype of the module's tensor. UserError if a tied weight has two values.
Tensor read_value(const std::string& path, const Match& match) {
  const DType dtype = match.state->tensor.dtype();
  const Tensor value = read_safetensors(path, *match.entries.front()).to(dtype);
  for (std::size_t i = 1; i < match.entries.size(); ++i) {
    const Tensor other = read_safetensors(path, *match.entries[i]).to(dtype);
    if (!same_bytes(value, other))
      throw UserError(
          fmt::format("{}: \"{}\" and \"{}\" are one tied weight in the module, but have two values", path,
                      match.entries.front()->name, match.entries[i]->name));
  }
  return value;
}

}  // namespace

LoadResult load(Module& module, const std::string& path, LoadOptions options) {
  if (is_dry_run()) throw UserError("nn::load: a dry run leaves no trace; load before it");
  const SafetensorsHeader header = read_safetensors_header(path);
  if (options.from_pytorch && Matching::is_ours(header))
    throw UserError(fmt::format(
        "{}: was written by nn::save in Reprise's own layout; load it without from_pytorch", path));
  const std::vector<NamedState> states = named_state(module);
  check_flattened(options.flattened, states, options.from_pytorch, "from_pytorch");
  Matching matching(header, options);
  for (const NamedState& state : states) matching.add(state);
  matching.finish(path);

  const NoGrad no_grad;
  std::vector<Copy> copies;
  for (const Match& match : matching.matches) {
    Tensor value = read_value(path, match);
    if (options.from_pytorch)
      value =
          from_pytorch(std::move(value), *match.state, flattened_channels(options.flattened, *match.state));
    copies.push_back({std::move(value), match.state->tensor});
  }
  copy_values(std::move(copies));
  return std::move(matching.result);
}

void save(Module& module, const std::string& path, SaveOptions options) {
  if (is_dry_run()) throw UserError("nn::save: a dry run has no values to save");
  const std::vector<NamedState> states = named_state(module);
  check_flattened(options.flattened, states, options.to_pytorch, "to_pytorch");
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
