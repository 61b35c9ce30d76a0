#pragma once
// A tensor's elements where the CPU can read them. Internal to core.
#include <cstddef>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise {

// In place on the CPU, else copied into `copy`. UserError for a tensor of a dry run.
const std::byte* host_bytes(const Tensor& tensor, std::vector<std::byte>& copy);

}  // namespace reprise
