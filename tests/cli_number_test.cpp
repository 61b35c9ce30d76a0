// Numbers on the command line: decimal, within a range, and anything else is refused before anything runs.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reprise/cli/bytes.h"
#include "reprise/cli/number.h"
#include "reprise/core/error.h"
#include "reprise/tests/cli_program.h"

using Catch::Contains;
using cli_test::operator+;
using Words = std::vector<std::string>;

namespace {

struct NumberOption {
  std::string command, name;
  Words below, above;  // the nearest numbers out of its range
};

const std::string kHuge = "999999999999999999999999999";  // 27 digits

// Every number option of every command.
std::vector<NumberOption> whole_numbers() {
  std::vector<NumberOption> options;
  const auto add = [&](const Words& commands, const std::string& name, const Words& below,
                       const std::string& above) {
    for (const std::string& command : commands) options.push_back({command, name, below, {above, kHuge}});
  };
  const Words steps = {"train", "bench", "compare", "plan"};
  for (const char* name : {"--layers", "--width", "--heads", "--context"})
    add(steps, name, {"0", "-1"}, std::string(name) == "--layers" ? "10001" : "1000001");
  add(steps, "--batch", {"0", "-1"}, "10000001");
  add(steps + Words{"generate"}, "--threads", {"-1"}, "1025");
  add({"train", "bench", "compare", "generate"}, "--seed", {"-1"}, "18446744073709551616");
  add({"train"}, "--steps", {"-1"}, "1000000000001");
  add({"train"}, "--warmup", {"-1"}, "1000000000001");
  add({"train"}, "--validate-every", {"-1"}, "1000000000001");
  add({"train"}, "--samples", {"0", "-1"}, "100000001");
  add({"train"}, "--epochs", {"0", "-1"}, "1000000001");
  add({"bench"}, "--steps", {"0", "-1"}, "1000001");
  add({"compare"}, "--steps", {"0", "-1"}, "10001");
  add({"plan"}, "--steps", {"-1"}, "10001");
  add({"generate"}, "--tokens", {"-1"}, "1000000001");
  add({"generate"}, "--top-k", {"-1"}, "1000000001");
  return options;
}

const std::vector<NumberOption> kNumbers = {
    {"train", "--lr", {"-1"}, {"1e39"}},
    {"train", "--momentum", {"-0.1"}, {"1.1"}},
    {"train", "--dropout", {"-0.1"}, {"1.1"}},
    {"train", "--validation", {"-0.1"}, {"1.1"}},
    {"train", "--weight-decay", {"-1"}, {"1e39"}},
    {"bench", "--dropout", {"-0.1"}, {"1.1"}},
    {"compare", "--dropout", {"-0.1"}, {"1.1"}},
    {"plan", "--dropout", {"-0.1"}, {"1.1"}},
    {"generate", "--temperature", {"-1"}, {"1001"}},
};

void check_refused(const NumberOption& option, const std::string& text, const std::string& why) {
  Words words = {option.command, option.name, text};
  if (option.command == "generate") words = words + Words{"--load", "none"};
  INFO("reprise " << option.command << " " << option.name << " '" << text << "'");
  const cli_test::Result result = cli_test::reprise(words);
  CHECK(result.code == 2);
  CHECK_THAT(result.err, Contains(option.name) && Contains(why));
}

}  // namespace

TEST_CASE("cli numbers: every number option refuses what is out of its range", "[cli]") {
  for (const NumberOption& option : whole_numbers()) {
    for (const std::string& text : option.below + option.above) check_refused(option, text, "is not within");
    check_refused(option, "0x10", "is not a whole decimal number");
  }
  for (const NumberOption& option : kNumbers) {
    for (const std::string& text : option.below + option.above + Words{"nan", "inf", "1e400"})
      check_refused(option, text, "is not within");
    check_refused(option, "0x1p3", "is not a decimal number");
  }
}

TEST_CASE("cli numbers: the text of a whole number is decimal, and nothing else", "[cli]") {
  using reprise::cli::WholeRange, reprise::cli::whole_number_problem;
  const WholeRange range{0, 100};
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "1e1", "0b1", "0x1", "x", "1_0", "1,0", "--1", "½"}) {
    INFO("'" << text << "'");
    std::string copy = text;
    CHECK_THAT(whole_number_problem(copy, range), Contains("is not a whole decimal number"));
  }
  for (const char* text : {"-1", "101", "-99999999999999999999999", "99999999999999999999999"}) {
    INFO(text);
    std::string copy = text;
    CHECK_THAT(whole_number_problem(copy, range), Contains("is not within 0 and 100"));
  }
  std::string ten = "010";
  CHECK(whole_number_problem(ten, range).empty());
  CHECK(ten == "10");
  std::string seed = "18446744073709551615";
  CHECK(reprise::cli::seed_problem(seed).empty());
  CHECK(seed == "18446744073709551615");
}

TEST_CASE("cli numbers: a size is a whole number of bytes", "[cli]") {
  using reprise::cli::parse_bytes;
  CHECK(parse_bytes("1") == 1);
  CHECK(parse_bytes("9007199254740993") == 9007199254740993U);  // 2^53 + 1, which no double holds
  CHECK(parse_bytes("512MiB") == std::size_t{512} << 20U);
  CHECK(parse_bytes("1.5gib") == std::size_t{3} << 29U);
  CHECK(parse_bytes("0.5KiB") == 512);
  CHECK(parse_bytes("4611686018427387903") == (std::size_t{1} << 62U) - 1);
  for (const char* text : {"0", "0MiB", "0.0001KiB", "4611686018427387904", "5000000000GiB",
                           "99999999999999999999999999", "999999999999999999999999999GiB"}) {
    INFO(text);
    CHECK_THROWS_WITH(parse_bytes(text), Contains("is not within 1 byte and"));
  }
  for (const char* text : {"", "0.1", "1.5", "1.5B", "-1", "+1", "1e9", "inf", "nan", "0x10", "1 GiB", "GiB",
                           "1..5GiB", "1GiBs", ".", ".MiB"}) {
    INFO(text);
    CHECK_THROWS_WITH(parse_bytes(text), Contains("is not a size"));
  }
  for (const std::string option : {"--memory-limit", "--budget"})
    for (const std::string text : {"0", "0.1", "999999999999999999999999999"}) {
      const auto result = cli_test::reprise({"bench", "--model", "mlp", option, text});
      INFO(option << " " << text << ": " << result.err);
      CHECK(result.code == 2);
      CHECK_THAT(result.err, Contains(option));
    }
}

TEST_CASE("cli numbers: the help names each range", "[cli]") {
  const std::string help = cli_test::run({"train", "--help"}).out;
  CHECK_THAT(help, Contains("1..10000000") && Contains("0..1024") && Contains("0..1"));
}
