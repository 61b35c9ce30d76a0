#include "reprise/optim/optimizer.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>
#include <unordered_set>

#include "reprise/autograd/op.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/policy_watch.h"
#include "reprise/core/unlisted.h"
#include "reprise/ops/compare.h"
#include "reprise/ops/where.h"
#include "reprise/optim/rates.h"

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

// Mistakes in the model that show when it trains: these walks of backward gave the gradients.
void check_model(const char* name, const std::vector<std::uint64_t>& walks) {
  if (const Tensor unlisted = find_unlisted(walks); unlisted.defined())
    throw UserError(
        fmt::format("{}: a parameter {} got a gradient in the same backward, but no module names it: add it "
                    "to the visit() of the module that holds it, or give it to an optimizer",
                    name, describe(unlisted)));
  if (const std::optional<std::string> block = take_unused_policy(walks))
    throw UserError(
        fmt::format("{}: enable_checkpointing gave the block \"{}\" a policy, but the block ran without it: "
                    "its operator() must call checkpoint::run(policy, ...)",
                    name, *block));
  if (const char* layer = take_unmet_call(walks))
    throw UserError(fmt::format(
        "{}: an {} ran in training mode, but no module names it, so train() and eval() do not reach it: add "
        "it to the visit() of the module that holds it, or call its own train()",
        name, layer));
}

// A module still holds its parameters.
void check_held(const char* name, const Tensor& parameter) {
  if (parameter.impl().unique())
    throw UserError(fmt::format(
        "{}: {} has no gradient, and nobody but the optimizer holds it: a weight was replaced after "
        "the optimizer was made, or its module is gone; make the optimizer anew",
        name, describe(parameter)));
}

void copy_bytes_of(const Tensor& from, const Tensor& to) {
  refuse_ended_dry_run("optimizer", "the state", from);
  refuse_ended_dry_run("optimizer", "the state", to);
  if (to.bytes() > 0) services(to.device()).copy(to.impl()->data(), from.impl()->data(), to.bytes());
}

std::string steps_name(const std::string& parameter) { return "steps." + parameter; }

// The first value that no step can have left in an optimizer's memory.
template <class T>
std::optional<double> find_impossible(const Tensor& on_cpu, bool never_negative) {
  for (const T value : on_cpu.read<T>())
    if (!std::isfinite(value) || (never_negative && value < T{0})) return static_cast<double>(value);
  return std::nullopt;
}

// A state that is being loaded: what is taken from it by name, and all that is wrong with it.
class GivenState {
 public:
  explicit GivenState(const NamedTensors& state) {
    for (const auto& [name, tensor] : state)
      if (!given_.emplace(name, tensor).second) problems_ += fmt::format("\n  given twice: {}", name);
  }

  // On the device of `expected`; undefined if there is a problem.
  Tensor take(const std::string& name, const ValueInfo& expected, bool never_negative) {
    Tensor tensor = take_any(name, expected);
    if (!tensor.defined()) return tensor;
    const Tensor on_cpu = tensor.to(Device::cpu());
    const std::optional<double> bad = expected.dtype == DType::f64
                                          ? find_impossible<double>(on_cpu, never_negative)
                                          : find_impossible<float>(on_cpu, never_negative);
    if (bad) problems_ += fmt::format("\n  {}: holds {}, which no step leaves", name, *bad);
    return tensor.device() == expected.device ? tensor : tensor.to(expected.device);
  }

  std::int64_t take_count(const std::string& name) {
    const Tensor tensor = take_any(name, {{1}, DType::i64, Device::cpu()});
    if (!tensor.defined()) return 0;
    const std::int64_t count = tensor.to(Device::cpu()).read<std::int64_t>()[0];
    if (count < 0 || count == std::numeric_limits<std::int64_t>::max())
      problems_ += fmt::format("\n  {}: {} is no count of steps", name, count);
    return count;
  }

  // One line for each, with what nobody took; empty if all is well.
  std::string problems() const {
    std::string all = problems_;
    for (const auto& [name, tensor] : given_) all += fmt::format("\n  unexpected: {}", name);
    return all;
  }

