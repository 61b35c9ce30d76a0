#pragma once
// The dimensions that a reduction removes.
#include <string>
#include <string_view>

#include "reprise/core/shape.h"

namespace reprise {

class ReducedDims {
 public:
  ReducedDims() = default;  // all
  // UserError for a dimension out of range or named twice.
  ReducedDims(const char* op, const Dims& dims, int rank);

  Shape kept(const Shape& x) const;     // 1 in place of each reduced extent
  Shape removed(const Shape& x) const;  // without the reduced dimensions
  bool contains(int dim) const { return all_ || ((mask_ >> dim) & 1U) != 0; }
  std::string text() const;  // "all", "[0, 2]"

 private:
  bool all_ = true;
  unsigned mask_ = 0;
};

}  // namespace reprise
