#include "reprise/nn/module.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>
#include <unordered_set>

#include "reprise/autograd/op.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/unlisted.h"
#include "reprise/nn/state.h"
#include "reprise/ops/statistics.h"

namespace reprise::nn {
namespace {

// A parameter keeps the longest name it was given: model.fc's own list would call "fc.weight" just "weight".
void give_name(const Tensor& tensor, const std::string& name) {
  const std::string_view known = tensor.name();
  if (known == name || known.ends_with("." + name)) return;
  tensor.set_name(name);
}

bool same_value(const Tensor& a, const Tensor& b) {
  if (a.impl() == b.impl()) return true;
  const NoGrad no_grad;
  return same_bytes(a.to(Device::cpu()), b.to(Device::cpu()));
}

template <class Convert>
void replace_all(Module& module, const char* call, Convert convert) {
  if (is_dry_run())
    throw UserError(fmt::format("{}: a dry run leaves no trace; move the module before it", call));
  const memory::TagScope tag(memory::Tag::parameter);
  const NoGrad no_grad;
  // All new contents are made before any is put in place, so that a failure changes nothing.
  std::vector<std::pair<Tensor, Tensor>> changes;
  for (const NamedState& state : named_state(module)) {
    Tensor value = convert(state);
    if (value.impl()->storage == state.tensor.impl()->storage) continue;
    if (value.impl()->storage->tag != memory::Tag::parameter)
      retag(*value.impl()->storage, memory::Tag::parameter);
    changes.emplace_back(state.tensor, std::move(value));
  }
  for (const auto& [tensor, value] : changes) replace_contents(tensor, value);
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> Module::named_parameters() {
  std::vector<std::pair<std::string, Tensor>> list;
  for (const NamedState& state : named_state(*this)) {
    if (state.buffer) continue;
    if (!state.tensor.is_leaf())
      throw UserError(
          fmt::format("parameter {}: it is the result of an op and cannot be trained; make it with a "
                      "factory, or detach() it",
                      state.names.front()));
    list.emplace_back(state.names.front(), state.tensor);
  }
  for (const auto& [name, tensor] : list) give_name(tensor, name);
  return list;
}

std::vector<Tensor> Module::parameters() {
  std::vector<Tensor> list;
  for (auto& [name, tensor] : named_parameters()) list.push_back(std::move(tensor));
  return list;
}

std::vector<std::pair<std::string, Tensor>> Module::named_buffers() {
  std::vector<std::pair<std::string, Tensor>> list;
  for (const NamedState& state : named_state(*this))
    if (state.buffer) list.emplace_back(state.names.front(), state.tensor);
  return list;
}

std::int64_t Module::parameter_count() {
  std::int64_t count = 0;
  for (const NamedState& state : named_state(*this))
    if (!state.buffer) count += state.tensor.numel();
  return count;
}

void Module::train(bool mode) {
  training_ = mode;
  walk(*this, {.module = [mode](std::string_view, Module& module) { module.training_ = mode; }});
}

bool Module::trains(const char* layer) {
  if (!training_ || met_ || is_dry_run()) return training_;
  if (const TapeState* tape = recording_tape()) unmet_call_ = note_unmet_call(layer, tape->life, unmet_call_);
  return training_;
}

void Module::to(Device device) {
  replace_all(*this, "Module::to(Device)",
              [device](const NamedState& state) { return state.tensor.to(device); });
}

void Module::to(DType dtype) {
  if (!is_floating(dtype))
    throw UserError(
        fmt::format("Module::to(DType): {} carries no gradient; give a floating dtype", to_string(dtype)));
  std::unordered_map<const TensorImpl*, DType> others;  // parameters of modules that ask for another dtype
  const auto ask = [&](Module& module) {
    const DType own = module.parameter_dtype(dtype);
    if (own == dtype) return;
    for (const NamedState& state : named_state(module)) others.emplace(state.tensor.impl().get(), own);
  };
  ask(*this);
  walk(*this, {.module = [&](std::string_view, Module& module) { ask(module); }});
  replace_all(*this, "Module::to(DType)", [&](const NamedState& state) {
    if (!is_floating(state.tensor.dtype())) return state.tensor;
    if (state.buffer) return state.tensor.to(statistics_dtype(dtype));
    const auto other = others.find(state.tensor.impl().get());
    return state.tensor.to(other == others.end() ? dtype : other->second);
  });
}

void copy_parameters(Module& from, Module& to) {
  std::map<std::string, Tensor> values;
  for (const NamedState& state : named_state(from))
    for (const std::string& name : state.names) values.emplace(name, state.tensor);
  std::string problems;
  std::unordered_set<std::string> wanted;
  const std::vector<NamedState> targets = named_state(to);
  for (const NamedState& target : targets)
    for (const std::string& name : target.names) {
      wanted.insert(name);
      const auto found = values.find(name);
      if (found == values.end())
        problems += fmt::format("\n  {}: not in the module copied from", name);
      else if (found->second.shape() != target.tensor.shape())
        problems += fmt::format("\n  {}: shapes {} and {} differ", name, to_string(found->second.shape()),
                                to_string(target.tensor.shape()));
    }
  for (const auto& [name, value] : values)
    if (!wanted.contains(name)) problems += fmt::format("\n  {}: not in the module copied to", name);
  if (!problems.empty()) throw UserError("copy_parameters: the modules differ:" + problems);
  std::vector<Copy> copies;
  for (const NamedState& target : targets) {
    const Tensor& value = values.at(target.names.front());
    for (const std::string& name : target.names)
      if (const Tensor& other = values.at(name); !is_dry_run() && !same_value(value, other))
        throw UserError(
            fmt::format("copy_parameters: \"{}\" and \"{}\" are one tied weight in the module copied to, but "
                        "have two values",
                        target.names.front(), name));
    copies.push_back({value, target.tensor});
  }
  copy_values(std::move(copies));
}

void freeze(Module& module, bool frozen) {
  for (const auto& [name, tensor] : module.named_parameters()) tensor.set_requires_grad(!frozen);
}

}  // namespace reprise::nn
