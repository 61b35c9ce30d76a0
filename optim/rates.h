#pragma once
// Checks of the numbers that optimizers and schedules are given. Internal to optim.
#include <string_view>

namespace reprise::optim {

// UserError that names `owner` and `setting`, unless the value is a finite number of at least 0.
void check_rate(std::string_view owner, std::string_view setting, double value);

}  // namespace reprise::optim
