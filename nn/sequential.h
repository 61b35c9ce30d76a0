#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reprise/nn/module.h"

namespace reprise::nn {

// Modules, free functions and lambdas from Tensor to Tensor, one after the other. Parts are named by their number, as
// in PyTorch: "0.weight", "2.weight".
class Sequential : public Module {
 public:
  template <class... M>
  explicit Sequential(M... parts) {
    parts_.reserve(sizeof...(parts));
    (parts_.push_back(std::make_unique<Is<M>>(std::move(parts))), ...);
  }

  Tensor operator()(Tensor x) {
    for (const auto& part : parts_) x = part->call(std::move(x));
    return x;
  }
  void visit(Visitor& visitor) override {
    for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i]->visit(std::to_string(i), visitor);
  }

  template <class M>
  void push_back(M part) {
    parts_.push_back(std::make_unique<Is<M>>(std::move(part)));
  }
  std::size_t size() const { return parts_.size(); }
  // One part alone. UserError out of range.
  Tensor call(std::size_t part, Tensor x);
  // The part as a module; null for a function.
  Module* module(std::size_t part);

 private:
  struct Part {
    virtual ~Part() = default;
    virtual Tensor call(Tensor x) = 0;
    virtual void visit(std::string_view name, Visitor& visitor) = 0;
    virtual Module* module() = 0;
  };
  template <class M>
  struct Is final : Part {
    M part;
    explicit Is(M&& m) : part(std::move(m)) {}
    Tensor call(Tensor x) override { return part(std::move(x)); }
    void visit(std::string_view name, Visitor& visitor) override {
      if (Module* m = module()) visitor(name, *m);
    }
    Module* module() override {
      if constexpr (std::is_base_of_v<Module, M>)
        return &part;
      else
        return nullptr;
    }
  };
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace reprise::nn
