// `reprise train`: a run that is stopped and resumed, by --steps, by a signal or by a kill, ends with the bits of one
// that never stopped.
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::check_equal_runs;
using cli_test::content;
using cli_test::reprise;
using cli_test::run;
using cli_test::wait_for;
using cli_test::operator+;
using Words = std::vector<std::string>;

TEST_CASE("cli train: a run stopped in an epoch's middle and resumed has the bits of one that never stopped",
          "[cli]") {
  const std::vector<Words> runs = {
      {"--model", "mlp", "--optimizer", "sgd", "--schedule", "cosine", "--warmup", "3"},
      {"--model", "lenet", "--optimizer", "adamw", "--augment"},
      {"--model", "lenet", "--optimizer", "adam", "--checkpoint", "block", "--dtype", "f64"},
  };
  for (const Words& options : runs) {
    const TemporaryFolder folder;
    const std::string whole = folder / "whole", parts = folder / "parts";
    // 36 samples in batches of 8: five steps an epoch, the last of 4 samples.
    const Words command = Words{"train",    "--data", "synthetic", "--samples", "36",        "--batch", "8",
                                "--epochs", "3",      "--seed",    "5",         "--threads", "2"} +
                          options;
    run(command + Words{"--save", whole});
    run(command + Words{"--save", parts, "--steps", "3"});
    CHECK(nlohmann::json::parse(content(parts + "/state.json"))["batch"] == 3);
    run({"train", "--resume", parts, "--steps", "4"});  // over the end of an epoch
    CHECK(nlohmann::json::parse(content(parts + "/state.json"))["step"] == 7);
    run({"train", "--resume", parts, "--steps", "3"});  // to the end of one
    CHECK(nlohmann::json::parse(content(parts + "/state.json"))["epoch"] == 2);
    run({"train", "--resume", parts});
    check_equal_runs(whole, parts);
  }
}

TEST_CASE("cli train: batch norm's statistics are resumed, and checkpointing changes no bit", "[cli]") {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole", parts = folder / "parts";
  const Words command = {"train",     "--model",     "resnet18", "--data",    "synthetic",
                         "--samples", "8",           "--batch",  "2",         "--epochs",
                         "1",         "--optimizer", "sgd",      "--threads", "2"};
  run(command + Words{"--save", whole});
  run(command + Words{"--save", parts, "--steps", "2", "--checkpoint", "block"});
  run({"train", "--resume", parts, "--checkpoint", "none"});
  check_equal_runs(whole, parts);
}

TEST_CASE("cli train: SIGINT and SIGTERM save after the step under way", "[cli]") {
  const Words command = {"train",   "--model", "mlp",    "--data", "synthetic", "--samples", "640",
                         "--batch", "16",      "--seed", "2",      "--threads", "1"};
  for (int number : {SIGINT, SIGTERM}) {
    const TemporaryFolder folder;
    const std::string stopped = folder / "stopped", whole = folder / "whole", json = folder / "results.json";
    cli_test::Program program(command + Words{"--epochs", "1000000", "--save", stopped, "--json", json});
    wait_for(stopped + "/state.json", program);
    program.signal(number);
    const cli_test::Result result = program.wait();
    CHECK(result.code == 128 + number);
    CHECK_THAT(result.out, Contains(number == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM"));
    CHECK(nlohmann::json::parse(content(json))["ended"] == (number == SIGINT ? "SIGINT" : "SIGTERM"));
    const auto state = nlohmann::json::parse(content(stopped + "/state.json"));
    const auto steps = state["step"].get<std::int64_t>();
    REQUIRE(steps > 0);
    run(command + Words{"--epochs", "1000000", "--save", whole, "--steps", std::to_string(steps)});
    check_equal_runs(whole, stopped);
  }
}

TEST_CASE("cli train: a kill loses nothing saved", "[cli]") {
  const TemporaryFolder folder;
  const std::string killed = folder / "killed", whole = folder / "whole";
  // An epoch is one step, so that the process saves all the time.
  const Words command = {"train", "--model", "mlp", "--data",    "synthetic", "--samples",
                         "16",    "--batch", "16",  "--threads", "1"};
  std::int64_t last = 0;
  for (int round = 0; round < 6; ++round) {
    const Words start = round == 0 ? command + Words{"--epochs", "1000000", "--save", killed}
                                   : Words{"train", "--resume", killed};
    cli_test::Program program(start);
    wait_for(killed + "/state.json", program);
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + 37 * round));
    program.signal(SIGKILL);
    CHECK(program.wait().code == 1000 + SIGKILL);
    const auto steps = nlohmann::json::parse(content(killed + "/state.json"))["step"].get<std::int64_t>();
    CHECK(steps >= last);
    last = steps;
  }
  REQUIRE(last > 0);
  run({"train", "--resume", killed, "--steps", "1"});
  run(command + Words{"--epochs", "1000000", "--save", whole, "--steps", std::to_string(last + 1)});
  check_equal_runs(whole, killed);  // nor is anything left of the killed processes
}

