#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "reprise/core/host_bytes.h"
#include "reprise/core/tensor.h"

namespace reprise {

namespace {

constexpr std::int64_t kMaxPrinted = 1000;  // elements; beyond that long axes show their ends
constexpr std::int64_t kEdge = 3;

std::string element(const std::byte* bytes, DType dtype) {
  std::int64_t integer = 0;
  convert(bytes, dtype, &integer, DType::i64, 1);
  if (dtype == DType::boolean) return integer != 0 ? "true" : "false";
  if (!is_floating(dtype)) return fmt::format("{}", integer);
  double value = 0;
  convert(bytes, dtype, &value, DType::f64, 1);
  return fmt::format("{:.4g}", value);
}

struct Printer {
  const std::byte* bytes;
  const Shape& shape;
  DType dtype;
  bool elide;
  std::size_t width = 0;
  std::string text;

  std::string element_at(std::int64_t place) const {
    return element(bytes + static_cast<std::size_t>(place) * size_of(dtype), dtype);
  }
  bool skips(std::int64_t extent) const { return elide && extent > 2 * kEdge; }

  // Calls f with the indices of an axis that are shown, -1 standing for those that are not.
  template <class F>
  void for_shown(std::int64_t extent, F&& f) {
    for (std::int64_t i = 0; i < extent; ++i) {
      if (skips(extent) && i == kEdge) {
        f(-1);
        i = extent - kEdge;
      }
      f(i);
    }
  }

  // The width of the widest element shown, so that columns line up. Depth is at most Shape::kMaxRank.
  void measure(int dim, std::int64_t place) {
    if (dim == shape.rank()) {
      width = std::max(width, element_at(place).size());
      return;
    }
    for_shown(shape[dim], [&](std::int64_t i) {
      if (i >= 0) measure(dim + 1, place * shape[dim] + i);
    });
  }

  void print(int dim, std::int64_t place) {
    if (dim == shape.rank()) {
      text += fmt::format("{:>{}}", element_at(place), width);
      return;
    }
    const bool last = dim == shape.rank() - 1;
    const std::string next =
        last ? std::string(", ") : fmt::format(",{:\n>{}}{:>{}}", "", shape.rank() - 1 - dim, "", dim + 1);
    text += '[';
    bool first = true;
    for_shown(shape[dim], [&](std::int64_t i) {
      if (!first) text += next;
      first = false;
      if (i < 0)
        text += "...";
      else
        print(dim + 1, place * shape[dim] + i);
    });
    text += ']';
  }
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  std::vector<std::byte> copy;
  Printer printer{
      host_bytes(tensor, copy), tensor.shape(), tensor.dtype(), tensor.numel() > kMaxPrinted, 0, {}};
  if (tensor.numel() > 0) printer.measure(0, 0);
  printer.print(0, 0);
  return to_string(tensor.info()) + "\n" + printer.text;
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << to_string(tensor); }

}  // namespace reprise
