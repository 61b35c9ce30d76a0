// `reprise plan`, and the plans of `bench` and `train`.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"
#include "reprise/tests/temporary_folder.h"

using Catch::Contains;
using cli_test::reprise;
using nlohmann::json;

namespace {

using Words = std::vector<std::string>;

// Small enough that a step takes milliseconds, with more activations than weights.
Words small_gpt(const std::string& command, Words more = {}) {
  Words words = {command,   "--model", "gpt",       "--layers", "4",       "--width", "32",
                 "--heads", "2",       "--context", "64",       "--batch", "16"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

TEST_CASE("cli plan: a plan for a budget is written, and a step keeps to it", "[cli]") {
  const TemporaryFolder folder;
  const std::string file = folder / "plan.json";
  const auto none = reprise(small_gpt("bench", {"--steps", "1"}));
  REQUIRE(none.code == 0);
  const std::size_t all = json::parse(none.out)["peak_bytes"];
  const std::string budget = std::to_string(all * 6 / 10);

  const auto planned = reprise(small_gpt("plan", {"--budget", budget, "--out", file}));
  INFO(planned.out << planned.err);
  REQUIRE(planned.code == 0);
  for (const char* word : {"none", "auto", "sqrt", "graph", "rotor", "revolve", "recursive", "largest batch"})
    CHECK_THAT(planned.out, Contains(word));
  const json plan = json::parse(cli_test::content(file));
  CHECK(plan["predicted_peak"] <= all * 6 / 10);
  CHECK(plan["replays"] > 0);

  const auto from_file = reprise(small_gpt("bench", {"--steps", "1", "--plan", file}));
  INFO(from_file.out << from_file.err);
  REQUIRE(from_file.code == 0);
  const json line = json::parse(from_file.out);
  CHECK(line["checkpoint"] == "plan");
  CHECK(line["replayed_nodes"] == plan["replays"]);
  CHECK(line["predicted_peak_bytes"] == line["peak_bytes"]);
  // A plan leaves out the tag data, which a budget does not count.
  const std::size_t data = line["peak_by_tag"]["data"];
  CHECK(line["peak_bytes"].get<std::size_t>() - data == plan["predicted_peak"]);

  const auto from_budget = reprise(small_gpt("bench", {"--steps", "1", "--budget", budget}));
  REQUIRE(from_budget.code == 0);
  CHECK(json::parse(from_budget.out)["peak_bytes"] == line["peak_bytes"]);
  CHECK(json::parse(from_budget.out)["budget_bytes"].dump() == budget);

  // Another model's step: said where it first differs.
  const auto other = reprise({"bench", "--model", "lenet", "--batch", "4", "--steps", "1", "--plan", file});
  CHECK(other.code == 1);
  CHECK_THAT(other.err, Contains("node 0 is conv2d"));
}

TEST_CASE("cli plan: what cannot be is refused", "[cli]") {
  const auto tight = reprise({"plan", "--model", "mlp", "--batch", "4", "--budget", "100000"});
  CHECK(tight.code == 1);
  CHECK_THAT(tight.err, Contains("no plan fits 100000 bytes: the least is"));
  const auto bench = reprise({"bench", "--model", "mlp", "--batch", "4", "--budget", "100000"});
  CHECK(bench.code == 1);
  CHECK_THAT(bench.err, Contains("over the budget of 100000"));
  const auto both = reprise({"bench", "--model", "mlp", "--budget", "1GiB", "--plan", "x.json"});
  CHECK(both.code == 2);
  const auto setting = reprise({"bench", "--model", "mlp", "--budget", "1GiB", "--checkpoint", "block"});
  CHECK(setting.code == 2);
  CHECK_THAT(setting.err, Contains("--checkpoint"));
  const auto planner = reprise({"plan", "--model", "mlp", "--planner", "best"});
  CHECK(planner.code == 2);
  CHECK_THAT(planner.err, Contains("rotor"));
  CHECK(reprise({"plan", "--model", "mlp", "--out", "x.json"}).code == 2);
  CHECK(reprise({"bench", "--model", "mlp", "--plan", "there_is_no_such_file.json"}).code == 1);
}

TEST_CASE("cli plan: a model that does not fit this machine", "[cli]") {
  const auto result = reprise({"plan", "--model", "gpt2-1.5b", "--batch", "8", "--planner", "sqrt"});
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, Contains("gpt2-1.5b, batch 8, f32"));
}

TEST_CASE("cli train: with a budget the losses are the same bits", "[cli]") {
  const TemporaryFolder folder;
  const auto losses = [&](const std::string& budget) {
    const std::string file = folder / "result.json";
    std::vector<std::string> words = small_gpt("train");
    words.insert(words.end(), {"--data", "synthetic", "--samples", "24", "--threads", "2", "--json", file});
    if (!budget.empty()) words.insert(words.end(), {"--budget", budget});
    const auto result = reprise(words);
    INFO(result.out << result.err);
    REQUIRE(result.code == 0);
    if (!budget.empty()) CHECK_THAT(result.out, Contains("nodes run again"));
    return json::parse(cli_test::content(file));
  };
  const json plain = losses("");
  const json planned = losses(std::to_string(plain["peak_bytes"].get<std::size_t>() * 7 / 10));
  CHECK(planned["epochs"] == plain["epochs"]);
  CHECK(planned["peak_bytes"] < plain["peak_bytes"]);
}

TEST_CASE("cli plan: the frontier of all planners, plans compared and checked", "[cli]") {
  const TemporaryFolder folder;
  const std::string frontier = folder / "frontier", first = folder / "first.json",
                    second = folder / "second.json";
  const auto sweep = reprise(small_gpt("plan", {"--sweep", frontier, "--steps", "1"}));
  INFO(sweep.out << sweep.err);
  REQUIRE(sweep.code == 0);
  const std::string csv = cli_test::content(frontier + ".csv"), svg = cli_test::content(frontier + ".svg");
  CHECK_THAT(csv,
             Catch::StartsWith("planner,budget_bytes,peak_bytes,activations,replays,extra_flops,time\n"));
  for (const char* planner : {"auto", "sqrt", "graph", "rotor", "revolve", "recursive", "dtr"}) {
    CHECK_THAT(csv, Contains(std::string("\n") + planner + ","));
    CHECK_THAT(svg, Contains(std::string(">") + planner + "</text>"));
  }
  CHECK_THAT(svg, Catch::StartsWith("<svg") && Catch::EndsWith("</svg>\n"));
  CHECK_THAT(svg, !Contains("href"));  // it needs no other file

  REQUIRE(reprise(small_gpt("plan", {"--budget", "7MiB", "--out", first})).code == 0);
  REQUIRE(reprise(small_gpt("plan", {"--budget", "6MiB", "--out", second})).code == 0);
  const auto same = reprise({"plan", "--diff", first + "," + first});
  CHECK(same.out == "the plans are the same\n");
  const auto different = reprise({"plan", "--diff", first + "," + second});
  CHECK_THAT(different.out, Contains("region [") && Contains("predicted peak"));
  CHECK(reprise({"plan", "--diff", first}).code == 2);
  const auto valid = reprise(small_gpt("plan", {"--validate", first}));
  INFO(valid.out << valid.err);
  CHECK(valid.code == 0);
  const std::size_t predicted = json::parse(cli_test::content(first))["predicted_peak"];
  CHECK_THAT(valid.out, Contains("peak " + std::to_string(predicted) + " bytes"));
  const auto other = reprise({"plan", "--model", "lenet", "--validate", first});
  CHECK(other.code == 1);
  CHECK_THAT(other.err, Contains("node 0 is conv2d"));
}

TEST_CASE("cli bench: values are let go of as a step runs", "[cli]") {
  const auto result = reprise(small_gpt("bench", {"--steps", "1", "--budget", "7MiB", "--planner", "dtr"}));
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  const json line = json::parse(result.out);
  CHECK(line["checkpoint"] == "dtr");
  CHECK(line["replayed_nodes"] > 0);
  CHECK(line["peak_bytes"].get<std::size_t>() - line["peak_by_tag"]["data"].get<std::size_t>() <= 7U << 20U);
}
