#include "reprise/optim/adam.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/core/dry_run.h"
#include "reprise/optim/kernel_calls.h"
#include "reprise/optim/rates.h"

namespace reprise::optim {

AdamFamily::AdamFamily(const char* name, std::vector<ParamGroup> groups, AdamOptions options,
                       WeightDecay weight_decay)
    : Optimizer(name, std::move(groups), options.lr, options.weight_decay,
                {{.name = "m"}, {.name = "v", .never_negative = true}}),
      options_(options),
      weight_decay_kind_(weight_decay) {
  for (double beta : options.betas)
    if (!(beta >= 0.0 && beta < 1.0))
      throw UserError(fmt::format("{}: beta = {} is not in [0, 1)", name, beta));
  check_rate(name, "eps", options.eps);
  for (const Entry& entry : entries())
    adam_slot.find(kind_of(entry.parameter).first, kind_of(entry.parameter).second);
}

void AdamFamily::step() {
  if (is_dry_run()) return;
  std::map<ParameterKind, std::vector<AdamArgs>> lists;
  const std::vector<Update> list = updates();
  for (const auto& [entry, gradient] : list) {
    const auto t = static_cast<double>(entry->steps + 1);
    lists[kind_of(entry->parameter)].push_back({.parameter = view_of(entry->exact()),
                                                .rounded = rounded_view(entry->parameter),
                                                .gradient = const_view_of(gradient),
                                                .m = view_of(entry->memory[0]),
                                                .v = view_of(entry->memory[1]),
                                                .lr = lr_of(*entry),
                                                .beta1 = options_.betas[0],
                                                .beta2 = options_.betas[1],
                                                .eps = options_.eps,
                                                .weight_decay = weight_decay_of(*entry),
                                                .weight_decay_kind = weight_decay_kind_,
                                                .correction1 = 1.0 - std::pow(options_.betas[0], t),
                                                .correction2 = 1.0 - std::pow(options_.betas[1], t)});
  }
  run_updates(adam_slot, lists);
  count_steps(list);
}

Adam::Adam(std::vector<ParamGroup> groups, AdamOptions options)
    : AdamFamily("Adam", std::move(groups), options, WeightDecay::in_gradient) {}

Adam::Adam(std::vector<Tensor> parameters, AdamOptions options)
    : Adam(std::vector<ParamGroup>{{.parameters = std::move(parameters)}}, options) {}

}  // namespace reprise::optim
