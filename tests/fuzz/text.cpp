// Text files, plain and gzip, as bytes and as characters. The first byte of the input chooses.
#include "reprise/data/text.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {

void read_input(std::string_view bytes) {
  if (bytes.empty()) return;
  const InputFile file(bytes.substr(1));
  using Kind = data::Tokenizer::Kind;
  const data::Text text = data::read_text(file.path(), bytes[0] % 2 ? Kind::bytes : Kind::characters);
  const Tensor tokens = text.tokens.to(DType::i64);
  const auto numbers = tokens.read<std::int64_t>();
  const std::string decoded = text.tokenizer.decode(numbers);
  const std::vector<std::int64_t> again = text.tokenizer.encode(decoded);
  require(std::equal(again.begin(), again.end(), numbers.begin(), numbers.end()),
          "a text comes back as another");
}

std::vector<std::string> seeds() {
  return {"0plain text\n", "1plain text\n", std::string("0\0zero", 6),
          "0\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
          std::string("0\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0", 24)};
}

}  // namespace reprise::fuzz
