#include "reprise/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "reprise/checkpoint/planners.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/network.h"
#include "reprise/cli/number.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/source.h"

namespace reprise::cli {
namespace {

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

constexpr WholeRange kTimedSteps{1, 1'000'000}, kComparedSteps{1, 10'000}, kPlanSteps{0, 10'000};
constexpr WholeRange kTokens{0, 1'000'000'000};
constexpr NumberRange kTemperature{0, 1000};

// A number option. Its help names the range.
template <class Number>
CLI::Option* add_number(CLI::App& app, const std::string& name, Number& value, WholeRange range,
                        const std::string& help) {
  return app.add_option(name, value, help)
      ->transform(CLI::Validator([range](std::string& text) { return whole_number_problem(text, range); },
                                 fmt::format("{}..{}", range.least, range.most)))
      ->type_name("N");
}

CLI::Option* add_number(CLI::App& app, const std::string& name, double& value, NumberRange range,
                        const std::string& help) {
  return app.add_option(name, value, help)
      ->transform(CLI::Validator([range](std::string& text) { return number_problem(text, range); },
                                 fmt::format("{}..{}", range.least, range.most)))
      ->type_name("X");
}

void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& help) {
  app.add_option("--seed", seed, help)->transform(CLI::Validator(seed_problem, ""))->type_name("N");
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
  // 0 is the model's own, which nobody can ask for by a number.
  const auto add_extent = [&app](const char* name, std::int64_t& value, WholeRange range, const char* help) {
    add_number(app, name, value, range, help)->default_str("");
  };
  add_extent("--layers", shape.layers, kLayers,
             "blocks of a GPT; without: the model's own, as with the next three");
  add_extent("--width", shape.width, kExtent, "of a GPT");
  add_extent("--heads", shape.heads, kExtent, "of a GPT; they divide the width");
  add_extent("--context", shape.context, kExtent, "the most tokens that a GPT reads at once");
  add_number(app, "--dropout", shape.dropout, kShare, "of a GPT");
}

void add_batch(CLI::App& app, std::int64_t& batch) {
  add_number(app, "--batch", batch, kBatch, "samples per step; without: as `reprise models` says")
      ->default_str("");
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
  add_number(app, "--threads", threads, kThreads, "0: one per core");
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
  add_number(app, "--validation", s.validation, kShare,
             "the share of a text, at its end, that is not trained on");
  add_number(app, "--validate-every", s.validate_every, kSteps,
             "on a text, print the validation loss every so many steps too; 0: at each epoch's end only");
  app.add_option("--data-dir", s.data_dir, "the folder of fashion-mnist")->type_name("DIR");
  add_number(app, "--samples", s.samples, kSamples, "how many synthetic samples");
  add_number(app, "--epochs", s.epochs, kEpochs, "passes over the samples");
  add_number(app, "--steps", options.steps, kSteps, "stop after this many steps of this run; 0: do not");
  add_number(app, "--batch", s.batch, kBatch, "samples per step");
  app.add_option("--optimizer", s.optimizer, "sgd, adam or adamw")
      ->check(one_of(optimizer_names()))
      ->type_name("NAME");
  add_number(app, "--lr", s.lr, kRate, "learning rate");
  add_number(app, "--momentum", s.momentum, kShare, "of sgd");
  add_number(app, "--weight-decay", s.weight_decay, kRate, "0.01 for adamw, else 0");
  app.add_option("--schedule", s.schedule,
                 "of the learning rate; cosine: to zero over the run; step: a tenth at half of it, a "
                 "hundredth at three quarters")
      ->check(one_of(schedule_names()))
      ->type_name("NAME");
  add_number(app, "--warmup", s.warmup, kSteps, "steps in which the learning rate rises to its value");
  app.add_flag("--augment", s.augment, "flip images at random and shift them by up to 2 pixels");
  app.add_option("--checkpoint", s.checkpoint, kCheckpointHelp)->type_name("C");
  add_dtype(app, s.dtype);
  add_device(app, options.device);
  add_cuda_graph(app, options.cuda_graph);
  add_seed(app, s.seed, "of weights, order and augmentation");
  add_threads(app, s.threads);
  add_plan_request(app, options.plan);
  add_memory_limit(app, options.memory_limit);
  app.add_option("--save", options.save,
                 "save the run here at each epoch's end, at the end of --steps and on SIGINT and SIGTERM")
      ->type_name("DIR");
  app.add_flag(
      "--overwrite", options.overwrite,
      "let --save replace a saved run that is in its folder already, when the new run is first saved");
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
  add_number(app, "--steps", options.steps, kTimedSteps, "steps that are timed, after 2 that are not");
  add_threads(app, options.threads);
  add_seed(app, options.seed, "of weights and input");
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
  add_number(app, "--steps", options.steps, kComparedSteps,
             "steps with each setting; time is the median of all but the first");
  add_threads(app, options.threads);
  add_seed(app, options.seed, "of weights and input");
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
  add_number(app, "--steps", options.steps, kPlanSteps,
             "of --sweep: real steps with each plan, and online eviction too");
  app.add_option("--validate", options.validate,
                 "is this plan one for such a step? If not, where they first differ")
      ->type_name("FILE");
  app.add_option("--diff", options.diff, "what the second plan does differently")
      ->delimiter(',')
      ->type_name("FILE,FILE");
  app.add_option("--out", options.out, "write the planner's plan for the budget to this file")
      ->type_name("FILE");
  add_number(app, "--threads", options.threads, kThreads,
             "of the steps that are planned, for their workspaces; 0: one per core");
}

void add_generate(CLI::App& root, GenerateOptions& options) {
  CLI::App& app = *root.add_subcommand("generate", "Write text with a model that was trained on text");
  app.add_option("--load", options.load, "a run saved by `reprise train --save`")
      ->required()
      ->type_name("DIR");
  app.add_option("--prompt", options.prompt, "the text to go on with; without: a new line")
      ->type_name("TEXT");
  add_number(app, "--tokens", options.tokens, kTokens, "how many to write");
  add_number(app, "--temperature", options.temperature, kTemperature,
             "below 1 safer, above 1 bolder; 0: always the likeliest token");
  add_number(app, "--top-k", options.top_k, kTokens, "choose among the K likeliest tokens; 0: among all");
  add_seed(app, options.seed, "of the choices");
  add_device(app, options.device);
  add_threads(app, options.threads);
}

}  // namespace

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

void add_commands(CLI::App& root, Arguments& arguments) {
  add_train(root, arguments.train);
  add_bench(root, arguments.bench);
  add_compare(root, arguments.compare);
  add_plan(root, arguments.plan);
  add_generate(root, arguments.generate);
  root.add_subcommand("models", "List the models");
  root.add_subcommand("devices", "List the devices, and say why one cannot be used");
  for (CLI::App* command : root.get_subcommands({})) command->footer("");
}

}  // namespace reprise::cli
