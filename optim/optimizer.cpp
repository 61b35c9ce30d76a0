#include "reprise/optim/optimizer.h"

#include <fmt/format.h>

#include <map>
#include <unordered_set>

#include "reprise/autograd/op.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/unlisted.h"
#include "reprise/ops/compare.h"
#include "reprise/ops/where.h"

namespace reprise::optim {
namespace {

// "blocks.0.weight f32[2, 3]"
std::string describe(const Tensor& parameter) {
  if (parameter.name().empty()) return to_string(parameter.info());
  return fmt::format("{} {}", parameter.name(), to_string(parameter.info()));
}

void check_parameter(const char* optimizer, const Tensor& parameter, std::size_t group) {
  if (!parameter.defined())
    throw UserError(fmt::format("{}: a parameter of group {} is undefined; list only tensors that exist",
                                optimizer, group));
  if (!parameter.is_leaf())
    throw UserError(
        fmt::format("{}: {} is the result of an op, not a leaf; give the optimizer what it was made from",
                    optimizer, describe(parameter)));
  if (!parameter.requires_grad())
    throw UserError(fmt::format("{}: {} requires no gradient; set_requires_grad(true), or leave it out",
                                optimizer, describe(parameter)));
}

// A parameter made in a dry run, or an optimizer made in one, has no values outside.
void check_has_values(const char* optimizer, const Tensor& parameter, const Tensor& master,
                      const std::vector<Tensor>& memory) {
  refuse_ended_dry_run(optimizer, "the parameter", parameter);
  refuse_ended_dry_run(optimizer, "the optimizer's master", master);
  for (const Tensor& kept : memory) refuse_ended_dry_run(optimizer, "the optimizer's memory", kept);
}

void copy_bytes_of(const Tensor& from, const Tensor& to) {
  refuse_ended_dry_run("optimizer", "the state", from);
  refuse_ended_dry_run("optimizer", "the state", to);
  if (to.bytes() > 0) services(to.device()).copy(to.impl()->data(), from.impl()->data(), to.bytes());
}

}  // namespace

Optimizer::Optimizer(const char* name, std::vector<ParamGroup> groups, double lr, double weight_decay,
                     std::vector<std::string> memory_names)
    : name_(name), memory_names_(std::move(memory_names)), lr_(lr), weight_decay_(weight_decay) {
  const memory::TagScope tag(memory::Tag::optimizer);
  std::unordered_set<const TensorImpl*> seen;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups_.push_back({groups[i].lr, groups[i].weight_decay});
    for (Tensor& parameter : groups[i].parameters) {
      check_parameter(name, parameter, i);
      if (!seen.insert(parameter.impl().get()).second)
        throw UserError(fmt::format("{}: {} is listed twice", name, describe(parameter)));
      mark_listed(parameter);
      Entry entry{.parameter = std::move(parameter), .group = i, .master = {}, .memory = {}};
      const ValueInfo& info = entry.parameter.info();
      for (std::size_t m = 0; m < memory_names_.size(); ++m)
        entry.memory.push_back(
            Tensor::zeros(info.shape, {.device = info.device, .dtype = gradient_dtype(info.dtype)}));
      if (is_half(info.dtype)) {
        const NoGrad no_grad;
        entry.master = entry.parameter.to(DType::f32);
        entry.rounded = entry.parameter.impl()->storage->version;
      }
      entries_.push_back(std::move(entry));
    }
  }
  if (entries_.empty()) throw UserError(fmt::format("{}: there are no parameters to train", name));
  for (const Entry& entry : entries_)
    if (!(lr_of(entry) >= 0.0) || !(weight_decay_of(entry) >= 0.0))
      throw UserError(fmt::format("{}: lr = {} and weight_decay = {} must not be negative", name,
                                  lr_of(entry), weight_decay_of(entry)));
}

void Optimizer::zero_grad() {
  for (const Entry& entry : entries_) set_gradient(*entry.parameter.impl(), {});
}

void Optimizer::set_lr(std::size_t group, double lr) {
  if (group >= groups_.size())
    throw UserError(fmt::format("{}: set_lr of group {}, there are {}", name_, group, groups_.size()));
  groups_[group].lr = lr;
}

