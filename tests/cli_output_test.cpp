// Results that nobody got: output that cannot be written is an error in every command, and costs no run.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::Out;
using Words = std::vector<std::string>;

namespace {

const Words kTrain = {"train", "--model", "mlp", "--data", "synthetic", "--samples", "32", "--batch", "16"};

std::vector<Words> commands(const TemporaryFolder& folder) {
  const std::string text = folder / "text", saved = folder / "saved";
  std::ofstream(text) << std::string(2000, 'a') << '\n' << std::string(2000, 'b');
  cli_test::run({"train", "--data", "text:" + text, "--model", "gpt", "--layers", "1", "--width", "8",
                 "--heads", "1", "--context", "8", "--steps", "1", "--save", saved});
  return {kTrain,
          {"bench", "--model", "mlp", "--batch", "4", "--steps", "1"},
          {"bench", "--model", "mlp", "--batch", "4", "--steps", "1", "--profile"},
          {"compare", "--model", "mlp", "--batch", "4", "--steps", "1"},
          {"plan", "--model", "mlp", "--batch", "4"},
          {"generate", "--load", saved, "--tokens", "3"},
          {"models"},
          {"devices"},
          {"--help"},
          {"train", "--help"},
          {"--version"}};
}

}  // namespace

TEST_CASE("cli output: what cannot be written is an error in every command", "[cli]") {
  const TemporaryFolder folder;
  for (const Words& words : commands(folder))
    for (const auto& [out, reason] :
         {std::pair{Out::full_device, "No space left on device"}, std::pair{Out::closed_pipe, "Broken pipe"},
          std::pair{Out::closed, "Bad file descriptor"}}) {
      const auto result = cli_test::reprise(words, {.out = out});
      INFO(words[0] << ": " << result.err);
      CHECK(result.code == 1);
      CHECK_THAT(result.err, Contains("standard output") && Contains(reason));
    }
}

TEST_CASE("cli output: a run whose terminal has gone is trained to its end and saved", "[cli]") {
  for (const Out out : {Out::full_device, Out::closed_pipe, Out::closed}) {
    const TemporaryFolder folder;
    const std::string saved = folder / "saved", json = folder / "json", whole = folder / "whole";
    Words words = kTrain;
    words.insert(words.end(), {"--epochs", "3", "--threads", "2", "--save"});
    Words reference = words;
    reference.push_back(whole);
    words.insert(words.end(), {saved, "--json", json});
    cli_test::run(reference);
    CHECK(cli_test::reprise(words, {.out = out}).code == 1);
    CHECK(nlohmann::json::parse(cli_test::content(json))["ended"] == "epochs");
    cli_test::check_equal_runs(whole, saved);
  }
}
