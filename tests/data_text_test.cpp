// Text: tokenizers that give back what they were given, windows that are shifted by one and drawn by seed and epoch, and
// files that are refused with their name and the place.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/data/loader.h"
#include "reprise/data/text.h"
#include "reprise/data/utf8.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;
using Catch::Contains;
using data::Tokenizer;
using Kind = data::Tokenizer::Kind;

namespace {

void write(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::vector<std::int64_t> elements(const Tensor& tensor) {
  const auto values = tensor.read<std::int64_t>();
  return {values.begin(), values.end()};
}

// n bytes that say where they are, for n up to 60.
std::string ramp(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>('A' + i);
  return text;
}

std::vector<std::int64_t> indices(std::int64_t n) {
  std::vector<std::int64_t> list;
  for (std::int64_t i = 0; i < n; ++i) list.push_back(i);
  return list;
}

}  // namespace

TEST_CASE("data: UTF-8 is read strictly, and every code point comes back", "[data][readers]") {
  for (const char32_t value :
       {0U, 0x41U, 0x7fU, 0x80U, 0x7ffU, 0x800U, 0xd7ffU, 0xe000U, 0xffffU, 0x10000U, 0x10ffffU}) {
    std::string text;
    data::append_utf8(text, value);
    const auto found = data::code_point_at(text, 0);
    REQUIRE(found);
    CHECK(found->value == value);
    CHECK(found->bytes == text.size());
    for (std::size_t cut = 1; cut < text.size(); ++cut) CHECK(!data::code_point_at(text.substr(0, cut), 0));
  }
  // Overlong, a surrogate, too large, a continuation alone, a byte that begins nothing.
  for (const std::string bad : {"\xc0\x80", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "\x80", "\xff", "\xc3("})
    CHECK(data::find_invalid_utf8("ab" + bad) == 2);
  CHECK(!data::find_invalid_utf8("a\xc3\xa9z"));
}

TEST_CASE("data: tokenizers decode what they encode, and are saved and loaded", "[data]") {
  const std::string text = "na\xc3\xafve \xe2\x82\xac 5\n";
  const TemporaryFile temporary("tokenizer.json");
  const std::string& file = temporary.path();
  for (const Tokenizer& made : {Tokenizer::bytes(), Tokenizer::characters(text)}) {
    made.save(file);
    const Tokenizer loaded = Tokenizer::load(file);
    CHECK(loaded.kind() == made.kind());
    CHECK(loaded.size() == made.size());
    CHECK(loaded.encode(text) == made.encode(text));
    CHECK(loaded.decode(made.encode(text)) == text);
  }
  const Tokenizer characters = Tokenizer::characters("banana");
  CHECK(characters.size() == 3);
  CHECK(characters.encode("ban") == std::vector<std::int64_t>{1, 0, 2});
  CHECK(Tokenizer::bytes().encode("\xff") == std::vector<std::int64_t>{255});
  CHECK_THROWS_WITH(characters.encode("bad"), Contains("byte 2") && Contains("'d'") && Contains("3"));
  CHECK_THROWS_WITH(characters.encode("a\xff"), Contains("byte 1") && Contains("UTF-8"));
  CHECK_THROWS_WITH(characters.decode(std::vector<std::int64_t>{0, 3}), Contains("token 3"));
}

TEST_CASE("data: random damage to a saved tokenizer is an error or another tokenizer, never a crash",
          "[data][readers]") {
  const TemporaryFile temporary("tokenizer.json");
  const std::string& file = temporary.path();
  Tokenizer::characters("abc\xc3\xa9").save(file);
  std::ifstream stream(file, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  const auto seed = static_cast<std::uint32_t>(Catch::rngSeed() + 3);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    if (i % 3 == 0)
      damaged.resize(random() % damaged.size());
    else
      damaged[random() % damaged.size()] = static_cast<char>(random());
    write(file, damaged);
    try {
      const Tokenizer loaded = Tokenizer::load(file);
      CHECK(loaded.size() <= 256);
    } catch (const FileError& error) {
      CHECK_THAT(error.what(), Contains(file));
    }
  }
}

TEST_CASE("data: windows are inputs and the same shifted by one", "[data]") {
  const TemporaryFile temporary("text");
  const std::string& file = temporary.path();
  write(file, ramp(50));
  const data::Text text = data::read_text(file, Kind::bytes);
  REQUIRE(text.tokens.numel() == 50);
  const data::TextWindows train(text, data::Split::train, {.context = 6, .validation = 0.3, .seed = 4});
  CHECK(train.size() == 5);  // 35 tokens: 34 have a next one
  std::set<std::int64_t> first;
  for (std::int64_t epoch = 0; epoch < 200; ++epoch) {
    const data::Batch batch = train.get(indices(5), epoch);
    CHECK(batch.inputs.shape() == Shape{5, 6});
    const auto x = elements(batch.inputs), y = elements(batch.targets);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(x[i] == x[i - i % 6] + static_cast<std::int64_t>(i % 6));
      CHECK(y[i] == x[i] + 1);
    }
    for (std::size_t i = 0; i < x.size(); i += 6) first.insert(x[i]);
  }
  // Every place of the first 35 tokens is drawn, and none of those kept for validation.
  CHECK(first.size() == 29);
  CHECK(*first.begin() == 'A');
  CHECK(*first.rbegin() == 'A' + 28);

