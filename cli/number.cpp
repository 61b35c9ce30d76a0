#include "reprise/cli/number.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>

namespace reprise::cli {
namespace {

// The whole text as a number.
template <class Number>
std::errc parse(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return rest == end ? error : std::errc::invalid_argument;
}

}  // namespace

std::string whole_number_problem(std::string& text, WholeRange range) {
  std::int64_t number = 0;
  const std::errc error = parse(text, number);
  if (error == std::errc::invalid_argument) return fmt::format("'{}' is not a whole decimal number", text);
  if (error != std::errc() || number < range.least || number > range.most)
    return fmt::format("{} is not within {} and {}", text, range.least, range.most);
  text = std::to_string(number);
  return {};
}

std::string number_problem(std::string& text, NumberRange range) {
  double number = 0;
  const std::errc error = parse(text, number);
  if (error == std::errc::invalid_argument) return fmt::format("'{}' is not a decimal number", text);
  // The comparison is false for NaN.
  if (error != std::errc() || !(number >= range.least && number <= range.most))
    return fmt::format("{} is not within {} and {}", text, range.least, range.most);
  return {};
}

std::string seed_problem(std::string& text) {
  std::uint64_t number = 0;
  const std::errc error = parse(text, number);
  if (error == std::errc::result_out_of_range || text.starts_with('-'))
    return fmt::format("{} is not within 0 and {}", text, UINT64_MAX);
  if (error != std::errc()) return fmt::format("'{}' is not a whole decimal number", text);
  text = std::to_string(number);
  return {};
}

}  // namespace reprise::cli
