#include "reprise/cli/finite.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/core/dtype.h"
#include "reprise/core/tensor.h"

namespace reprise::cli {
namespace {

bool is_finite(const Tensor& tensor) {
  if (!is_floating(tensor.dtype())) return true;
  constexpr std::int64_t kPart = 4096;
  const Tensor host = tensor.detach().to(Device::cpu());
  const std::byte* bytes = host.impl()->data();
  std::vector<double> part(static_cast<std::size_t>(std::min(host.numel(), kPart)));
  for (std::int64_t first = 0; first < host.numel(); first += kPart) {
    const std::int64_t count = std::min(kPart, host.numel() - first);
    convert(bytes + static_cast<std::size_t>(first) * size_of(host.dtype()), host.dtype(), part.data(),
            DType::f64, count);
    if (!std::all_of(part.begin(), part.begin() + count, [](double value) { return std::isfinite(value); }))
      return false;
  }
  return true;
}

}  // namespace

std::string first_not_finite(nn::Module& module) {
  for (const auto& tensors : {module.named_parameters(), module.named_buffers()})
    for (const auto& [name, tensor] : tensors)
      if (!is_finite(tensor)) return name;
  return {};
}

}  // namespace reprise::cli
