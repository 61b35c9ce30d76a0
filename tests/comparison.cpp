#include "reprise/tests/comparison.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace reprise::test {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  return !a.defined() ||
         (a.info() == b.info() && std::memcmp(a.impl()->data(), b.impl()->data(), a.bytes()) == 0);
}

double relative_rms_error(const Tensor& actual, const Tensor& exact) {
  const std::vector<double> a = actual.to_vector(), b = exact.to_vector();
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return error == 0 ? 0 : std::sqrt(error / size);
}

}  // namespace reprise::test
