#pragma once
// A training run on the disk, such that a resumed run has the bits of one that never stopped.
//
//   DIR/state.json                      settings, epoch and place in it, random state; names the folder
//   DIR/step-N/weights.safetensors      parameters and buffers
//   DIR/step-N/optimizer.safetensors
//   DIR/step-N/tokenizer.json           of a model of text
//
// A save writes a new folder, then renames a new state.json into place, then removes the old folder: whenever the process
// dies, state.json names a folder that is whole.
#include <cstdint>
#include <string>
#include <vector>

#include "reprise/cli/options.h"
#include "reprise/core/random.h"
#include "reprise/data/tokenizer.h"
#include "reprise/nn/module.h"
#include "reprise/optim/optimizer.h"

namespace reprise::cli {

struct EpochResult {
  double loss = 0;             // mean over the epoch's steps
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
  double loss_sum = 0;     // over the finished batches of the epoch under way
  RandomAddress random;    // the thread's generator
  std::vector<EpochResult> results;
  std::vector<Validation> validations;  // those that --validate-every asked for
};

void save_run(const std::string& folder, const TrainSettings& settings, const RunPosition& position,
              nn::Module& model, const optim::Optimizer& optimizer, const data::Tokenizer* tokenizer);

// What a run was saved with, before its model is made. FileError when the folder holds no saved run or a damaged one.
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

// The saved settings, with those of `options` that were given. UsageError for one that the run cannot change.
TrainSettings resumed_settings(const TrainSettings& saved, const TrainOptions& options);

}  // namespace reprise::cli
