#include "reprise/nn/walk.h"

#include <unordered_map>

#include "reprise/core/unlisted.h"
#include "reprise/nn/module.h"

namespace reprise::nn {
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
  Walker walker(functions);
  root.visit(walker);
}

std::vector<NamedState> named_state(Module& root) {
  std::vector<NamedState> list;
  std::unordered_map<const TensorImpl*, std::size_t> places;
  auto add = [&](std::string_view name, Tensor& tensor, bool buffer) {
    const auto [place, added] = places.emplace(tensor.impl().get(), list.size());
    if (added) list.push_back({{}, tensor, buffer});
    list[place->second].names.emplace_back(name);
  };
  walk(root, {.parameter = [&](std::string_view name, Tensor& tensor) { add(name, tensor, false); },
              .buffer = [&](std::string_view name, Tensor& tensor) { add(name, tensor, true); }});
  return list;
}

}  // namespace reprise::nn
