#pragma once
// One section for each op case, so that one of them can run alone: reprise_tests "op cases: forward*" -c "gelu by tanh".
#include <catch2/catch.hpp>
#include <string_view>

#include "reprise/tests/op_case.h"

namespace reprise::test {

// `mode` follows the case's name, for a test that runs each case more than once.
template <class Check>
void for_each_case(Check check, std::string_view mode = "") {
  for (const OpCase& op_case : op_cases()) DYNAMIC_SECTION(op_case.name << mode) {
      check(op_case);
    }
}

}  // namespace reprise::test
