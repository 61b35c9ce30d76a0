#pragma once
// A training run on the disk, such that a resumed run has the bits of one that never stopped.
//
//   DIR/state.json                      settings, epoch and place in it, random state; names the folder
//   DIR/step-N/weights.safetensors      parameters and buffers
//   DIR/step-N/optimizer.safetensors
//   DIR/step-N/tokenizer.json           of a model of text
//
// cli/run_folder.h says how a save replaces the older one.
#include <cstdint>
#include <string>
#include <vector>

#include "reprise/cli/options.h"
#include "reprise/cli/run_folder.h"
#include "reprise/core/random.h"
#include "reprise/data/tokenizer.h"
#include "reprise/nn/module.h"
#include "reprise/optim/optimizer.h"

namespace reprise::cli {

struct EpochResult {
  double loss = 0;             // mean over the epoch's samples
  double test_accuracy = 0;    // of images
  double validation_loss = 0;  // of text, for each token
};

struct Validation {
  std::int64_t step = 0;
  double loss = 0;
};

// Where a run stands, between two steps.
struct RunPosition {
  std::int64_t epoch = 0;  // finished ones
  std::int64_t batch = 0;  // finished ones of the epoch under way
  std::int64_t step = 0;   // in all
  double loss_sum = 0;     // over the samples of the finished batches of the epoch under way
  RandomAddress random;    // the thread's generator
  std::vector<EpochResult> results;
  std::vector<Validation> validations;  // those that --validate-every asked for
};

// FileError leaves the older state of the run whole.
void save_run(RunFolder& folder, const TrainSettings& settings, const RunPosition& position,
              nn::Module& model, const optim::Optimizer& optimizer, const data::Tokenizer* tokenizer);

// A saved run before its model is made. FileError if the folder holds no saved run, or a damaged one with numbers that no
// run can have.
struct SavedRun {
  TrainSettings settings;
  RunPosition position;
  std::string folder;  // of weights and optimizer
};
SavedRun open_run(const std::string& folder);

// FileError when it is not there or damaged.
data::Tokenizer load_tokenizer(const SavedRun& run);
void load_weights(const SavedRun& run, nn::Module& model);

// Weights and optimizer state; the position's random state is the caller's to set, after everything that draws numbers.
void load_run(const SavedRun& run, nn::Module& model, optim::Optimizer& optimizer);

// The settings with paths that hold in every folder. UsageError for a path that a saved run could not name, because it is
// not UTF-8.
TrainSettings with_absolute_paths(TrainSettings settings);

// The saved settings, with those of `options` that were given. UsageError for one that the run cannot change.
TrainSettings resumed_settings(const TrainSettings& saved, const TrainOptions& options);

}  // namespace reprise::cli
