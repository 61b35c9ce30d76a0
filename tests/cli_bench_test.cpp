// `reprise bench` and `reprise compare`: the keys of the line, the prediction that is the measurement, and equal bits.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::reprise;
using Words = std::vector<std::string>;

TEST_CASE("cli bench: one line of JSON, and a dry run that foretells the peak", "[cli]") {
  struct Case {
    const char *model, *batch, *dtype;
    std::int64_t parameters;
  };
  for (const Case& c : {Case{"mlp", "64", "f32", 101770}, Case{"lenet", "8", "f32", 421642},
                        Case{"lenet", "2", "f64", 421642}, Case{"lenet", "4", "bf16", 421642},
                        Case{"chain", "16", "f32", 6581770}, Case{"resnet18", "2", "f32", 11173962},
                        Case{"gpt", "1", "f32", 10795776}}) {
    std::size_t none = 0;
    for (const std::string checkpoint : {"none", "block", "sqrt"}) {
      const auto result = reprise({"bench", "--model", c.model, "--batch", c.batch, "--dtype", c.dtype,
                                   "--checkpoint", checkpoint, "--steps", "2"});
      INFO(c.model << " " << checkpoint << ": " << result.out << result.err);
      REQUIRE(result.code == 0);
      CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
      const auto line = nlohmann::ordered_json::parse(result.out);
      Words keys;
      for (const auto& [key, value] : line.items()) keys.push_back(key);
      CHECK(keys == Words{"model", "dtype", "checkpoint", "median_s", "min_s", "peak_bytes",
                          "predicted_peak_bytes", "peak_activation_bytes", "peak_by_tag", "replayed_nodes",
                          "params", "base_rss_mb", "peak_rss_mb"});
      CHECK(line["model"] == c.model);
      CHECK(line["dtype"] == c.dtype);
      CHECK(line["checkpoint"] == checkpoint);
      CHECK(line["params"] == c.parameters);
      CHECK(line["min_s"] > 0);
      CHECK(line["median_s"] >= line["min_s"]);
      CHECK(line["predicted_peak_bytes"] == line["peak_bytes"]);
      std::size_t tagged = 0;
      for (const auto& [tag, bytes] : line["peak_by_tag"].items()) tagged += bytes.get<std::size_t>();
      CHECK(line["peak_bytes"] == tagged);
      // Weights and momentum live through the step; their gradients are made in it.
      const std::size_t weights =
          static_cast<std::size_t>(c.parameters) * (std::string(c.dtype) == "f64" ? 8 : 4);
      // AdamW has two moments, and parameters in bf16 have masters.
      const bool two = std::string(c.model) == "gpt" || std::string(c.dtype) == "bf16";
      CHECK(line["peak_by_tag"]["optimizer"] == (two ? 2 * weights : weights));
      CHECK(line["peak_activation_bytes"] >= weights);
      if (checkpoint == "none") {
        none = line["peak_activation_bytes"];
        CHECK(line["replayed_nodes"] == 0);
      } else {
        // A block of lenet keeps little but a byte a pooled place: making it again can take more than that.
        if (std::string(c.model) != "lenet") CHECK(line["peak_activation_bytes"] <= none);
      }
      if (checkpoint == "block") CHECK(line["replayed_nodes"] > 0);
    }
  }
}

TEST_CASE("cli bench: the profile's ops and the rest make up the step", "[cli]") {
  const auto result = reprise({"bench", "--model", "lenet", "--batch", "8", "--steps", "3", "--profile"});
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, Contains("conv2d_backward_weight"));
  const std::size_t last = result.out.rfind('{', result.out.rfind("\"model\""));
  const auto profile = nlohmann::ordered_json::parse(result.out.substr(last))["profile"];
  CHECK(profile["f32_gflops"] > 0);
  CHECK(profile["gigabytes_per_s"] > 0);
  double share = 0, convolutions = 0;
  for (const auto& op : profile["ops"]) {
    share += op["share"].get<double>();
    if (op["op"] == "conv2d") convolutions = op["calls"];
  }
  CHECK(share == Approx(1.0));
  CHECK(convolutions == 2);
}

TEST_CASE("cli compare: every bit is equal", "[cli]") {
  const TemporaryFolder folder;
  const std::string json = folder / "table.json";
  for (const Words& words :
       {Words{"--model", "mlp", "--batch", "16"}, Words{"--model", "lenet", "--batch", "4", "--dtype", "f64"},
        Words{"--model", "lenet", "--batch", "4", "--checkpoint", "1,2,block,sqrt"},
        Words{"--model", "chain", "--batch", "8", "--checkpoint", "sqrt,7", "--optimizer", "adamw"},
        Words{"--model", "resnet18", "--batch", "2", "--checkpoint", "block,3"},
        Words{"--model", "gpt", "--batch", "2", "--layers", "4", "--width", "32", "--heads", "4", "--context",
              "32", "--dropout", "0.1", "--checkpoint", "block,3"}}) {
    Words command = {"compare", "--steps", "2", "--json", json};
    command.insert(command.end(), words.begin(), words.end());
    const auto result = reprise(command);
    INFO(result.out << result.err);
    CHECK(result.code == 0);
    CHECK_THAT(result.out, Contains("gradients equal: yes"));
    const auto table = nlohmann::json::parse(cli_test::content(json));
    CHECK(table["equal"] == true);
    REQUIRE(table["settings"].size() >= 3);
    CHECK(table["settings"][0]["checkpoint"] == "none");
    CHECK(table["settings"][0]["replayed_nodes"] == 0);
    for (const auto& row : table["settings"]) {
      CHECK(row["losses_equal"] == true);
      CHECK(row["gradients_equal"] == true);
      CHECK(row["state_equal"] == true);
      CHECK(row["losses"] == table["settings"][0]["losses"]);
    }
  }
}
