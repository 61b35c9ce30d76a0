#pragma once
// Plans that no planner would make: random trees of regions, up to five deep, and random decisions.
#include <random>

#include "reprise/autograd/plan.h"

namespace reprise {

Plan random_plan(const Trace& trace, std::mt19937& random, int decisions);

}  // namespace reprise
