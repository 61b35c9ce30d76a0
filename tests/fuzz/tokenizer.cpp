// Saved tokenizers.
#include "reprise/data/tokenizer.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {

void read_input(std::string_view bytes) {
  const InputFile file(bytes);
  const data::Tokenizer tokenizer = data::Tokenizer::load(file.path());
  require(tokenizer.size() > 0, "a tokenizer without tokens was read");
  std::vector<std::int64_t> tokens;
  for (std::int64_t token = 0; token < tokenizer.size(); ++token) tokens.push_back(token);
  const std::string text = tokenizer.decode(tokens);
  require(tokenizer.encode(text) == tokens, "tokens come back as others");
  const std::string copy = written([&](const std::string& path) { tokenizer.save(path); });
  const InputFile second(copy);
  require(data::Tokenizer::load(second.path()).decode(tokens) == text, "a written tokenizer is another one");
}

std::vector<std::string> seeds() {
  return {written([](const std::string& path) { data::Tokenizer::bytes().save(path); }),
          written([](const std::string& path) {
            data::Tokenizer::characters("ab\n\xc3\xa4\xf0\x9f\x98\x80").save(path);
          })};
}

}  // namespace reprise::fuzz
