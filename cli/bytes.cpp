#include "reprise/cli/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "reprise/core/error.h"

namespace reprise::cli {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 62;

UserError out_of_range(std::string_view text) {
  return UserError(fmt::format("'{}' is not within 1 byte and 4294967295GiB", text));
}

}  // namespace

std::size_t parse_bytes(std::string_view text) {
  const auto wrong = [&] {
    return UserError(
        fmt::format("'{}' is not a size; write bytes, or a number with KiB, MiB or GiB: 512MiB", text));
  };
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  std::string unit;
  for (const char c : text.substr(digits))
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  double factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k" || unit == "kb" || unit == "kib") factor = 0x1p10;
  if (unit == "m" || unit == "mb" || unit == "mib") factor = 0x1p20;
  if (unit == "g" || unit == "gb" || unit == "gib") factor = 0x1p30;
  if (factor == 0) throw wrong();
  if (factor == 1) {
    std::uint64_t bytes = 0;  // exact: a double is not, beyond 2^53
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), bytes);
    if (rest != number.data() + number.size() || error == std::errc::invalid_argument) throw wrong();
    if (error != std::errc() || bytes < 1 || bytes >= kMostBytes) throw out_of_range(text);
    return bytes;
  }
  double units = 0;
  const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), units);
  if (rest != number.data() + number.size() || error == std::errc::invalid_argument) throw wrong();
  const double bytes = units * factor;
  if (error != std::errc() || !(bytes >= 1 && bytes < static_cast<double>(kMostBytes)))
    throw out_of_range(text);
  return static_cast<std::size_t>(bytes);
}

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 0x1p20);
}

}  // namespace reprise::cli
