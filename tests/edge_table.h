#pragma once
// The table of docs/edge_cases.md: what each op does with NaN, infinity, no elements, ties and indices out of range. The op
// cases, run with the plain kernels in f64, give the answers.
#include <string>

namespace reprise::test {

std::string edge_table();

}  // namespace reprise::test
