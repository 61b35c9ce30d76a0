#pragma once
// What every optimizer shares: its parameters, its learning rate, its state in files.
//
// step() writes the parameters in place and bumps the version of their storages: a tape that recorded the old
// contents refuses to read the new. It skips parameters without a gradient. When it throws, nothing has changed. In a
// dry run it does nothing.
//
// A parameter of bf16 or f16 has a master in f32 here: steps, gradients and the optimizer's memory are f32, and the
// parameter is the master rounded. Where somebody else has written elements of the parameter (loaded weights, say), the
// master takes these over at the next step.
//
// A step is a UserError if a visit() lacks a parameter. The parameter got its gradient in the same backward as this
// optimizer's. No walk over modules (Module::parameters() and the like) and no optimizer has ever met it.
// A parameter without a gradient that nobody but the optimizer holds is a UserError at step() too. A module's weight was
// probably replaced after the optimizer was made.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reprise/core/tensor.h"
#include "reprise/optim/parameter_group.h"

namespace reprise::optim {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(Optimizer&&) noexcept = default;
  Optimizer& operator=(Optimizer&&) noexcept = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  virtual void step() = 0;

  // Releases the gradients, as PyTorch's set_to_none.
  void zero_grad();

  // The learning rate of every group without one of its own; of one group. UserError for a rate that is negative,
  // infinite or NaN, and for a group that does not exist.
  void set_lr(double lr);
  void set_lr(std::size_t group, double lr);
  double lr() const { return lr_; }

  std::vector<Tensor> parameters() const;

  // The state that a resumed run needs beside the options. For each parameter: "steps.NAME" (i64[1], how often it was
  // stepped), the optimizer's memory of it ("momentum.NAME", "m.NAME", "v.NAME") and its master, if it has one
  // ("master.NAME").
  // NAME is the parameter's name when the optimizer was made: Module::parameters() gives names. A parameter without a
  // name goes by its number in the order of the groups. The second parameter of one name gets "#2" after it, and so on.
  // Copies: safe to keep.
  NamedTensors state() const;
  // Copies the values in, matched by name, in any order. UserError that lists names, shapes and dtypes that differ, names
  // given twice, negative counts of steps, and memory that no step can have left (an infinity, NaN, or a negative v).
  // Then nothing has changed.
  void load_state(const NamedTensors& state);

 protected:
  // One kind of memory that the optimizer has of each parameter.
  struct Memory {
    std::string name;
    bool never_negative = false;
  };
  // One parameter and what the optimizer remembers of it.
  struct Entry {
    Tensor parameter;
    std::string name = {};  // in the state
    std::size_t group = 0;
    Tensor master;               // of a parameter of 16 bits; else undefined
    std::uint32_t rounded = 0;   // the version of the parameter's storage that is the master, rounded
    std::vector<Tensor> memory;  // shaped like the parameter, of gradient_dtype, one per Memory
    std::int64_t steps = 0;
    const Tensor& exact() const { return master.defined() ? master : parameter; }
  };
  // An entry that has a gradient.
  struct Update {
    Entry* entry;
    Tensor gradient;
  };

  // Allocates, for each parameter, its master and one tensor of zeros per Memory, under the tag optimizer. UserErrors:
  // no parameters, an undefined one, one that is no leaf or requires no gradient, one that is named twice. UserError too
  // for a setting that is negative, infinite or NaN.
  Optimizer(const char* name, std::vector<ParamGroup> groups, double lr, double weight_decay,
            std::vector<Memory> memories);

  // What step() works on, after every check that can fail.
  std::vector<Update> updates();
  // Afterwards: one more step of each, and a newer version of its parameter.
  static void count_steps(const std::vector<Update>& updates);
  const std::vector<Entry>& entries() const { return entries_; }
  double lr_of(const Entry& entry) const { return groups_[entry.group].lr.value_or(lr_); }
  double weight_decay_of(const Entry& entry) const {
    return groups_[entry.group].weight_decay.value_or(weight_decay_);
  }

 private:
  struct Group {
    std::optional<double> lr, weight_decay;
  };
  // A tensor to save and load.
  struct Kept {
    std::string name;
    Tensor tensor;
    bool never_negative = false;
  };
  std::vector<Kept> kept(const Entry& entry) const;
  void name_entries();
  void check_groups() const;
  static void follow_parameter(Entry& entry);

  const char* name_;
  std::vector<Entry> entries_;
  std::vector<Group> groups_;
  std::vector<Memory> memories_;
  double lr_;
  double weight_decay_;
};

}  // namespace reprise::optim