std::vector<Optimizer::Update> Optimizer::updates() {
  if (!is_dry_run() && services(entries_[0].parameter.device()).step_capture() != StepCapture::none)
    throw CaptureError(fmt::format(
        "{}: step() in a step that is captured, whose learning rate and count of steps would never "
        "change; call it after CUDAGraph::replay()",
        name_));
  std::vector<Update> list;
  std::vector<std::uint64_t> walks;
  list.reserve(entries_.size());
  for (Entry& entry : entries_) {
    Tensor gradient = entry.parameter.grad();
    if (!gradient.defined()) continue;
    check_has_values(name_, entry.parameter, entry.master, entry.memory);
    ValueInfo exact = entry.parameter.info();
    exact.dtype = gradient_dtype(exact.dtype);
    if (gradient.info() != exact)
      throw UserError(fmt::format("{}: the gradient of {} is {}", name_, describe(entry.parameter),
                                  to_string(gradient.info())));
    for (const Tensor& memory : entry.memory)
      if (memory.info() != exact || entry.master.defined() != is_half(entry.parameter.dtype()))
        throw UserError(
            fmt::format("{}: {} was {} when the optimizer was made; make the optimizer after the module was "
                        "moved or converted",
                        name_, describe(entry.parameter), to_string(memory.info())));
    if (entry.master.defined() && entry.rounded != entry.parameter.impl()->storage->version)
      follow_parameter(entry);
    const std::uint64_t walk = entry.parameter.impl()->gradient_walk;
    if (walks.empty() || walks.back() != walk) walks.push_back(walk);
    list.push_back({&entry, std::move(gradient)});
  }
  if (const Tensor unlisted = find_unlisted(walks); unlisted.defined())
    throw UserError(
        fmt::format("{}: a parameter {} got a gradient in the same backward, but no module names it: add it "
                    "to the visit() of the "
                    "module that holds it, or give it to an optimizer",
                    name_, describe(unlisted)));
  return list;
}

void Optimizer::count_steps(const std::vector<Update>& updates) {
  for (const Update& update : updates) {
    update.entry->rounded = ++update.entry->parameter.impl()->storage->version;
    ++update.entry->steps;
  }
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> list;
  for (const Entry& entry : entries_) list.push_back(entry.parameter);
  return list;
}

// The elements that are not the master's any more, rounded, become the master's.
void Optimizer::follow_parameter(Entry& entry) {
  const NoGrad no_grad;
  const Tensor& parameter = entry.parameter;
  copy_bytes_of(where(equal(entry.master.to(parameter.dtype()), parameter), entry.master,
                      parameter.to(entry.master.dtype())),
                entry.master);
  entry.rounded = parameter.impl()->storage->version;
}

NamedTensors Optimizer::kept() const {
  NamedTensors list;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    for (std::size_t m = 0; m < memory_names_.size(); ++m)
      list.emplace_back(fmt::format("{}.{}", memory_names_[m], i), entries_[i].memory[m]);
    if (entries_[i].master.defined()) list.emplace_back(fmt::format("master.{}", i), entries_[i].master);
  }
  return list;
}

NamedTensors Optimizer::state() const {
  const memory::TagScope tag(memory::Tag::optimizer);
  NamedTensors state;
  std::vector<std::int64_t> steps;
  for (const Entry& entry : entries_) steps.push_back(entry.steps);
  state.emplace_back("steps",
                     Tensor::from(steps, {static_cast<std::int64_t>(steps.size())}, {.dtype = DType::i64}));
  for (const auto& [name, tensor] : kept()) {
    Tensor copy = Tensor::empty(tensor.shape(), {.device = tensor.device(), .dtype = tensor.dtype()});
    if (!is_dry_run()) copy_bytes_of(tensor, copy);
    state.emplace_back(name, std::move(copy));
  }
  return state;
}

void Optimizer::load_state(const NamedTensors& state) {
  if (is_dry_run()) throw UserError(fmt::format("{}: load_state in a dry run, which leaves no trace", name_));
  std::map<std::string, Tensor> given(state.begin(), state.end());
  std::string problems;
  auto take = [&](const std::string& name, const ValueInfo& expected) {
    auto node = given.extract(name);
    if (node.empty()) {
      problems += fmt::format("\n  missing: {}", name);
      return Tensor();
    }
    const ValueInfo& info = node.mapped().info();
    if (info.shape != expected.shape || info.dtype != expected.dtype)
      problems += fmt::format("\n  {}: given {}, expected {}", name, to_string(info), to_string(expected));
    return node.mapped();
  };
  const Tensor steps =
      take("steps", {{static_cast<std::int64_t>(entries_.size())}, DType::i64, Device::cpu()});
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const auto& [name, tensor] : kept()) copies.emplace_back(take(name, tensor.info()), tensor);
  for (const auto& [name, tensor] : given) problems += fmt::format("\n  unexpected: {}", name);
  if (!problems.empty())
    throw UserError(fmt::format("{}: the state does not fit these parameters:{}", name_, problems));

  const auto counts = steps.read<std::int64_t>();
  for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].steps = counts[i];
  for (const auto& [from, to] : copies) copy_bytes_of(from, to);
}

}  // namespace reprise::optim
