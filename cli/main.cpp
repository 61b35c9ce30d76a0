// The program `reprise`. Exit codes: 0; 1: something went wrong in a run; 2: the command line asks for what cannot be; 128
// and the signal's number: stopped by a signal.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <string>

#include "reprise/checkpoint/planners.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/cli/source.h"

namespace {

using namespace reprise;
using namespace reprise::cli;

constexpr const char* kCheckpointHelp =
    "none; block: each block but the last is a region; recompute_cheap: each is one that keeps products, "
    "convolutions and attention; sqrt: round(sqrt(blocks)) segments; N: that many segments";

CLI::Validator one_of(const std::vector<std::string>& names) {
  return CLI::Validator(
      [names](std::string& text) {
        if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
        return fmt::format("'{}' is not one of {}", text, fmt::join(names, ", "));
      },
      "", "one of");
}

CLI::Validator at_least(std::int64_t least) {
  return CLI::Validator(
      [least](std::string& text) {
        std::int64_t value = 0;
        if (!CLI::detail::lexical_cast(text, value)) return fmt::format("'{}' is not a whole number", text);
        if (value < least) return fmt::format("{} is less than {}", value, least);
        return std::string();
      },
      "", "at least");
}

CLI::Validator not_negative() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value)) return fmt::format("'{}' is not a number", text);
        if (!(value >= 0)) return fmt::format("{} is negative", value);
        return std::string();
      },
      "", "not negative");
}

void add_size(CLI::App& app, const std::string& name, std::optional<std::size_t>& size,
              const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&size, name](const std::string& text) {
           try {
             size = parse_bytes(text);
           } catch (const UserError& error) {
             throw CLI::ValidationError(name, error.what());
           }
         },
         help + ": 512MiB, 2GiB or bytes")
      ->type_name("SIZE");
}

void add_memory_limit(CLI::App& app, std::optional<std::size_t>& limit) {
  add_size(app, "--memory-limit", limit, "an allocation above it fails, instead of the machine swapping");
}

void add_planner(CLI::App& app, std::string& planner, bool online) {
  const auto ready = checkpoint::planner_names();
  std::vector<std::string> names(ready.begin(), ready.end());
  if (online) names.emplace_back("dtr");
  app.add_option("--planner", planner,
                 fmt::format("for --budget: {}{}", fmt::join(names, ", "),
                             online ? " (no plan: values are let go of as the step runs)" : ""))
      ->check(one_of(names))
      ->type_name("NAME");
}

void add_plan_request(CLI::App& app, PlanRequest& request) {
  app.add_option("--plan", request.file,
                 "a plan that `reprise plan --out` has written, in place of --checkpoint")
      ->type_name("FILE");
  add_size(app, "--budget", request.budget,
           "plan a step whose live bytes, weights and optimizer included, stay within it");
  add_planner(app, request.planner, true);
}

CLI::Validator dataset() {
  return CLI::Validator(
      [](std::string& text) {
        if (!text_file(text).empty()) return std::string();
        const auto& names = source_names();
        if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
        return fmt::format("'{}' is not one of {}, text:FILE", text, fmt::join(names, ", "));
      },
      "", "dataset");
}

void add_model(CLI::App& app, std::string& model, ModelShape& shape) {
  app.add_option("--model", model, "`reprise models` lists them")
      ->check(one_of(model_names()))
      ->type_name("NAME");
  const auto add_extent = [&app](const char* name, std::int64_t& value, const char* help) {
    app.add_option(name, value, help)->check(at_least(0))->type_name("N");
  };
  add_extent("--layers", shape.layers, "blocks of a GPT; 0: the model's own, as with the next three");
  add_extent("--width", shape.width, "of a GPT");
  add_extent("--heads", shape.heads, "of a GPT; they divide the width");
  add_extent("--context", shape.context, "the most tokens that a GPT reads at once");
  app.add_option("--dropout", shape.dropout, "of a GPT")->check(not_negative())->type_name("P");
}

void add_batch(CLI::App& app, std::int64_t& batch) {
  app.add_option("--batch", batch, "samples per step; 0: as `reprise models` says")
      ->check(at_least(0))
      ->type_name("N");
}

void add_dtype(CLI::App& app, std::string& dtype) {
  app.add_option("--dtype", dtype, "f32, bf16 (with f32 masters in the optimizer) or f64")
      ->check(one_of({"f32", "bf16", "f64"}))
      ->type_name("TYPE");
}

void add_device(CLI::App& app, std::string& device) {
  app.add_option("--device", device, "cpu, cuda or cuda:N; `reprise devices` lists what is there")
      ->type_name("DEVICE");
}

void add_cuda_graph(CLI::App& app, bool& cuda_graph) {
  app.add_flag(
      "--cuda-graph", cuda_graph,
      "capture forward and backward once and replay them as one launch, with the same bits; for --device "
      "cuda, where kernels are so small that the host is what takes time");
}

void add_step_optimizer(CLI::App& app, std::string& name) {
  app.add_option("--optimizer", name,
                 "sgd (with momentum 0.9), adam or adamw; without: adamw for the GPTs, else sgd")
      ->check(one_of(optimizer_names()))
      ->type_name("NAME");
}

