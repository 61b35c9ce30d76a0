#pragma once
// Text as token numbers and back: a token for each byte, or for each character that a text has.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::data {

class Tokenizer {
 public:
  enum class Kind { bytes, characters };
  // The 256 bytes: any text can be encoded. What is decoded need not be UTF-8.
  static Tokenizer bytes();
  // The characters (Unicode code points) of this text, by their number. UserError, with the offset, where it is not UTF-8.
  static Tokenizer characters(std::string_view text);

  Kind kind() const { return kind_; }
  std::int64_t size() const;  // tokens are 0, 1, ..., size - 1

  // UserError, with the byte's offset, for a character that is not in the vocabulary or not UTF-8.
  std::vector<std::int64_t> encode(std::string_view text) const;
  // UserError for a number that is no token.
  std::string decode(std::span<const std::int64_t> tokens) const;

  // JSON: {"kind": "characters", "characters": ["\n", " ", ...]} or {"kind": "bytes"}. FileError, also for a file without
  // characters.
  void save(const std::string& path) const;
  static Tokenizer load(const std::string& path);

 private:
  std::optional<std::int64_t> token_of(char32_t character) const;

  Kind kind_ = Kind::bytes;
  std::vector<char32_t> characters_;  // sorted
};

}  // namespace reprise::data
