#pragma once
// The walks over a module that everything else is made of. Names are whole: "layer1.0.conv1.weight".
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/core/tensor.h"
#include "reprise/nn/visitor.h"

namespace reprise::nn {

// Everything below a module, in the order in which visit() names it. A tied tensor comes once for each name;
// undefined tensors do not come.
struct Walk {
  std::function<void(std::string_view name, Tensor&)> parameter = {};
  std::function<void(std::string_view name, Tensor&)> buffer = {};
  std::function<void(std::string_view name, Module&)> module = {};  // before what lies below it
};
void walk(Module& root, const Walk& functions);

// A parameter or a buffer with every name that it goes by: more than one where a weight is tied.
struct NamedState {
  std::vector<std::string> names;  // in the order of the walk
  Tensor tensor;
  bool buffer = false;
};
// UserError if two parameters or buffers have one name: visit() gives two children the same name.
std::vector<NamedState> named_state(Module& root);

}  // namespace reprise::nn
