#pragma once
// UTF-8 (RFC 3629), strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::data {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // it takes in the text
};
// The one that begins at `offset`, which is inside the text; none where the bytes there are not one.
std::optional<CodePoint> code_point_at(std::string_view text, std::size_t offset);

// The place of the first byte that is not UTF-8.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

void append_utf8(std::string& text, char32_t value);

}  // namespace reprise::data
