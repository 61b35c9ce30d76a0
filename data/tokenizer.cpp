#include "reprise/data/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"
#include "reprise/data/utf8.h"

namespace reprise::data {
namespace {

[[noreturn]] void not_utf8(std::size_t offset) {
  throw UserError(fmt::format("byte {}: not UTF-8; a tokenizer of bytes takes any text", offset));
}

}  // namespace

Tokenizer Tokenizer::bytes() { return {}; }

Tokenizer Tokenizer::characters(std::string_view text) {
  std::set<char32_t> seen;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::optional<CodePoint> found = code_point_at(text, offset);
    if (!found) not_utf8(offset);
    seen.insert(found->value);
    offset += found->bytes;
  }
  Tokenizer tokenizer;
  tokenizer.kind_ = Kind::characters;
  tokenizer.characters_.assign(seen.begin(), seen.end());
  return tokenizer;
}

std::int64_t Tokenizer::size() const { return kind_ == Kind::bytes ? 256 : std::ssize(characters_); }

std::optional<std::int64_t> Tokenizer::token_of(char32_t character) const {
  const auto place = std::lower_bound(characters_.begin(), characters_.end(), character);
  if (place == characters_.end() || *place != character) return std::nullopt;
  return place - characters_.begin();
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int64_t> tokens;
  tokens.reserve(text.size());
  if (kind_ == Kind::bytes) {
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
  }
  for (std::size_t offset = 0; offset < text.size();) {
    const std::optional<CodePoint> found = code_point_at(text, offset);
    if (!found) not_utf8(offset);
    const std::optional<std::int64_t> token = token_of(found->value);
    if (!token)
      throw UserError(fmt::format("byte {}: the character '{}' is not among the {} of the vocabulary", offset,
                                  text.substr(offset, found->bytes), size()));
    tokens.push_back(*token);
    offset += found->bytes;
  }
  return tokens;
}

std::string Tokenizer::decode(std::span<const std::int64_t> tokens) const {
  std::string text;
  for (const std::int64_t token : tokens) {
    if (token < 0 || token >= size())
      throw UserError(fmt::format("token {} is not in [0, {})", token, size()));
    if (kind_ == Kind::bytes)
      text += static_cast<char>(token);
    else
      append_utf8(text, characters_[static_cast<std::size_t>(token)]);
  }
  return text;
}

void Tokenizer::save(const std::string& path) const {
  nlohmann::ordered_json json;
  json["kind"] = kind_ == Kind::bytes ? "bytes" : "characters";
  if (kind_ == Kind::characters) {
    json["characters"] = nlohmann::ordered_json::array();
    for (const char32_t character : characters_) {
      std::string text;
      append_utf8(text, character);
      json["characters"].push_back(text);
    }
  }
  replace_file(path, json.dump() + '\n');
}

Tokenizer Tokenizer::load(const std::string& path) {
  check_readable(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(fmt::format("{}: cannot be read", path));
  try {
    const auto json = nlohmann::json::parse(file);
    const auto kind = json.at("kind").get<std::string>();
    if (kind == "bytes") return bytes();
    if (kind != "characters") throw FileError(fmt::format("{}: no tokenizer of \"{}\"", path, kind));
    Tokenizer tokenizer;
    tokenizer.kind_ = Kind::characters;
    for (const auto& text : json.at("characters").get<std::vector<std::string>>()) {
      const std::optional<CodePoint> found = text.empty() ? std::nullopt : code_point_at(text, 0);
      if (!found || found->bytes != text.size() ||
          (!tokenizer.characters_.empty() && tokenizer.characters_.back() >= found->value))
        throw FileError(fmt::format("{}: the characters are not one each, in their order", path));
      tokenizer.characters_.push_back(found->value);
    }
    if (tokenizer.characters_.empty())
      throw FileError(fmt::format("{}: a tokenizer without characters", path));
    return tokenizer;
  } catch (const nlohmann::json::parse_error& error) {
    throw FileError(fmt::format("{}: byte {}: not a tokenizer: damaged", path, error.byte));
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: not a tokenizer: {}", path, error.what()));
  }
}

}  // namespace reprise::data
