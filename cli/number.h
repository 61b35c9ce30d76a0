#pragma once
// Numbers on the command line: decimal, within a range, and nothing else.
#include <cstdint>
#include <string>
#include <string_view>

namespace reprise::cli {

// The least and the most that an option takes.
struct WholeRange {
  std::int64_t least, most;
};
struct NumberRange {
  double least, most;
};

// Each returns what is wrong with the text, or nothing. If nothing is wrong, the text becomes the number's plain
// decimal form: "010" is ten, not eight. Signs other than a minus, hexadecimal numbers, infinities and NaN are wrong.
std::string whole_number_problem(std::string& text, WholeRange range);
std::string number_problem(std::string& text, NumberRange range);
// Of 0 to 2^64 - 1.
std::string seed_problem(std::string& text);

}  // namespace reprise::cli