void add_threads(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "0: one per core")->check(at_least(0))->type_name("N");
}

void add_train(CLI::App& root, TrainOptions& options) {
  CLI::App& app =
      *root.add_subcommand("train", "Train a model, with test accuracy or validation loss after each epoch");
  TrainSettings& s = options.settings;
  add_model(app, s.model, s);
  app.add_option("--data", s.data, "fashion-mnist, synthetic or text:FILE (plain or gzip)")
      ->check(dataset())
      ->type_name("NAME");
  app.add_option("--tokenizer", s.tokenizer, "of a text: characters (those that it has) or bytes")
      ->check(one_of({"characters", "bytes"}))
      ->type_name("NAME");
  app.add_option("--validation", s.validation, "the share of a text, at its end, that is not trained on")
      ->check(not_negative())
      ->type_name("X");
  app.add_option("--validate-every", s.validate_every,
                 "on a text, print the validation loss every so many steps too; 0: at each epoch's end only")
      ->check(at_least(0))
      ->type_name("N");
  app.add_option("--data-dir", options.data_dir, "the folder of fashion-mnist")->type_name("DIR");
  app.add_option("--samples", s.samples, "how many synthetic samples")->check(at_least(1))->type_name("N");
  app.add_option("--epochs", s.epochs, "passes over the samples")->check(at_least(1))->type_name("N");
  app.add_option("--steps", options.steps, "stop after this many steps of this run; 0: do not")
      ->check(at_least(0))
      ->type_name("N");
  app.add_option("--batch", s.batch, "samples per step")->check(at_least(1))->type_name("N");
  app.add_option("--optimizer", s.optimizer, "sgd, adam or adamw")
      ->check(one_of(optimizer_names()))
      ->type_name("NAME");
  app.add_option("--lr", s.lr, "learning rate")->check(not_negative())->type_name("X");
  app.add_option("--momentum", s.momentum, "of sgd")->check(not_negative())->type_name("X");
  app.add_option("--weight-decay", s.weight_decay, "0.01 for adamw, else 0")
      ->check(not_negative())
      ->type_name("X");
  app.add_option("--schedule", s.schedule,
                 "of the learning rate; cosine: to zero over the run; step: a tenth at half of it, a "
                 "hundredth at three quarters")
      ->check(one_of(schedule_names()))
      ->type_name("NAME");
  app.add_option("--warmup", s.warmup, "steps in which the learning rate rises to its value")
      ->check(at_least(0))
      ->type_name("N");
  app.add_flag("--augment", s.augment, "flip images at random and shift them by up to 2 pixels");
  app.add_option("--checkpoint", s.checkpoint, kCheckpointHelp)->type_name("C");
  add_dtype(app, s.dtype);
  add_device(app, options.device);
  add_cuda_graph(app, options.cuda_graph);
  app.add_option("--seed", s.seed, "of weights, order and augmentation")->type_name("N");
  add_threads(app, s.threads);
  add_plan_request(app, options.plan);
  add_memory_limit(app, options.memory_limit);
  app.add_option("--save", options.save,
                 "save the run here at each epoch's end, at the end of --steps and on SIGINT and SIGTERM")
      ->type_name("DIR");
  app.add_option(
         "--resume", options.resume,
         "go on with a saved run, with its settings; it is saved there again unless --save says otherwise")
      ->type_name("DIR");
  app.add_option("--json", options.json, "write the results to this file")->type_name("FILE");
}

void add_bench(CLI::App& root, BenchOptions& options) {
  CLI::App& app =
      *root.add_subcommand("bench", "Time a training step on made-up input; prints one line of JSON");
  add_model(app, options.model, options.shape);
  add_batch(app, options.batch);
  add_dtype(app, options.dtype);
  add_device(app, options.device);
  add_cuda_graph(app, options.cuda_graph);
  app.add_option("--checkpoint", options.checkpoint, kCheckpointHelp)->type_name("C");
  add_step_optimizer(app, options.optimizer);
  app.add_option("--steps", options.steps, "steps that are timed, after 2 that are not")
      ->check(at_least(1))
      ->type_name("N");
  add_threads(app, options.threads);
  app.add_option("--seed", options.seed, "of weights and input")->type_name("N");
  add_plan_request(app, options.plan);
  app.add_flag("--profile", options.profile,
               "as many steps again: each op's share of the time and its distance from the machine's peak");
  add_memory_limit(app, options.memory_limit);
}

