#pragma once
// Evaluation mode for a scope:
//
//   {
//     const nn::EvalMode eval(net);
//     score = accuracy(net, test);
//   }  // each module has its own mode again, also when accuracy throws
//
// `net.train()` at the end would put every module into training mode, frozen layers in evaluation mode too.
#include <utility>
#include <vector>

#include "reprise/nn/module.h"

namespace reprise::nn {

// Puts a module and every module below it into evaluation mode. The destructor gives each of them the mode that it had.
// The modules must outlive the guard and must not move meanwhile.
class EvalMode {
 public:
  explicit EvalMode(Module& module);
  ~EvalMode();
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> before_;
};

}  // namespace reprise::nn
