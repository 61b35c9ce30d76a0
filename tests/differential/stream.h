#pragma once
// The stream that against_pytorch.py reads: for each case one line of JSON, then the bytes of its tensors.
#include <cstdint>
#include <ostream>

#include "reprise/tests/differential/case_run.h"

namespace reprise::test::differential {

// {"case", "op", "dtype", "values", "kernels", "threads", "options", "differentiated", "requires_grad",
//  "tensors": [[name, dtype, shape], ..]}
// Names: input0.., dy, direction0.., output0.., gradient0.., second0.., second_dy. An undefined one is missing.
void write(std::ostream& out, std::uint64_t number, const CaseRun& run);

}  // namespace reprise::test::differential
