#pragma once
// A module: parameters, buffers and other modules, which it names in visit(). It defines operator() with whatever
// arguments it likes; only visit() is virtual.
//
//   struct Mlp : nn::Module {
//     nn::Linear in{784, 128}, out{128, 10};
//     Tensor operator()(Tensor x) { return out(relu(in(std::move(x)))); }
//     void visit(nn::Visitor& visitor) override {
//       visitor("in", in);
//       visitor("out", out);
//     }
//   };
//
// Modules are move-only: a copy would share its parameters. copy_parameters() copies values between two of a kind.
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reprise/core/tensor.h"
#include "reprise/nn/visitor.h"
#include "reprise/nn/walk.h"

namespace reprise::nn {

class Module;
// A walk has come to this module.
void mark_met(Module& module);

class Module {
 public:
  virtual ~Module() = default;
  virtual void visit(Visitor& visitor) = 0;
  // The dtype of this module's own parameters when the network is converted to `network`. Norms stay f32 (or f64).
  virtual DType parameter_dtype(DType network) const { return network; }

  Module() = default;
  Module(Module&&) noexcept = default;
  Module& operator=(Module&&) noexcept = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // All below, in the order of visit(); a tied weight once, under its first name. Listing them names the tensors
  // ("layer1.0.conv1.weight" in error messages). UserError for a parameter that is the result of an op.
  std::vector<Tensor> parameters();
  std::vector<std::pair<std::string, Tensor>> named_parameters();
  std::vector<std::pair<std::string, Tensor>> named_buffers();
  std::int64_t parameter_count();  // elements, trained or frozen

  // The mode of this module and all below it: dropout and batch norm do something else in evaluation. Modules begin
  // in training mode. For evaluation in the middle of training, see nn/eval_mode.h.
  void train(bool mode = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  // Moves or converts the parameters and buffers in place: optimizers and tied layers go on seeing them. Gradients
  // are released. to(DType) converts floating ones; for bf16 and f16, buffers (they are statistics) and the parameters of
  // norms stay f32.
  // Make optimizers afterwards, so that their state has the same kind. UserError in a dry run.
  // UserError from Tape::backward if the forward pass was recorded before the conversion.
  void to(Device device);
  void to(DType dtype);

 protected:
  // training(), for a call that does something else in training. If no walk has met this module yet, train() and eval() do
  // not reach it, probably because a visit() does not name it. A call that a tape records then makes the optimizer's next
  // step a UserError that names `layer`.
  bool trains(const char* layer);

 private:
  friend class EvalMode;
  friend void mark_met(Module& module);
  bool training_ = true;
  bool met_ = false;              // by a walk
  std::uint64_t unmet_call_ = 0;  // core/unlisted.h; 0: none
};

// A module that has nothing to visit, such as an activation.
struct Stateless : Module {
  void visit(Visitor&) override {}
};

// Copies the values of all parameters and buffers, converting dtype and device; both modules must have the same
// names and shapes (UserError that lists the differences). `to` keeps its own storage, so its optimizer goes on.
void copy_parameters(Module& from, Module& to);

// Parameters of a frozen module get no gradient, and layers keep no input for them.
void freeze(Module& module, bool frozen = true);

// Calls f(name, module) for every M below root.
template <std::derived_from<Module> M>
void for_each(Module& root, const std::function<void(std::string_view, M&)>& f) {
  walk(root, {.module = [&](std::string_view name, Module& module) {
         if (auto* found = dynamic_cast<M*>(&module)) f(name, *found);
       }});
}

}  // namespace reprise::nn
