#include "reprise/nn/walk.h"

#include <fmt/format.h>

#include <unordered_map>

#include "reprise/core/unlisted.h"
#include "reprise/nn/module.h"

namespace reprise::nn {

void mark_met(Module& module) {
  if (module.unmet_call_ != 0) forget_unmet_call(module.unmet_call_);
  module.unmet_call_ = 0;
  module.met_ = true;
}

namespace {

class Walker final : public Visitor {
 public:
  explicit Walker(const Walk& functions) : functions_(functions) {}

  using Visitor::operator();
  void operator()(std::string_view name, Tensor& parameter) override {
    if (!parameter.defined()) return;
    mark_listed(parameter);
    if (functions_.parameter) functions_.parameter(prefix_ + std::string(name), parameter);
  }
  void operator()(std::string_view name, Module& module) override {
    mark_met(module);
    const std::size_t length = prefix_.size();
    prefix_ += name;
    if (functions_.module) functions_.module(prefix_, module);
    prefix_ += '.';
    module.visit(*this);
    prefix_.resize(length);
  }
  void buffer(std::string_view name, Tensor& buffer) override {
    if (functions_.buffer && buffer.defined()) functions_.buffer(prefix_ + std::string(name), buffer);
  }

 private:
  const Walk& functions_;
  std::string prefix_;
};

}  // namespace

void walk(Module& root, const Walk& functions) {
  mark_met(root);
  Walker walker(functions);
  root.visit(walker);
}

std::vector<NamedState> named_state(Module& root) {
  std::vector<NamedState> list;
  std::unordered_map<const TensorImpl*, std::size_t> places;
  std::unordered_map<std::string, const TensorImpl*> owners;
  auto add = [&](std::string_view name, Tensor& tensor, bool buffer) {
    const TensorImpl* impl = tensor.impl().get();
    const auto [owner, first_of_name] = owners.emplace(name, impl);
    if (owner->second != impl)
      throw UserError(
          fmt::format("module: two parameters or buffers are named \"{}\": visit() must give each child a "
                      "name of its own",
                      name));
    const auto [place, added] = places.emplace(impl, list.size());
    if (added) list.push_back({{}, tensor, buffer});
    if (first_of_name) list[place->second].names.emplace_back(name);
  };
  walk(root, {.parameter = [&](std::string_view name, Tensor& tensor) { add(name, tensor, false); },
              .buffer = [&](std::string_view name, Tensor& tensor) { add(name, tensor, true); }});
  return list;
}

}  // namespace reprise::nn
