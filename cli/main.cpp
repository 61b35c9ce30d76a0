// The program `reprise`. Exit codes: 0; 1: something went wrong in a run; 2: the command line asks for what cannot be; 128
// and the signal's number: stopped by a signal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <sstream>
#include <string>

#include "reprise/cli/arguments.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"

namespace {

using namespace reprise;
using namespace reprise::cli;

int run_train(const CLI::App& app, TrainOptions& options) {
  options.given = given_options(app);
  const bool decay_given = app.get_option("--weight-decay")->count() > 0;
  if (!decay_given && options.settings.optimizer != "adamw") options.settings.weight_decay = 0;
  return train(options);
}

int fail(int code, const std::string& message) {
  flush_output();
  std::fputs(("reprise: " + message + "\n").c_str(), stderr);  // fmt::print throws if nobody reads it
  return code;
}

// In one line, with the place to look.
std::string usage_message(const CLI::App& root, const CLI::ParseError& error, int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  const std::vector<const CLI::App*> commands = root.get_subcommands({});
  const auto named = std::find_if(commands.begin(), commands.end(),
                                  [&](const CLI::App* command) { return command->get_name() == first; });
  if (named == commands.end()) {
    std::vector<std::string> names;
    for (const CLI::App* command : commands) names.push_back(command->get_name());
    const std::string wrong =
        first.empty() ? "a command is needed" : fmt::format("'{}' is not a command", first);
    return fmt::format("{}: {} (see reprise --help)", wrong, fmt::join(names, ", "));
  }
  std::string message = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error))
    message = fmt::format("'{}' is not an option", fmt::join((*named)->remaining(true), " "));
  std::replace(message.begin(), message.end(), '\n', ' ');
  return fmt::format("{} (see reprise {} --help)", message, first);
}

int run_command(const CLI::App& root, Arguments& arguments) {
  if (root.got_subcommand("train")) return run_train(*root.get_subcommand("train"), arguments.train);
  if (root.got_subcommand("bench")) return bench(arguments.bench);
  if (root.got_subcommand("compare")) return compare(arguments.compare);
  if (root.got_subcommand("plan")) return plan(arguments.plan);
  if (root.got_subcommand("generate")) return generate(arguments.generate);
  if (root.got_subcommand("devices")) return list_devices();
  return list_models();
}

int run(CLI::App& root, Arguments& arguments, int argc, char** argv) {
  try {
    root.parse(argc, argv);
    return run_command(root, arguments);
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    const int code = root.exit(success, text, text);
    write_output(text.str());
    return code;
  } catch (const CLI::ParseError& error) {
    return fail(2, usage_message(root, error, argc, argv));
  } catch (const UsageError& error) {
    return fail(2, error.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "the system has no memory left");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}

// Results that nobody got are an error, even if everything else went well.
int finish(int code) {
  try {
    check_output();
    return code;
  } catch (const FileError& error) {
    return code != 0 ? code : fail(1, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  prepare_output();
  CLI::App root(
      "Trains networks with gradient checkpointing, and shows what it does to memory, time and gradients.",
      "reprise");
  root.require_subcommand(1);
  root.option_defaults()->always_capture_default();
  root.set_version_flag("--version", REPRISE_VERSION);
  root.footer(
      "\nTo begin with:\n"
      "  reprise compare --model resnet18                a step with and without checkpointing, bit for bit\n"
      "  reprise train --model lenet --checkpoint block  LeNet on Fashion-MNIST\n"
      "  reprise train --model gpt --data text:FILE --save DIR, then reprise generate --load DIR\n"
      "  reprise plan --model resnet50 --budget 1GiB     how a step fits into it, and what that costs\n"
      "  reprise COMMAND --help                          a command's options");
  Arguments arguments;
  add_commands(root, arguments);
  return finish(run(root, arguments, argc, argv));
}