 private:
  Tensor take_any(const std::string& name, const ValueInfo& expected) {
    auto node = given_.extract(name);
    if (node.empty()) {
      problems_ += fmt::format("\n  missing: {}", name);
      return {};
    }
    const Tensor& tensor = node.mapped();
    if (!tensor.defined()) {
      problems_ += fmt::format("\n  {}: undefined", name);
      return {};
    }
    const ValueInfo& info = tensor.info();
    if (info.shape == expected.shape && info.dtype == expected.dtype) return tensor;
    problems_ += fmt::format("\n  {}: given {}, expected {}", name, to_string(info), to_string(expected));
    return {};
  }

  std::map<std::string, Tensor> given_;
  std::string problems_;
};

}  // namespace

Optimizer::Optimizer(const char* name, std::vector<ParamGroup> groups, double lr, double weight_decay,
                     std::vector<Memory> memories)
    : name_(name), memories_(std::move(memories)), lr_(lr), weight_decay_(weight_decay) {
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
      for (std::size_t m = 0; m < memories_.size(); ++m)
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
  check_groups();
  name_entries();
}

void Optimizer::check_groups() const {
  check_rate(name_, "lr", lr_);
  check_rate(name_, "weight_decay", weight_decay_);
  for (const Group& group : groups_) {
    check_rate(name_, "lr", group.lr.value_or(lr_));
    check_rate(name_, "weight_decay", group.weight_decay.value_or(weight_decay_));
  }
}

void Optimizer::name_entries() {
  std::unordered_set<std::string> taken;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string own(entries_[i].parameter.name());
    const std::string base = own.empty() ? std::to_string(i) : own;
    std::string name = base;
    for (int number = 2; !taken.insert(name).second; ++number) name = fmt::format("{}#{}", base, number);
    entries_[i].name = std::move(name);
  }
}

void Optimizer::zero_grad() {
  for (const Entry& entry : entries_) set_gradient(*entry.parameter.impl(), {});
}

void Optimizer::set_lr(double lr) {
  check_rate(name_, "lr", lr);
  lr_ = lr;
}

void Optimizer::set_lr(std::size_t group, double lr) {
  check_rate(name_, "lr", lr);
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
    if (!gradient.defined()) {
      check_held(name_, entry.parameter);
      continue;
    }
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
  check_model(name_, walks);
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

std::vector<Optimizer::Kept> Optimizer::kept(const Entry& entry) const {
  std::vector<Kept> list;
  for (std::size_t m = 0; m < memories_.size(); ++m)
    list.push_back(
        {fmt::format("{}.{}", memories_[m].name, entry.name), entry.memory[m], memories_[m].never_negative});
  if (entry.master.defined()) list.push_back({fmt::format("master.{}", entry.name), entry.master});
  return list;
}

NamedTensors Optimizer::state() const {
  const memory::TagScope tag(memory::Tag::optimizer);
  NamedTensors state;
  for (const Entry& entry : entries_) {
    state.emplace_back(steps_name(entry.name),
                       Tensor::from(std::vector<std::int64_t>{entry.steps}, {1}, {.dtype = DType::i64}));
    for (const Kept& part : kept(entry)) {
      const ValueInfo& info = part.tensor.info();
      Tensor copy = Tensor::empty(info.shape, {.device = info.device, .dtype = info.dtype});
      if (!is_dry_run()) copy_bytes_of(part.tensor, copy);
      state.emplace_back(part.name, std::move(copy));
    }
  }
  return state;
}

void Optimizer::load_state(const NamedTensors& state) {
  if (is_dry_run()) throw UserError(fmt::format("{}: load_state in a dry run, which leaves no trace", name_));
  const NoGrad no_grad;
  GivenState given(state);
  std::vector<std::int64_t> counts;
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const Entry& entry : entries_) {
    counts.push_back(given.take_count(steps_name(entry.name)));
    for (const Kept& part : kept(entry))
      copies.emplace_back(given.take(part.name, part.tensor.info(), part.never_negative), part.tensor);
  }
  if (const std::string problems = given.problems(); !problems.empty())
    throw UserError(fmt::format("{}: the state does not fit these parameters:{}", name_, problems));
  for (const auto& [from, to] : copies) refuse_ended_dry_run(name_, "the optimizer's memory", to);
  for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].steps = counts[i];
  for (const auto& [from, to] : copies) copy_bytes_of(from, to);
}

}  // namespace reprise::optim
