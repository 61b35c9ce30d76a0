// The members of Tensor that record.
#include <fmt/format.h>

#include "reprise/ops/cast.h"
#include "reprise/ops/detach.h"
#include "reprise/ops/reshape.h"
#include "reprise/ops/slice.h"
#include "reprise/ops/to_device.h"

namespace reprise {
namespace {

// x[index]: a slice of one row, and its shape without the leading dimension.
Tensor row(Tensor x, std::int64_t index) {
  const Shape shape = x.shape();
  if (shape.rank() == 0) throw UserError("operator[]: a scalar has no leading dimension");
  const std::int64_t rows = shape[0], first = index < 0 ? index + rows : index;
  if (first < 0 || first >= rows)
    throw UserError(fmt::format("operator[]: there is no row {} in {}", index, to_string(shape)));
  return reshape(slice(std::move(x), first, first + 1), shape.without(0));
}

}  // namespace

Tensor Tensor::detach() const& { return reprise::detach(*this); }
Tensor Tensor::detach() && { return reprise::detach(std::move(*this)); }
Tensor Tensor::to(Device device) const& { return to_device(*this, device); }
Tensor Tensor::to(Device device) && { return to_device(std::move(*this), device); }
Tensor Tensor::to(DType dtype) const& { return cast(*this, dtype); }
Tensor Tensor::to(DType dtype) && { return cast(std::move(*this), dtype); }
Tensor Tensor::reshape(const OpenShape& shape) const& { return reprise::reshape(*this, shape); }
Tensor Tensor::reshape(const OpenShape& shape) && { return reprise::reshape(std::move(*this), shape); }
Tensor Tensor::slice(std::int64_t first, std::int64_t last) const& {
  return reprise::slice(*this, first, last);
}
Tensor Tensor::slice(std::int64_t first, std::int64_t last) && {
  return reprise::slice(std::move(*this), first, last);
}
Tensor Tensor::operator[](std::int64_t index) const& { return row(*this, index); }
Tensor Tensor::operator[](std::int64_t index) && { return row(std::move(*this), index); }

}  // namespace reprise
