#pragma once
// The three passes of a convolution by oneDNN, on images [n, h, w, c] and weights [out, h, w, in] as the ops keep them.
// Where a pass is faster in a layout of oneDNN's own, operands are copied into it and back inside the workspace. Which way
// is taken depends on the shapes alone.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "reprise/cpu/convolution.h"
#include "reprise/cpu/dnnl_operation.h"

namespace reprise::cpu {

// One pass; operands: x, weight, y; dy, weight, dx; dy, x, dweight; then the bias or its gradient where there is one.
// Null where oneDNN has nothing faster than its reference loops and where an extent is 0.
std::shared_ptr<const DnnlOperation> convolution_primitive(const Convolution& convolution);

}  // namespace reprise::cpu
