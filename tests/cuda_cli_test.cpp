// `reprise ... --device cuda`: the commands run on a CUDA device as they do on the CPU. REPRISE_CUDA_PLUGIN, which the
// programs inherit, names the emulator (tests/cuda_emulated.cpp).
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::reprise;
using Words = std::vector<std::string>;

namespace {

nlohmann::json bench(Words words) {
  words.insert(words.begin(), {"bench", "--model", "gpt", "--layers", "4", "--width", "32", "--heads", "2",
                               "--context", "32", "--batch", "4", "--steps", "1"});
  const cli_test::Result result = reprise(words);
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("cli --device: a step on a CUDA device has its peak foretold, and keeps to a plan", "[cuda]") {
  const nlohmann::json all = bench({"--device", "cuda"});
  CHECK(all["device"] == "cuda:0");
  CHECK(all["peak_bytes"] == all["predicted_peak_bytes"]);
  const auto bytes = [&](const char* name) { return all[name].get<std::size_t>(); };
  const std::size_t budget = bytes("peak_bytes") - bytes("peak_activation_bytes") / 4;
  const std::string other = std::getenv("REPRISE_TEST_GPU") ? "cuda:0" : "cuda:1";  // the emulator has two
  const nlohmann::json planned = bench({"--device", other, "--budget", std::to_string(budget)});
  CHECK(planned["device"] == other);
  CHECK(planned["peak_bytes"] == planned["predicted_peak_bytes"]);
  CHECK(planned["peak_bytes"] <= budget);
  CHECK(planned["replayed_nodes"] > 0);
}

TEST_CASE("cli --device: checkpointing changes no bit on a CUDA device", "[cuda]") {
  const cli_test::Result result =
      reprise({"compare", "--model", "lenet", "--batch", "2", "--steps", "2", "--device", "cuda"});
  INFO(result.out << result.err);
  CHECK(result.code == 0);
  CHECK_THAT(result.out, Contains("gradients equal: yes"));
}

TEST_CASE("cli --device: a run trained on a CUDA device is resumed there, and writes text on either",
          "[cuda]") {
  const TemporaryFolder folder;
  const std::string text = folder / "text", whole = folder / "whole", parts = folder / "parts";
  {
    std::ofstream file(text);
    for (int i = 0; i < 20; ++i) file << "the quick brown fox jumps over the lazy dog;\n";
  }
  const Words train = {"train",    "--device", "cuda",    "--data", "text:" + text, "--model", "gpt",
                       "--layers", "1",        "--width", "32",     "--heads",      "2",       "--context",
                       "16",       "--batch",  "4"};
  const auto run = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    const cli_test::Result result = reprise(words);
    INFO(result.out << result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  run(train, {"--save", whole, "--steps", "4"});
  run(train, {"--save", parts, "--steps", "2"});
  run({"train", "--device", "cuda"}, {"--resume", parts, "--steps", "2"});
  CHECK(cli_test::tree(whole) == cli_test::tree(parts));
  const Words generate = {"generate", "--load", whole, "--tokens", "8", "--temperature", "0"};
  CHECK(run(generate, {"--device", "cuda"}).size() >= 8);
  CHECK(run(generate, {}).size() >= 8);
}

TEST_CASE("cli --cuda-graph: replays have the peak that was foretold, and train to the same bits", "[cuda]") {
  const nlohmann::json line =
      bench({"--device", "cuda", "--checkpoint", "block", "--dropout", "0.1", "--cuda-graph"});
  CHECK(line["peak_bytes"] == line["predicted_peak_bytes"]);
  CHECK(line["replayed_nodes"] > 0);
  CHECK(line["cuda_graph_bytes"] > line["peak_activation_bytes"]);

  const TemporaryFolder folder;
  const auto trained = [&](const std::string& name, const Words& more) {
    // Each epoch's third batch has two samples.
    Words words = {"train", "--device", "cuda", "--model",  "mlp", "--data", "synthetic",  "--samples",
                   "10",    "--batch",  "4",    "--epochs", "2",   "--save", folder / name};
    words.insert(words.end(), more.begin(), more.end());
    const cli_test::Result result = reprise(words);
    INFO(result.out << result.err);
    REQUIRE(result.code == 0);
    return cli_test::tree(folder / name);
  };
  CHECK(trained("graph", {"--cuda-graph"}) == trained("plain", {}));

  const cli_test::Result on_cpu = reprise({"bench", "--model", "mlp", "--cuda-graph"});
  CHECK(on_cpu.code == 2);
  CHECK_THAT(on_cpu.err, Contains("--cuda-graph: only a CUDA device captures a step; add --device cuda"));
  const cli_test::Result online = reprise({"train", "--model", "mlp", "--data", "synthetic", "--device",
                                           "cuda", "--cuda-graph", "--budget", "1GiB", "--planner", "dtr"});
  CHECK(online.code == 2);
  CHECK_THAT(online.err, Contains("--cuda-graph: --planner dtr"));
}

TEST_CASE("cli --device: what cannot be is said", "[cuda]") {
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x"}) {
    const cli_test::Result result = reprise({"bench", "--model", "mlp", "--device", name});
    CHECK(result.code == 2);
    CHECK_THAT(result.err, Contains("--device") && Contains("cpu, cuda or cuda:N"));
  }
  const cli_test::Result beyond = reprise({"train", "--model", "mlp", "--device", "cuda:99"});
  CHECK(beyond.code == 1);
  CHECK_THAT(beyond.err, Contains("cuda:99"));
  const cli_test::Result profile = reprise({"bench", "--model", "mlp", "--device", "cuda", "--profile"});
  CHECK(profile.code == 2);
  CHECK_THAT(profile.err, Contains("--profile"));
  const cli_test::Result limit =
      reprise({"bench", "--model", "lenet", "--batch", "2", "--device", "cuda", "--memory-limit", "4MiB"});
  CHECK(limit.code == 1);
  CHECK_THAT(limit.err, Contains("out of memory on cuda:0"));
}