  const data::TextWindows test(text, data::Split::test, {.context = 3, .validation = 0.3});
  CHECK(test.size() == 4);
  CHECK(elements(test.get(indices(2)).inputs) ==
        std::vector<std::int64_t>{'A' + 35, 'A' + 36, 'A' + 37, 'A' + 38, 'A' + 39, 'A' + 40});
  const data::TextWindows spread(text, data::Split::test, {.context = 3, .validation = 0.3, .most = 2});
  CHECK(spread.size() == 2);
  CHECK(elements(spread.get(indices(2)).inputs)[3] == 'A' + 41);
}

TEST_CASE("data: a loader's windows are a function of seed, epoch and place", "[data]") {
  const TemporaryFile temporary("text");
  const std::string& file = temporary.path();
  std::string content;
  for (int i = 0; i < 4000; ++i) content += static_cast<char>('a' + i * i % 26);
  write(file, content);
  const data::Text text = data::read_text(file, Kind::characters);
  const data::TextWindows windows(text, data::Split::train, {.context = 8, .seed = 1});
  const data::TextWindows others(text, data::Split::train, {.context = 8, .seed = 2});
  const data::LoaderOptions options = {.batch_size = 32, .drop_last = true};
  auto epoch = [&](const data::TextWindows& set, std::int64_t number, std::int64_t first) {
    std::vector<std::vector<std::int64_t>> batches;
    const data::Loader loader(set, options);
    for (auto [x, y] : loader.epoch(number, first)) batches.push_back(elements(x));
    return batches;
  };
  const auto whole = epoch(windows, 1, 0), part = epoch(windows, 1, 3);
  REQUIRE(whole.size() == 14);
  CHECK(std::equal(part.begin(), part.end(), whole.begin() + 3, whole.end()));
  CHECK(epoch(windows, 1, 0) == whole);
  CHECK(epoch(windows, 0, 0) != whole);
  CHECK(epoch(others, 1, 0) != whole);
}

TEST_CASE("data: texts that cannot be used are errors that name file and place", "[data][readers]") {
  const TemporaryFile temporary("text");
  const std::string& file = temporary.path();
  CHECK_THROWS_WITH(data::read_text("/no/such/text", Kind::bytes), Contains("/no/such/text"));
  write(file, "");
  CHECK_THROWS_WITH(data::read_text(file, Kind::bytes), Contains(file) && Contains("empty"));
  write(file, "good \xe2\x82 bad");
  CHECK_THROWS_WITH(data::read_text(file, Kind::characters), Contains(file) && Contains("byte 5"));
  CHECK_THROWS_AS(data::read_text(file, Kind::characters), FileError);
  CHECK(data::read_text(file, Kind::bytes).tokens.numel() == 11);
  write(file, "abcabd");
  CHECK_THROWS_WITH(data::read_text(file, Tokenizer::characters("abc")),
                    Contains(file) && Contains("byte 5") && Contains("'d'"));
  const data::Text text = data::read_text(file, Kind::characters);
  CHECK_THROWS_WITH(data::TextWindows(text, data::Split::train, {.context = 6}),
                    Contains(file) && Contains("too short") && Contains("7"));
  CHECK_THROWS_WITH(data::TextWindows(text, data::Split::test, {.context = 2}), Contains("validation"));
  CHECK_THROWS_AS(data::TextWindows(text, data::Split::test, {.context = 0}), UserError);
  CHECK_THROWS_AS(data::TextWindows(text, data::Split::test, {.validation = 1.0}), UserError);
}

TEST_CASE("data: tokens have the tag data, and are four bytes each", "[data]") {
  const TemporaryFile temporary("text");
  const std::string& file = temporary.path();
  write(file, std::string(1000, 'x'));
  const auto before = memory::by_tag(Device::cpu())["data"];
  const data::Text text = data::read_text(file, Kind::bytes);
  CHECK(memory::by_tag(Device::cpu())["data"] == before + 4000);
}

TEST_CASE("tokenizer: a file without characters is refused", "[data][readers]") {
  const TemporaryFile file("no_characters.json");
  std::ofstream(file.path()) << R"({"kind":"characters","characters":[]})";
  CHECK_THROWS_WITH(Tokenizer::load(file.path()), Contains(file.path()) && Contains("without characters"));
}
