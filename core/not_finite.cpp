#include "reprise/core/not_finite.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "reprise/core/device.h"
#include "reprise/core/storage.h"

namespace reprise {
namespace {

std::optional<NotFinite> find_on_cpu(const std::byte* data, DType dtype, std::int64_t count) {
  constexpr std::int64_t kPart = 4096;
  std::vector<double> part(static_cast<std::size_t>(std::min(count, kPart)));
  std::optional<NotFinite> infinite;
  for (std::int64_t first = 0; first < count; first += kPart) {
    const std::int64_t length = std::min(kPart, count - first);
    convert(data + static_cast<std::size_t>(first) * size_of(dtype), dtype, part.data(), DType::f64, length);
    for (std::int64_t i = 0; i < length; ++i) {
      const double value = part[static_cast<std::size_t>(i)];
      if (std::isnan(value)) return NotFinite{first + i, true};
      if (std::isinf(value) && !infinite) infinite = NotFinite{first + i, false};
    }
  }
  return infinite;
}

}  // namespace

std::optional<NotFinite> find_not_finite(const std::byte* data, const ValueInfo& info) {
  if (!data || !is_floating(info.dtype) || info.bytes() == 0) return {};
  if (info.device.kind == Device::CPU) return find_on_cpu(data, info.dtype, info.shape.numel());
  std::vector<std::byte> copy(info.bytes());
  services(info.device).copy(copy.data(), data, copy.size());
  return find_on_cpu(copy.data(), info.dtype, info.shape.numel());
}

}  // namespace reprise
