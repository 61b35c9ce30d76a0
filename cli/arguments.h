#pragma once
// The commands of the program with their options, as CLI11 reads them.
#include <string>
#include <vector>

#include "reprise/cli/options.h"

namespace CLI {
class App;
}

namespace reprise::cli {

// The options of each command.
struct Arguments {
  TrainOptions train;
  BenchOptions bench;
  CompareOptions compare;
  PlanCommandOptions plan;
  GenerateOptions generate;
};

// Adds the commands to `root`; parsing then fills `arguments`, which must outlive `root`.
void add_commands(CLI::App& root, Arguments& arguments);

// The options that were given, named as in TrainSettings ("weight_decay").
std::vector<std::string> given_options(const CLI::App& command);

}  // namespace reprise::cli
