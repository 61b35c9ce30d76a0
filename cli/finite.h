#pragma once
// Losses and weights that are no numbers any more.
#include <string>

#include "reprise/nn/module.h"

namespace reprise::cli {

// The name of the first parameter or buffer that holds NaN or infinity; empty if all are finite.
std::string first_not_finite(nn::Module& module);

}  // namespace reprise::cli
