#include "reprise/optim/sgd.h"

#include "reprise/core/dry_run.h"
#include "reprise/ops/sgd_update.h"
#include "reprise/optim/kernel_calls.h"
#include "reprise/optim/rates.h"

namespace reprise::optim {

SGD::SGD(std::vector<ParamGroup> groups, SGDOptions options)
    : Optimizer("SGD", std::move(groups), options.lr, options.weight_decay,
                options.momentum != 0.0 ? std::vector<Memory>{{.name = "momentum"}} : std::vector<Memory>{}),
      options_(options) {
  check_rate("SGD", "momentum", options.momentum);
  if (options.nesterov && options.momentum == 0.0) throw UserError("SGD: nesterov needs a momentum above 0");
  for (const Entry& entry : entries())
    sgd_slot.find(kind_of(entry.parameter).first, kind_of(entry.parameter).second);
}

SGD::SGD(std::vector<Tensor> parameters, SGDOptions options)
    : SGD(std::vector<ParamGroup>{{.parameters = std::move(parameters)}}, options) {}

void SGD::step() {
  if (is_dry_run()) return;
  std::map<ParameterKind, std::vector<SGDArgs>> lists;
  const std::vector<Update> list = updates();
  for (const auto& [entry, gradient] : list)
    lists[kind_of(entry->parameter)].push_back(
        {.parameter = view_of(entry->exact()),
         .rounded = rounded_view(entry->parameter),
         .gradient = const_view_of(gradient),
         .momentum_buffer = entry->memory.empty() ? View{} : view_of(entry->memory[0]),
         .lr = lr_of(*entry),
         .momentum = options_.momentum,
         .weight_decay = weight_decay_of(*entry),
         .nesterov = options_.nesterov,
         .first = entry->steps == 0});
  run_updates(sgd_slot, lists);
  count_steps(list);
}

}  // namespace reprise::optim
