#pragma once
// Finds values that are NaN or infinite.
#include <cstddef>
#include <cstdint>
#include <optional>

#include "reprise/core/tensor.h"

namespace reprise {

struct NotFinite {
  std::int64_t element;  // in row-major order
  bool nan;              // else infinite
};

// The first element that is NaN, else the first that is infinite. `data` lies on info.device. Nothing is found in an
// integer dtype, without bytes, or without data.
std::optional<NotFinite> find_not_finite(const std::byte* data, const ValueInfo& info);

}  // namespace reprise
