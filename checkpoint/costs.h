#pragma once
// What a node's forward costs, for planners: a model where nothing was measured.
#include "reprise/autograd/plan.h"

namespace reprise::checkpoint {

// Seconds by the roofline of a present two-core CPU: 200 GFLOP/s, 20 GB/s of operands read and results written, and
// half a microsecond for any op. Planners compare such numbers with each other only, so that their ratios matter.
double modelled_seconds(double flops, double bytes);

// Writes modelled_seconds into every node; views cost nothing.
void model_costs(Trace& trace);

}  // namespace reprise::checkpoint
