// Numbers of the command line: a text that is taken becomes a plain decimal number within the range.
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "reprise/cli/number.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {

void read_input(std::string_view bytes) {
  std::string whole(bytes), number(bytes), seed(bytes);
  if (cli::whole_number_problem(whole, {.least = -5, .most = 1000}).empty()) {
    char* end = nullptr;
    const long long value = std::strtoll(whole.c_str(), &end, 10);
    require(*end == 0 && end != whole.c_str() && value >= -5 && value <= 1000,
            "a whole number out of its range");
    require(std::to_string(value) == whole, "a whole number in another form than the plain one");
  }
  if (cli::number_problem(number, {.least = 0, .most = 1e6}).empty()) {
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    require(*end == 0 && end != number.c_str() && value >= 0 && value <= 1e6, "a number out of its range");
  }
  if (cli::seed_problem(seed).empty()) {
    require(!seed.empty() && seed.size() <= 20, "a seed of impossible length");
    for (const char digit : seed)
      require(std::isdigit(static_cast<unsigned char>(digit)) != 0, "a seed with no digit");
  }
}

std::vector<std::string> seeds() {
  return {"0", "-5", "1000", "010", "0x10", "1e3", "0.25", "-0.5", "1e999", "nan", "18446744073709551615"};
}

}  // namespace reprise::fuzz
