#include "reprise/data/dataset.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise::data {

void check_indices(const char* dataset, std::span<const std::int64_t> indices, std::int64_t size) {
  for (std::int64_t index : indices)
    if (index < 0 || index >= size)
      throw UserError(fmt::format("{}: sample {} asked for; there are {}", dataset, index, size));
}

}  // namespace reprise::data
