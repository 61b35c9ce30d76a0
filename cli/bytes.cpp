#include "reprise/cli/bytes.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "reprise/core/error.h"

namespace reprise::cli {

std::size_t parse_bytes(std::string_view text) {
  const auto wrong = [&] {
    return UserError(
        fmt::format("'{}' is not a size; write bytes, or a number with KiB, MiB or GiB: 512MiB", text));
  };
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !(number >= 0)) throw wrong();
  std::string unit;
  for (const char* c = rest; c != text.data() + text.size(); ++c)
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  double factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k" || unit == "kb" || unit == "kib") factor = 0x1p10;
  if (unit == "m" || unit == "mb" || unit == "mib") factor = 0x1p20;
  if (unit == "g" || unit == "gb" || unit == "gib") factor = 0x1p30;
  if (factor == 0 || number * factor >= 0x1p62) throw wrong();
  return static_cast<std::size_t>(number * factor);
}

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 0x1p20);
}

}  // namespace reprise::cli
