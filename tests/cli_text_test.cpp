// `reprise train --data text:FILE` and `reprise generate`: a text is learned, a run is resumed with the bits of one that
// never stopped, and what is wrong with text, run or prompt is said.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::content;
using cli_test::reprise;
using cli_test::run;
using cli_test::tree;
using cli_test::operator+;
using Words = std::vector<std::string>;

namespace {

constexpr const char* kSentence = "the quick brown fox jumps over the lazy dog;\n";

std::string write_text(const std::string& path, int lines) {
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < lines; ++i) file << kSentence;
  return path;
}

const Words kSmall = {"--model",   "gpt", "--layers", "1", "--width", "32",   "--heads",   "2",
                      "--context", "16",  "--batch",  "4", "--lr",    "3e-3", "--threads", "2"};

}  // namespace

TEST_CASE("cli text: a run stopped and resumed has the bits of one that never stopped", "[cli]") {
  const TemporaryFolder folder;
  const std::string text = write_text(folder / "text", 12), moved = write_text(folder / "moved", 12);
  const std::string whole = folder / "whole", parts = folder / "parts";
  // 486 tokens to train on: 30 windows, 8 batches, the last of 2.
  const Words command =
      Words{"train", "--data", "text:" + text, "--epochs", "2", "--dropout", "0.1", "--validate-every", "3"} +
      kSmall;
  run(command + Words{"--save", whole});
  run(command + Words{"--save", parts, "--steps", "5"});
  run({"train", "--resume", parts, "--steps", "4", "--checkpoint", "block"});
  run({"train", "--resume", parts, "--data", "text:" + moved, "--checkpoint", "none"});
  const auto a = tree(whole), b = tree(parts);
  REQUIRE(a.size() == 4);
  REQUIRE(b.size() == 4);
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].first);
    CHECK(a[i].first == b[i].first);
    auto left = a[i].second, right = b[i].second;
    if (a[i].first.ends_with("state.json")) {  // all but the file's place
      auto x = nlohmann::json::parse(left), y = nlohmann::json::parse(right);
      CHECK(x["step"] == 16);
      CHECK(x["validations"].size() == 5);
      x["settings"].erase("data");
      y["settings"].erase("data");
      left = x.dump(2);
      right = y.dump(2);
    }
    CHECK(left == right);
  }
}

TEST_CASE("cli text: it learns a sentence and writes it", "[cli]") {
  const TemporaryFolder folder;
  const std::string text = write_text(folder / "text", 60), saved = folder / "saved", json = folder / "json";
  const auto trained = run(Words{"train", "--data", "text:" + text, "--epochs", "6", "--save", saved,
                                 "--json", json, "--validate-every", "50"} +
                           kSmall);
  CHECK_THAT(trained.out,
             Contains("tokens/s") && Contains("validation loss") && Contains("step 50  validation"));
  const auto results = nlohmann::json::parse(content(json));
  CHECK(results["validation_loss"] < 0.4);
  CHECK(results["epochs"][0]["loss"] > results["epochs"][5]["loss"]);
  CHECK(results["tokens_per_s"] > 0);
  CHECK(results["validations"][0]["step"] == 50);
  const Words generate = {"generate", "--load", saved, "--prompt", "the quick", "--tokens", "36"};
  CHECK(run(generate + Words{"--temperature", "0"}).out == kSentence + std::string("\n"));
  CHECK(run(generate + Words{"--top-k", "1"}).out == kSentence + std::string("\n"));
  const std::string hot = run(generate + Words{"--temperature", "3", "--seed", "1"}).out;
  CHECK(hot == run(generate + Words{"--temperature", "3", "--seed", "1"}).out);
  CHECK(hot != run(generate + Words{"--temperature", "3", "--seed", "2"}).out);
  CHECK(hot.size() == 9 + 36 + 1);
}

TEST_CASE("cli text: what is wrong with text, run and prompt is said", "[cli]") {
  const TemporaryFolder folder;
  const std::string text = write_text(folder / "text", 30), saved = folder / "saved",
                    images = folder / "images";
  const Words command = Words{"train", "--data", "text:" + text, "--steps", "1"} + kSmall;
  run(command + Words{"--save", saved});
  CHECK_THAT(run(Words{"train", "--data", "text:/no/such/file"} + kSmall, 1).err, Contains("/no/such/file"));
  CHECK_THAT(run(Words{"train", "--data", "text:" + text}, 2).err, Contains("lenet") && Contains("tokens"));
  CHECK_THAT(run({"train", "--data", "text:" + write_text(folder / "short", 1), "--model", "gpt"}, 1).err,
             Contains("too short") && Contains("257"));
  std::ofstream(folder / "broken", std::ios::binary) << std::string(2000, 'a') + "\xff";
  CHECK_THAT(run(Words{"train", "--data", "text:" + (folder / "broken")} + kSmall, 1).err,
             Contains("byte 2000"));
  CHECK_THAT(run({"generate", "--load", saved, "--prompt", "THE"}, 2).err,
             Contains("--prompt") && Contains("'T'"));
  CHECK_THAT(run({"generate", "--load", folder / "none"}, 1).err, Contains("state.json"));
  run({"train", "--model", "mlp", "--data", "synthetic", "--samples", "64", "--save", images});
  CHECK_THAT(run({"generate", "--load", images}, 2).err, Contains("synthetic"));
  write_text(text, 31);
  CHECK_THAT(run({"train", "--resume", saved}, 1).err, Contains(text) && Contains("not the text"));
}

TEST_CASE("cli text: bytes are tokens too", "[cli]") {
  const TemporaryFolder folder;
  const std::string text = write_text(folder / "text", 30), saved = folder / "saved";
  std::ofstream(text, std::ios::binary | std::ios::app) << "\xff\xfe";
  run(Words{"train", "--data", "text:" + text, "--steps", "2", "--tokenizer", "bytes", "--save", saved} +
      kSmall);
  CHECK(run({"generate", "--load", saved, "--tokens", "5"}).out.size() == 6);
}
