#include "reprise/data/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <new>
#include <stdexcept>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/data/epoch_order.h"
#include "reprise/data/input_file.h"

namespace reprise::data {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

// A small gzip file may inflate to more than the memory holds.
[[noreturn]] void too_large(const std::string& path) {
  throw FileError(fmt::format("{}: the text does not fit into memory", path));
}

std::string read_content(const std::string& path) try {
  InputFile file(path);
  std::string content;
  std::size_t got = 0;
  do {
    const std::size_t before = content.size();
    content.resize(before + kReadBytes);
    got = file.read(std::as_writable_bytes(std::span(content)).subspan(before));
    content.resize(before + got);
  } while (got == kReadBytes);
  if (content.empty()) throw FileError(fmt::format("{}: byte 0: the file is empty", path));
  return content;
} catch (const std::bad_alloc&) {
  too_large(path);
} catch (const std::length_error&) {
  too_large(path);
}

// What a tokenizer says of the text, with the file's name.
template <class F>
auto naming(const std::string& path, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const UserError& error) {
    throw FileError(fmt::format("{}: {}", path, error.what()));
  } catch (const std::bad_alloc&) {
    too_large(path);
  }
}

Text encode(const std::string& path, Tokenizer tokenizer, const std::string& content) {
  const std::vector<std::int64_t> tokens = naming(path, [&] { return tokenizer.encode(content); });
  const memory::TagScope tag(memory::Tag::data);
  Tensor packed = Tensor::from(tokens, {std::ssize(tokens)}, {.dtype = DType::i32});
  return {path, std::move(tokenizer), std::move(packed)};
}

}  // namespace

Text read_text(const std::string& path, Tokenizer::Kind kind) {
  const std::string content = read_content(path);
  Tokenizer tokenizer = kind == Tokenizer::Kind::bytes
                            ? Tokenizer::bytes()
                            : naming(path, [&] { return Tokenizer::characters(content); });
  return encode(path, std::move(tokenizer), content);
}

Text read_text(const std::string& path, Tokenizer tokenizer) {
  return encode(path, std::move(tokenizer), read_content(path));
}

TextWindows::TextWindows(const Text& text, Split split, TextWindowsOptions options)
    : split_(split), options_(options) {
  if (options_.context < 1 || !(options_.validation > 0 && options_.validation < 1) || options_.most < 0)
    throw UserError(fmt::format(
        "TextWindows: context {}, validation {}, most {}: the context is at least 1, the share of "
        "validation between 0 and 1, most at least 0",
        options_.context, options_.validation, options_.most));
  const std::int64_t all = text.tokens.numel();
  const auto held_out =
      static_cast<std::int64_t>(std::llround(options_.validation * static_cast<double>(all)));
  tokens_ =
      split == Split::train ? text.tokens.slice(0, all - held_out) : text.tokens.slice(all - held_out, all);
  // A window and the target of its last token.
  if (tokens_.numel() < options_.context + 1)
    throw FileError(fmt::format(
        "{}: too short: of its {} tokens {} are for {}, fewer than the {} of one window and its last target",
        text.path, all, tokens_.numel(), split == Split::train ? "training" : "validation",
        options_.context + 1));
  size_ = (tokens_.numel() - 1) / options_.context;
  if (split == Split::test && options_.most > 0) size_ = std::min(size_, options_.most);
}

std::int64_t TextWindows::place(std::int64_t index, std::int64_t epoch) const {
  const std::int64_t places = tokens_.numel() - options_.context;
  if (split_ == Split::test) {
    const std::int64_t windows = (tokens_.numel() - 1) / options_.context;
    return index * windows / size_ * options_.context;
  }
  const auto words =
      philox(epoch_stream(options_.seed, epoch, EpochStream::windows), static_cast<std::uint64_t>(index));
  const std::uint64_t word = static_cast<std::uint64_t>(words[1]) << 32 | words[0];
  return static_cast<std::int64_t>(word % static_cast<std::uint64_t>(places));
}

Batch TextWindows::get(std::span<const std::int64_t> indices, std::int64_t epoch) const {
  check_indices("TextWindows", indices, size());
  const Shape shape = {static_cast<std::int64_t>(indices.size()), options_.context};
  const memory::TagScope tag(memory::Tag::data);
  Batch batch{Tensor::empty(shape, {.dtype = DType::i64}), Tensor::empty(shape, {.dtype = DType::i64})};
  const auto tokens = tokens_.read<std::int32_t>();
  auto input = batch.inputs.write<std::int64_t>().begin();
  auto target = batch.targets.write<std::int64_t>().begin();
  const auto context = static_cast<std::size_t>(options_.context);
  for (const std::int64_t index : indices) {
    const auto window = tokens.subspan(static_cast<std::size_t>(place(index, epoch)), context + 1);
    input = std::copy(window.begin(), window.end() - 1, input);
    target = std::copy(window.begin() + 1, window.end(), target);
  }
  return batch;
}

}  // namespace reprise::data
