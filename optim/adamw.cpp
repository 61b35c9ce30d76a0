#include "reprise/optim/adamw.h"

namespace reprise::optim {

AdamW::AdamW(std::vector<ParamGroup> groups, AdamWOptions options)
    : AdamFamily("AdamW", std::move(groups),
                 {.lr = options.lr,
                  .betas = options.betas,
                  .eps = options.eps,
                  .weight_decay = options.weight_decay},
                 WeightDecay::decoupled) {}

AdamW::AdamW(std::vector<Tensor> parameters, AdamWOptions options)
    : AdamW(std::vector<ParamGroup>{{.parameters = std::move(parameters)}}, options) {}

}  // namespace reprise::optim
