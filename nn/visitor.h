#pragma once
// How code walks over a module: the module names its parts to a Visitor, and every listing, loading, moving and
// counting is a visitor.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::nn {

class Module;

// What Module::visit is called with. Names are those of PyTorch's state_dict, without the parent's prefix:
//
//   void visit(nn::Visitor& visitor) override {
//     visitor("conv1", conv1);                    // a module
//     visitor("weight", weight);                  // a parameter; an undefined tensor is skipped
//     visitor("layers", layers);                  // a vector of modules: layers.0, layers.1, ...
//     visitor("downsample.0", down_conv);         // an optional module
//     visitor.buffer("running_mean", running_mean);  // state that no gradient trains
//   }
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void operator()(std::string_view name, Tensor& parameter) = 0;
  virtual void operator()(std::string_view name, Module& module) = 0;
  virtual void buffer(std::string_view name, Tensor& buffer) = 0;

  template <class M>
  requires std::is_base_of_v<Module, M>
  void operator()(std::string_view name, std::vector<M>& modules) {
    for (std::size_t i = 0; i < modules.size(); ++i)
      (*this)(std::string(name) + "." + std::to_string(i), static_cast<Module&>(modules[i]));
  }
  template <class M>
  requires std::is_base_of_v<Module, M>
  void operator()(std::string_view name, std::vector<std::unique_ptr<M>>& modules) {
    for (std::size_t i = 0; i < modules.size(); ++i)
      (*this)(std::string(name) + "." + std::to_string(i), static_cast<Module&>(*modules[i]));
  }
  template <class M>
  requires std::is_base_of_v<Module, M>
  void operator()(std::string_view name, std::optional<M>& module) {
    if (module) (*this)(name, static_cast<Module&>(*module));
  }
};

}  // namespace reprise::nn
