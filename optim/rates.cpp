#include "reprise/optim/rates.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/core/error.h"

namespace reprise::optim {

void check_rate(std::string_view owner, std::string_view setting, double value) {
  if (std::isfinite(value) && value >= 0.0) return;
  throw UserError(
      fmt::format("{}: {} = {} must be a finite number that is not negative", owner, setting, value));
}

}  // namespace reprise::optim