void add_compare(CLI::App& root, CompareOptions& options) {
  CLI::App& app = *root.add_subcommand(
      "compare", "Run the same steps without checkpointing and with it: bits, peak memory, replays, time");
  add_model(app, options.model, options.shape);
  app.add_option("--data", options.data, "fashion-mnist or synthetic")
      ->check(one_of(source_names()))
      ->type_name("NAME");
  app.add_option("--data-dir", options.data_dir, "the folder of fashion-mnist")->type_name("DIR");
  add_batch(app, options.batch);
  add_dtype(app, options.dtype);
  add_device(app, options.device);
  app.add_option("--checkpoint", options.checkpoints, "the settings besides none, with commas: block,sqrt,4")
      ->delimiter(',')
      ->type_name("C,C");
  app.add_option("--optimizer", options.optimizer,
                 "sgd, adam or adamw; without: adamw for the GPTs, else sgd")
      ->check(one_of(optimizer_names()))
      ->type_name("NAME");
  app.add_option("--steps", options.steps, "steps with each setting; time is the median of all but the first")
      ->check(at_least(1))
      ->type_name("N");
  add_threads(app, options.threads);
  app.add_option("--seed", options.seed, "of weights and input")->type_name("N");
  add_memory_limit(app, options.memory_limit);
  app.add_option("--json", options.json, "write the table to this file")->type_name("FILE");
}

void add_plan(CLI::App& root, PlanCommandOptions& options) {
  CLI::App& app = *root.add_subcommand(
      "plan", "What a training step takes under each planner, foretold by a dry run; the model need not fit");
  add_model(app, options.model, options.shape);
  add_batch(app, options.batch);
  add_dtype(app, options.dtype);
  add_step_optimizer(app, options.optimizer);
  add_size(app, "--budget", options.budget,
           "live bytes of the step, weights and optimizer included; without: half and a quarter of the "
           "activations, and "
           "the least");
  add_planner(app, options.planner, false);
  app.add_option("--sweep", options.sweep,
                 "time against memory for all planners into NAME.csv and NAME.svg; time is modelled, or "
                 "measured with "
                 "--steps")
      ->type_name("NAME");
  app.add_option("--steps", options.steps, "of --sweep: real steps with each plan, and online eviction too")
      ->check(at_least(0))
      ->type_name("N");
  app.add_option("--validate", options.validate,
                 "is this plan one for such a step? If not, where they first differ")
      ->type_name("FILE");
  app.add_option("--diff", options.diff, "what the second plan does differently")
      ->delimiter(',')
      ->type_name("FILE,FILE");
  app.add_option("--out", options.out, "write the planner's plan for the budget to this file")
      ->type_name("FILE");
  app.add_option("--threads", options.threads,
                 "of the steps that are planned, for their workspaces; 0: one per core")
      ->check(at_least(0))
      ->type_name("N");
}

void add_generate(CLI::App& root, GenerateOptions& options) {
  CLI::App& app = *root.add_subcommand("generate", "Write text with a model that was trained on text");
  app.add_option("--load", options.load, "a run saved by `reprise train --save`")
      ->required()
      ->type_name("DIR");
  app.add_option("--prompt", options.prompt, "the text to go on with; without: a new line")
      ->type_name("TEXT");
  app.add_option("--tokens", options.tokens, "how many to write")->check(at_least(0))->type_name("N");
  app.add_option("--temperature", options.temperature,
                 "below 1 safer, above 1 bolder; 0: always the likeliest token")
      ->check(not_negative())
      ->type_name("T");
  app.add_option("--top-k", options.top_k, "choose among the K likeliest tokens; 0: among all")
      ->check(at_least(0))
      ->type_name("K");
  app.add_option("--seed", options.seed, "of the choices")->type_name("N");
  add_device(app, options.device);
  add_threads(app, options.threads);
}

// The names, as TrainSettings has them, of the options that were given.
std::vector<std::string> given_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    std::string name = option->get_single_name();
    std::replace(name.begin(), name.end(), '-', '_');
    names.push_back(std::move(name));
  }
  return names;
}

int run_train(const CLI::App& app, TrainOptions& options) {
  options.given = given_options(app);
  const bool decay_given = app.get_option("--weight-decay")->count() > 0;
  if (!decay_given && options.settings.optimizer != "adamw") options.settings.weight_decay = 0;
  return train(options);
}

int fail(int code, const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "reprise: {}\n", message);
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

}  // namespace

int main(int argc, char** argv) {
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
  TrainOptions train_options;
  BenchOptions bench_options;
  CompareOptions compare_options;
  GenerateOptions generate_options;
  PlanCommandOptions plan_options;
  add_train(root, train_options);
  add_bench(root, bench_options);
  add_compare(root, compare_options);
  add_plan(root, plan_options);
  add_generate(root, generate_options);
  root.add_subcommand("models", "List the models");
  root.add_subcommand("devices", "List the devices, and say why one cannot be used");
  for (CLI::App* command : root.get_subcommands({})) command->footer("");
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return root.exit(success);
  } catch (const CLI::ParseError& error) {
    return fail(2, usage_message(root, error, argc, argv));
  }
  try {
    if (root.got_subcommand("train")) return run_train(*root.get_subcommand("train"), train_options);
    if (root.got_subcommand("bench")) return bench(bench_options);
    if (root.got_subcommand("compare")) return compare(compare_options);
    if (root.got_subcommand("plan")) return plan(plan_options);
    if (root.got_subcommand("generate")) return generate(generate_options);
    if (root.got_subcommand("devices")) return list_devices();
    return list_models();
  } catch (const UsageError& error) {
    return fail(2, error.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "the system has no memory left");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}
