#include "reprise/nn/eval_mode.h"

namespace reprise::nn {

EvalMode::EvalMode(Module& module) {
  before_.emplace_back(&module, module.training_);
  walk(module,
       {.module = [&](std::string_view, Module& part) { before_.emplace_back(&part, part.training_); }});
  for (const auto& [part, mode] : before_) part->training_ = false;
}

EvalMode::~EvalMode() {
  for (auto entry = before_.rbegin(); entry != before_.rend(); ++entry)
    entry->first->training_ = entry->second;
}

}  // namespace reprise::nn
