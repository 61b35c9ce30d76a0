#pragma once
// What the subcommands are asked for, as plain data; main.cpp fills it from the command line.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reprise/cli/number.h"
#include "reprise/core/error.h"

namespace reprise::cli {

// Ranges of a run's numbers, on the command line and in a saved run. The limits are far beyond what a machine can run,
// and far below what overflows.
inline constexpr WholeRange kLayers{1, 10'000}, kExtent{1, 1'000'000}, kBatch{1, 10'000'000};
inline constexpr WholeRange kSamples{1, 100'000'000}, kEpochs{1, 1'000'000'000}, kThreads{0, 1024};
inline constexpr WholeRange kSteps{0, 1'000'000'000'000};
inline constexpr NumberRange kShare{0, 1}, kRate{0, 1e38};

// The command line asks for what cannot be: exit code 2, as for an unknown option.
struct UsageError : UserError {
  using UserError::UserError;
};

// Of the GPTs; 0: the model's own.
struct ModelShape {
  std::int64_t layers = 0, width = 0, heads = 0, context = 0;
  double dropout = 0;
};

// A plan for a run's steps: from a file, or for a budget in bytes.
struct PlanRequest {
  std::string file;
  std::optional<std::size_t> budget;
  std::string planner = "auto";
};

// Of a training run: what a saved run is resumed with.
struct TrainSettings : ModelShape {
  std::string model = "lenet";
  std::string data = "fashion-mnist";
  std::string dtype = "f32";
  std::int64_t batch = 64;
  std::int64_t samples = 2048;  // of synthetic data
  std::int64_t epochs = 1;
  std::string optimizer = "adamw";
  double lr = 1e-3;
  double momentum = 0.9;       // sgd
  double weight_decay = 0.01;  // adamw; 0 for the others unless asked for
  std::string schedule = "constant";
  std::int64_t warmup = 0;  // steps
  bool augment = false;
  std::string checkpoint = "none";
  std::uint64_t seed = 0;
  int threads = 0;  // 0: one per core
  // Of text.
  std::string tokenizer = "characters";
  double validation = 0.1;          // share of the text
  std::int64_t validate_every = 0;  // steps; 0: at each epoch's end only
  std::uint64_t text_hash = 0;      // no option: a resumed run must read the text that it began with
  std::string data_dir = "/usr/share/datasets/fashion-mnist";
};

struct TrainOptions {
  TrainSettings settings;
  std::string device = "cpu";
  std::optional<std::size_t> memory_limit;  // bytes
  std::string save, resume, json;           // empty: not asked for
  bool overwrite = false;                   // a run that is in the folder of `save` already
  PlanRequest plan;
  std::int64_t steps = 0;   // of this run; 0: all
  bool cuda_graph = false;  // capture the step, and replay it
  // The settings that were given on the command line, by name: the others of a resumed run are those it was saved with.
  std::vector<std::string> given;
};

struct BenchOptions {
  std::string model = "lenet";
  ModelShape shape;
  std::int64_t batch = 0;  // 0: the model's own
  std::string dtype = "f32";
  std::string device = "cpu";
  std::string checkpoint = "none";
  std::string optimizer = {};  // empty: the model's own
  std::int64_t steps = 7;
  std::uint64_t seed = 0;
  int threads = 2;
  PlanRequest plan;
  bool profile = false;
  bool cuda_graph = false;
  std::optional<std::size_t> memory_limit;
};

struct CompareOptions {
  std::string model = "resnet18";
  ModelShape shape;
  std::string data = "synthetic";
  std::string data_dir = "/usr/share/datasets/fashion-mnist";
  std::int64_t batch = 0;
  std::string dtype = "f32";
  std::string device = "cpu";
  std::vector<std::string> checkpoints = {"block", "sqrt"};  // besides none
  std::string optimizer = {};                                // empty: the model's own
  std::int64_t steps = 3;
  std::uint64_t seed = 0;
  int threads = 0;
  std::optional<std::size_t> memory_limit;
  std::string json;
};

struct PlanCommandOptions {
  std::string model = "resnet50";
  ModelShape shape;
  std::int64_t batch = 0;  // 0: the model's own
  std::string dtype = "f32";
  std::string optimizer = {};  // empty: the model's own
  std::optional<std::size_t> budget;
  std::string planner = "auto";
  std::string out, sweep, validate;  // empty: not asked for
  std::vector<std::string> diff;
  std::int64_t steps = 0;  // of a sweep, real ones; 0: time is modelled
  int threads = 2;
};

struct GenerateOptions {
  std::string load;  // folder of a saved run
  std::string device = "cpu";
  std::string prompt = {};  // empty: begin at a line's beginning
  std::int64_t tokens = 200;
  double temperature = 0.8;
  std::int64_t top_k = 0;
  std::uint64_t seed = 0;
  int threads = 0;
};

// Each returns the exit code.
int train(TrainOptions options);
int bench(const BenchOptions& options);
int compare(const CompareOptions& options);
int plan(const PlanCommandOptions& options);
int generate(const GenerateOptions& options);
int list_devices();
int list_models();

}  // namespace reprise::cli
