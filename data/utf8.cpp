#include "reprise/data/utf8.h"

namespace reprise::data {
namespace {

struct Form {
  unsigned char mask, prefix;  // of the first byte
  std::size_t bytes;
  char32_t least;  // smaller values have a shorter form
};
constexpr Form kForms[] = {
    {0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

bool is_scalar(char32_t value) { return value <= 0x10ffff && !(value >= 0xd800 && value < 0xe000); }

}  // namespace

std::optional<CodePoint> code_point_at(std::string_view text, std::size_t offset) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[offset + i]); };
  for (const Form& form : kForms) {
    if ((byte(0) & form.mask) != form.prefix) continue;
    if (offset + form.bytes > text.size()) return std::nullopt;
    char32_t value = byte(0) & static_cast<unsigned char>(~form.mask);
    for (std::size_t i = 1; i < form.bytes; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
      value = value << 6 | (byte(i) & 0x3fU);
    }
    if (value < form.least || !is_scalar(value)) return std::nullopt;
    return CodePoint{value, form.bytes};
  }
  return std::nullopt;
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t offset = 0; offset < text.size();) {
    const std::optional<CodePoint> found = code_point_at(text, offset);
    if (!found) return offset;
    offset += found->bytes;
  }
  return std::nullopt;
}

void append_utf8(std::string& text, char32_t value) {
  std::size_t last = 3;
  while (last > 0 && value < kForms[last].least) --last;
  const Form& form = kForms[last];
  for (std::size_t i = 0; i < form.bytes; ++i) {
    const auto bits = static_cast<unsigned>(value >> (6 * (form.bytes - 1 - i)));
    text += static_cast<char>(i == 0 ? form.prefix | bits : 0x80U | (bits & 0x3fU));
  }
}

}  // namespace reprise::data
