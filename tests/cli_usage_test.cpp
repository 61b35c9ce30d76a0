// The command line: what is wrong is said in one line on stderr, with exit code 2; what goes wrong in a run, with 1.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::reprise;
using Words = std::vector<std::string>;

namespace {

void check_error(const Words& words, int code, const Words& parts) {
  std::string line;
  for (const std::string& word : words) line += " " + word;
  INFO("reprise" << line);
  const cli_test::Result result = reprise(words);
  CHECK(result.code == code);
  CHECK_THAT(result.err, Catch::StartsWith("reprise: "));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  for (const std::string& part : parts) CHECK_THAT(result.err, Contains(part));
}

}  // namespace

TEST_CASE("cli: wrong command lines", "[cli]") {
  check_error({}, 2, {"a command is needed", "train"});
  check_error({"trian"}, 2, {"trian"});
  check_error({"train", "--modle", "mlp"}, 2, {"--modle"});
  check_error({"train", "--model", "alexnet"}, 2, {"--model", "alexnet", "lenet", "resnet18"});
  check_error({"train", "--optimizer", "lbfgs"}, 2, {"--optimizer", "lbfgs", "adamw"});
  check_error({"train", "--data", "imagenet"}, 2, {"--data", "imagenet", "fashion-mnist"});
  check_error({"train", "--epochs", "0"}, 2, {"--epochs"});
  check_error({"train", "--epochs", "two"}, 2, {"--epochs", "two"});
  check_error({"train", "--batch"}, 2, {"--batch"});
  check_error({"train", "--lr", "-1"}, 2, {"--lr"});
  check_error({"bench", "--dtype", "f8"}, 2, {"--dtype", "f8"});
  check_error({"bench", "--steps", "0"}, 2, {"--steps"});
  for (const char* size : {"lots", "512MiX", "-1", "12 34", ""})
    check_error({"bench", "--memory-limit", size}, 2, {"--memory-limit", "512MiB"});
  check_error({"bench", "--model", "mlp", "--checkpoint", "blocks"}, 2, {"--checkpoint", "blocks", "sqrt"});
  check_error({"bench", "--model", "mlp", "--checkpoint", "0"}, 2, {"--checkpoint"});
  check_error({"bench", "--model", "lenet", "--checkpoint", "3"}, 2,
              {"--checkpoint", "3 segments", "2 blocks"});
  check_error({"compare", "--model", "lenet", "--checkpoint", "block,7"}, 2, {"--checkpoint", "7 segments"});
  check_error({"compare", "--model", "chain", "--data", "fashion-mnist"}, 2,
              {"chain", "[256]", "[28, 28, 1]"});
  check_error({"train", "--model", "gpt", "--data", "fashion-mnist"}, 2, {"gpt", "tokens"});
  check_error({"bench", "--model", "gpt", "--heads", "5"}, 2, {"heads 5", "width 384"});
  check_error({"bench", "--model", "mlp", "--layers", "5"}, 2, {"mlp", "layers"});
}

TEST_CASE("cli: what goes wrong in a run", "[cli]") {
  check_error({"train", "--data-dir", "/no/such/folder"}, 1, {"dataset-fashion-mnist", "--data-dir"});
  check_error({"train", "--resume", "/no/such/folder"}, 1, {"/no/such/folder", "state.json"});
  check_error({"bench", "--model", "lenet", "--memory-limit", "3MiB", "--steps", "1"}, 1, {"limit"});
  check_error({"train", "--model", "mlp", "--data", "synthetic", "--memory-limit", "100000"}, 1, {"limit"});
  check_error({"train", "--model", "mlp", "--data", "synthetic", "--steps", "1", "--save", "/proc/nothing"},
              1, {"/proc/nothing"});
}

TEST_CASE("cli: help names every command and option", "[cli]") {
  const cli_test::Result help = reprise({"--help"});
  CHECK(help.code == 0);
  for (const char* word : {"train", "bench", "compare", "generate", "models", "--help"})
    CHECK_THAT(help.out, Contains(word));
  const cli_test::Result train = reprise({"train", "--help"});
  CHECK(train.code == 0);
  for (const char* option :
       {"--model",   "--data",         "--data-dir", "--epochs",    "--batch",      "--optimizer",
        "--lr",      "--checkpoint",   "--seed",     "--tokenizer", "--validation", "--validate-every",
        "--context", "--memory-limit", "--save",     "--resume",    "--json",       "--steps",
        "--threads", "--dtype"})
    CHECK_THAT(train.out, Contains(option));
  CHECK(reprise({"--version"}).code == 0);
}

TEST_CASE("cli: the models and their parameters", "[cli]") {
  const cli_test::Result result = reprise({"models"});
  CHECK(result.code == 0);
  // Counted by hand for the first ones; the ResNets' are those of torchvision (with the 3x3 stem: of the common CIFAR ResNets).
  for (const auto& [model, parameters] :
       std::vector<std::pair<std::string, std::string>>{{"mlp", "101,770"},
                                                        {"lenet", "421,642"},
                                                        {"resnet18", "11,173,962"},
                                                        {"resnet34", "21,282,122"},
                                                        {"resnet50", "25,557,032"},
                                                        {"resnet101", "44,549,160"},
                                                        {"resnet152", "60,192,808"},
                                                        {"chain", "6,581,770"},
                                                        {"gpt", "10,795,776"},
                                                        {"gpt2-1.5b", "1,557,611,200"}}) {
    INFO(model);
    const std::size_t line = result.out.find("\n" + model + " ");
    REQUIRE(line != std::string::npos);
    CHECK_THAT(result.out.substr(line + 1, result.out.find('\n', line + 1) - line - 1),
               Contains(" " + parameters + " "));
  }
}
