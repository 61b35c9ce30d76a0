#pragma once
// Text for language models: a file as tokens, and windows of it.
//
//   const data::Text text = data::read_text("manpages.txt", data::Tokenizer::Kind::characters);
//   const data::TextWindows train(text, data::Split::train, {.context = 256, .seed = 1});
//   data::Loader loader(train, {.batch_size = 16});
//   for (auto [x, y] : loader.epoch(0)) ...
#include <cstdint>
#include <span>
#include <string>

#include "reprise/core/tensor.h"
#include "reprise/data/dataset.h"
#include "reprise/data/tokenizer.h"

namespace reprise::data {

struct Text {
  std::string path;
  Tokenizer tokenizer;
  Tensor tokens;  // i32 [n], memory tag data
};

// The file, plain or gzip, with a tokenizer made from it, or with one that is there already. FileError, with file and
// offset, for what cannot be read, is empty, is not UTF-8 where the tokens are characters, or has a character that the
// tokenizer does not know.
Text read_text(const std::string& path, Tokenizer::Kind kind);
Text read_text(const std::string& path, Tokenizer tokenizer);

struct TextWindowsOptions {
  std::int64_t context = 256;  // tokens of a window
  double validation = 0.1;  // share of the text, at its end, that Split::test reads and Split::train does not
  std::uint64_t seed = 0;
  std::int64_t most = 0;  // of Split::test: no more windows than this, spread evenly; 0: all
};

// Windows of `context` tokens. Split::train: an epoch has as many as fit into its part of the text side by side, each at a
// random place, a pure function of {seed, epoch, index}. Split::test: side by side, whatever the epoch.
class TextWindows {
 public:
  // FileError, with the file, when a part is too short for a window and its targets; UserError for a context below 1 and
  // a share outside (0, 1).
  TextWindows(const Text& text, Split split, TextWindowsOptions options = {});

  std::int64_t size() const { return size_; }
  // i64 [n, context] both: each target is the input that comes next.
  Batch get(std::span<const std::int64_t> indices, std::int64_t epoch = 0) const;

  const Tensor& tokens() const { return tokens_; }  // of this part

 private:
  std::int64_t place(std::int64_t index, std::int64_t epoch) const;

  Tensor tokens_;
  Split split_;
  TextWindowsOptions options_;
  std::int64_t size_ = 0;
};

}  // namespace reprise::data