TEST_CASE("cli train: a resumed run keeps its settings", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  run({"train", "--model", "mlp", "--data", "synthetic", "--samples", "64", "--lr", "0.01", "--save", saved});
  const auto refused = reprise({"train", "--resume", saved, "--lr", "0.1"});
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Contains("--lr: the saved run has 0.01"));
  const auto done = reprise({"train", "--resume", saved});
  CHECK(done.code == 0);
  CHECK_THAT(done.out, Contains("1 of 1 epochs are done"));
  run({"train", "--resume", saved, "--epochs", "2", "--lr", "0.01"});
  CHECK(nlohmann::json::parse(content(saved + "/state.json"))["epoch"] == 2);
}

TEST_CASE("cli train: damaged saved runs are errors", "[cli]") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved";
  run({"train", "--model", "mlp", "--data", "synthetic", "--samples", "64", "--save", saved});
  const std::string state = content(saved + "/state.json");
  const std::string step = nlohmann::json::parse(state)["folder"];
  for (const std::string& name :
       {std::string("state.json"), step + "/weights.safetensors", step + "/optimizer.safetensors"}) {
    const std::string path = saved + "/" + name, whole = content(path);
    std::filesystem::resize_file(path, whole.size() / 2);
    const auto result = reprise({"train", "--resume", saved});
    INFO(name << ": " << result.err);
    CHECK(result.code == 1);
    CHECK_THAT(result.err, Contains(std::filesystem::path(name).filename().string()));
    std::filesystem::remove(path);
    CHECK(reprise({"train", "--resume", saved}).code == 1);
    std::ofstream(path, std::ios::binary) << whole;
  }
  run({"train", "--resume", saved});
}

TEST_CASE("cli train: it learns, and says so", "[cli]") {
  const TemporaryFolder folder;
  const std::string json = folder / "results.json";
  const auto result = reprise({"train", "--model", "mlp", "--data", "synthetic", "--samples", "2048",
                               "--epochs", "3", "--json", json, "--memory-limit", "64MiB"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, Contains("epoch 3/3") && Contains("test accuracy") && Contains("images/s") &&
                             Contains("live") && Contains("peak"));
  const auto results = nlohmann::json::parse(content(json));
  CHECK(results["epochs"].size() == 3);
  CHECK(results["epochs"][2]["loss"] < results["epochs"][0]["loss"]);
  CHECK(results["test_accuracy"] > 0.9);
  CHECK(results["ended"] == "epochs");
  CHECK(results["peak_bytes"] > 0);
}

TEST_CASE("cli train: real images", "[cli]") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    WARN("skipped: the package dataset-fashion-mnist is not installed");
    return;
  }
  const TemporaryFolder folder;
  const std::string json = folder / "results.json";
  run({"train", "--model", "mlp", "--batch", "128", "--checkpoint", "block", "--json", json});
  const auto results = nlohmann::json::parse(content(json));
  CHECK(results["data"] == "fashion-mnist");
  CHECK(results["steps"] == 469);  // 60,000 samples: the last batch has 96
  CHECK(results["test_accuracy"] > 0.8);
}
