#include <catch2/catch.hpp>

#include "reprise/core/tensor.h"

using namespace reprise;

TEST_CASE("a tensor prints its elements in rows") {
  CHECK(to_string(Tensor::from<float>({1, 2, 3, 4}, {2, 2})) == "f32[2, 2]\n[[1, 2],\n [3, 4]]");
}
