#include "reprise/checkpoint/policy.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "reprise/core/policy_watch.h"

namespace reprise::checkpoint {

Policy Policy::full() { return {}; }

Policy Policy::none() {
  Policy policy;
  policy.makes_region_ = false;
  return policy;
}

Policy Policy::save_only(std::initializer_list<std::string_view> ops) {
  return custom([names = std::vector<std::string>(ops.begin(), ops.end())](const NodeInfo& node) {
    return std::find(names.begin(), names.end(), node.op) != names.end() ? Decision::keep
                                                                         : Decision::recompute;
  });
}

Policy Policy::recompute_cheap() {
  // A product over k elements does k / 2 for a byte of f32, GELU 4, layer norm 2.
  constexpr double kFlopsPerByte = 16;
  return custom([](const NodeInfo& node) {
    return node.flops >= kFlopsPerByte * static_cast<double>(node.bytes) ? Decision::keep
                                                                         : Decision::recompute;
  });
}

Policy Policy::offload() {
  return custom([](const NodeInfo&) { return Decision::offload; });
}

Policy Policy::watched_by(std::shared_ptr<PolicyWatch> watch) const {
  Policy policy = *this;
  policy.watch_ = std::move(watch);
  return policy;
}

void Policy::note_use() const {
  if (watch_) watch_->used = true;
}

Policy Policy::custom(Function decide) {
  Policy policy;
  policy.function_ = std::make_shared<const Function>(std::move(decide));
  return policy;
}

}  // namespace reprise::checkpoint
