// Runs random cases of every public op in every mode, and compares the modes with each other.
//
//   differential_ops [--seed S] [--first N] [--count N] [--op NAME] [--write yes]
//
// --op draws cases of one op only. --write sends cases and results to standard output for
// against_pytorch.py; the report goes to standard error. Exits with 1 if a case differs or if ops/ops.h
// declares a function that no case draws.
#include <exception>
#include <iostream>
#include <map>

#include "reprise/tests/differential/case_run.h"
#include "reprise/tests/differential/command_line.h"
#include "reprise/tests/differential/stream.h"

using namespace reprise::test::differential;

namespace {

struct Totals {
  std::map<std::string, std::uint64_t> cases, wrong;  // per op
  std::uint64_t wrong_cases = 0;
};

void run_case(const CommandLine& options, std::uint64_t number, Totals& totals) {
  CaseRun run(options.number("seed"), number, options.text("op"));
  const std::vector<std::string> differences = run.differences();
  ++totals.cases[run.subject().op];
  if (!differences.empty()) {
    ++totals.wrong_cases;
    if (++totals.wrong[run.subject().op] <= 3)
      std::cerr << run.subject().op << " " << reprise::to_string(run.dtype()) << ", "
                << to_string(run.values()) << " values, " << run.drawn().options.dump() << ": --seed "
                << options.text("seed") << " --first " << number << " --count 1"
                << (options.text("op").empty() ? "" : " --op " + options.text("op")) << '\n';
    if (totals.wrong[run.subject().op] <= 3)
      for (const std::string& line : differences) std::cerr << "    " << line << std::endl;
  }
  const bool threw = !differences.empty() && differences.back().starts_with("threw");
  if (options.text("write") == "yes" && !threw) write(std::cout, number, run);
}

int run_all(const CommandLine& options) {
  int status = 0;
  for (const std::string& op : missing_subjects()) {
    std::cerr << "ops/ops.h declares " << op << ", which no differential case draws" << std::endl;
    status = 1;
  }
  Totals totals;
  const std::uint64_t first = options.number("first"), count = options.number("count");
  for (std::uint64_t i = 0; i < count; ++i) run_case(options, first + i, totals);
  for (const auto& [op, wrong] : totals.wrong)
    std::cerr << op << ": " << wrong << " of " << totals.cases[op] << " cases differ" << std::endl;
  std::cerr << count << " cases of " << totals.cases.size() << " ops, seed " << options.text("seed") << ": "
            << totals.wrong_cases << " differ between kernels, threads or regions" << std::endl;
  return totals.wrong_cases == 0 ? status : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_all(CommandLine(
        argc, argv, {{"seed", "1"}, {"first", "0"}, {"count", "2000"}, {"op", ""}, {"write", "no"}}));
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  }
}
