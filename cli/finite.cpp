#include "reprise/cli/finite.h"

#include "reprise/core/not_finite.h"

namespace reprise::cli {

std::string first_not_finite(nn::Module& module) {
  for (const auto& tensors : {module.named_parameters(), module.named_buffers()})
    for (const auto& [name, tensor] : tensors)
      if (find_not_finite(tensor.impl()->data(), tensor.info())) return name;
  return {};
}

}  // namespace reprise::cli
