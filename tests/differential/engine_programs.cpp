// Runs random engine programs: regions, dropped bytes, double backward and failed allocations must not
// change one bit of a gradient (tests/engine_random_checks.h).
//
//   differential_engine [--count N] [--seed S]     the programs S, S + 1, .., S + N - 1
//
// Exits with 1 if a program fails, and prints the command that runs it alone.
#include <exception>
#include <iostream>

#include "reprise/tests/differential/command_line.h"
#include "reprise/tests/engine_random_checks.h"

using namespace reprise::test;

namespace {

struct Check {
  const char* name;
  RandomCheckCounts (*run)(std::uint64_t seed);
};
constexpr Check kChecks[] = {
    {"regions", check_regions}, {"drops", check_drops}, {"twice", check_twice}, {"parts", check_parts}};

// True if every check of the program passes.
bool run_program(std::uint64_t seed, RandomCheckCounts& counts) {
  bool right = true;
  for (const Check& check : kChecks) {
    try {
      counts += check.run(seed);
    } catch (const std::exception& error) {
      right = false;
      std::cout << "differential_engine --seed " << seed << " --count 1: " << check.name << ": "
                << error.what() << std::endl;
    }
  }
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const differential::CommandLine options(argc, argv, {{"seed", "1"}, {"count", "1000"}});
    const std::uint64_t first = options.number("seed"), count = options.number("count");
    RandomCheckCounts counts;
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!run_program(first + i, counts)) ++wrong;
      if ((i + 1) % 5000 == 0) std::cout << i + 1 << " programs, " << wrong << " wrong" << std::endl;
    }
    std::cout << count << " random engine programs from seed " << first << ": " << wrong << " wrong; "
              << counts.replays << " nodes replayed, " << counts.drops << " buffers dropped, "
              << counts.failures << " walks failed on purpose" << std::endl;
    return wrong == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  }
}
