// `reprise train`: epochs over a dataset, saved and resumed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "reprise/autograd/op.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/files.h"
#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/cli/process.h"
#include "reprise/cli/progress.h"
#include "reprise/cli/run_state.h"
#include "reprise/cli/source.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/data/loader.h"

namespace reprise::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kTestBatch = 250;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of the test set, the share whose largest logit is the target's.
double accuracy(nn::Model& model, const Source& test) {
  const NoGrad no_grad;
  model.eval();
  std::int64_t right = 0;
  const data::Loader loader(test, {.batch_size = kTestBatch});
  for (auto [x, y] : loader.epoch(0)) {
    const std::vector<double> logits = model(std::move(x)).to_vector();
    const auto targets = y.read<std::int64_t>();
    const auto classes = static_cast<std::ptrdiff_t>(model.classes());
    auto row = logits.begin();
    for (std::int64_t target : targets) {
      right += std::max_element(row, row + classes) - row == target;
      row += classes;
    }
  }
  model.train();
  return static_cast<double>(right) / static_cast<double>(test.size());
}

// A training run: what is fixed, and where it stands.
class Training {
 public:
  Training(const TrainOptions& options, TrainSettings settings)
      : options_(options),
        settings_(std::move(settings)),
        dtype_(parse_dtype(settings_.dtype)),
        input_(default_input(settings_.model, settings_)),
        train_(open_source(settings_.data, data::Split::train, source_options(settings_.samples))),
        test_(open_source(settings_.data, data::Split::test,
                          source_options(std::max<std::int64_t>(settings_.samples / 4, 1)))),
        loader_(train_, {.batch_size = settings_.batch,
                         .shuffle = true,
                         .seed = settings_.seed,
                         .augment = {.horizontal_flip = settings_.augment,
                                     .crop_padding = settings_.augment ? 2 : 0,
                                     .fill = train_.fill}}),
        model_(make_seeded()),
        checkpoint_(parse_checkpoint(settings_.checkpoint, model_)),
        optimizer_(make_optimizer(
            settings_.optimizer, model_.parameters(),
            {.lr = settings_.lr, .momentum = settings_.momentum, .weight_decay = settings_.weight_decay})) {
    if (settings_.augment && train_.sample.rank() != 3)
      throw UsageError(
          fmt::format("--augment: samples of shape {} are not images", to_string(train_.sample)));
  }
  Training(const Training&) = delete;

  void resume(const SavedRun& run) {
    load_run(run, model_, *optimizer_);
    position_ = run.position;
    set_random_state(position_.random);
  }

  int run();

 private:
  nn::Model make_seeded() const {
    manual_seed(settings_.seed);
    return make_network(settings_.model, settings_, {train_.sample, train_.classes, train_.dtype}, dtype_);
  }
  SourceOptions source_options(std::int64_t samples) const {
    return {.folder = options_.data_dir,
            .sample = input_.sample,
            .dtype = input_.dtype,
            .classes = input_.classes,
            .samples = samples,
            .seed = settings_.seed};
  }

  bool steps_are_done() const { return options_.steps > 0 && steps_run_ >= options_.steps; }
  bool stopping() const { return steps_are_done() || Interrupts::signal() != 0; }
  void passage();       // the batches of the epoch that are left, or up to a stop
  void finish_epoch();  // accuracy, results
  void save();
  void write_json(const std::string& ended) const;

  const TrainOptions& options_;
  const TrainSettings settings_;
  const DType dtype_;
  const ModelInput input_;
  const Source train_, test_;
  const data::Loader<Source> loader_;
  nn::Model model_;
  const nn::CheckpointSetting checkpoint_;
  const std::unique_ptr<optim::Optimizer> optimizer_;
  RunPosition position_;

  // Of this process.
  std::int64_t steps_run_ = 0;
  std::int64_t images_run_ = 0;
  double seconds_run_ = 0;
  Clock::time_point start_ = Clock::now();
};

void Training::passage() {
  model_.train();
  Progress progress(fmt::format("epoch {}/{}", position_.epoch + 1, settings_.epochs), loader_.batches(),
                    position_.batch);
  const auto start = Clock::now();
  std::int64_t images = 0;
  for (auto [x, y] : loader_.epoch(position_.epoch, position_.batch)) {
    optimizer_->set_lr(learning_rate(
        settings_.schedule, position_.step,
        {.lr = settings_.lr, .warmup = settings_.warmup, .steps = settings_.epochs * loader_.batches()}));
    const StepFigures figures = training_step(model_, checkpoint_, *optimizer_, {x, y}, Measure::time);
    position_.loss_sum += figures.loss;
    ++position_.batch;
    ++position_.step;
    ++steps_run_;
    images += y.size(0);
    if (progress.due(position_.batch) || stopping())
      progress.show(position_.batch, fmt::format("loss {:.4f}  {:.0f} images/s  live {}  peak {}",
                                                 position_.loss_sum / static_cast<double>(position_.batch),
                                                 static_cast<double>(images) / seconds_since(start),
                                                 megabytes(memory::live(Device::cpu())),
                                                 megabytes(memory::peak(Device::cpu()))));
    if (stopping()) break;
  }
  optimizer_->zero_grad();
  position_.random = random_state();
  images_run_ += images;
  seconds_run_ += seconds_since(start);
}

void Training::finish_epoch() {
  EpochResult result;
  result.loss = position_.loss_sum / static_cast<double>(loader_.batches());
  result.test_accuracy = accuracy(model_, test_);
  position_.results.push_back(result);
  ++position_.epoch;
  position_.batch = 0;
  position_.loss_sum = 0;
  fmt::print("epoch {}/{}  loss {:.4f}  test accuracy {:.2f}%\n", position_.epoch, settings_.epochs,
             result.loss, 100 * result.test_accuracy);
  std::fflush(stdout);
}

void Training::save() {
  const std::string& folder = options_.save.empty() ? options_.resume : options_.save;
  if (folder.empty()) return;
  save_run(folder, settings_, position_, model_, *optimizer_);
}

void Training::write_json(const std::string& ended) const {
  if (options_.json.empty()) return;
  nlohmann::ordered_json result;
  result["model"] = settings_.model;
  result["data"] = settings_.data;
  result["dtype"] = settings_.dtype;
  result["checkpoint"] = settings_.checkpoint;
  result["optimizer"] = settings_.optimizer;
  result["lr"] = settings_.lr;
  result["batch"] = settings_.batch;
  result["seed"] = settings_.seed;
  result["threads"] = num_threads();
  result["ended"] = ended;
  result["steps"] = position_.step;
  result["epochs"] = nlohmann::ordered_json::array();
  for (const EpochResult& epoch : position_.results)
    result["epochs"].push_back({{"loss", epoch.loss}, {"test_accuracy", epoch.test_accuracy}});
  if (!position_.results.empty()) result["test_accuracy"] = position_.results.back().test_accuracy;
  result["images_per_s"] = seconds_run_ > 0 ? static_cast<double>(images_run_) / seconds_run_ : 0.0;
  result["seconds"] = seconds_since(start_);
  result["peak_bytes"] = memory::peak(Device::cpu());
  result["peak_by_tag"] = memory::peak_by_tag(Device::cpu());
  result["peak_rss_mb"] = static_cast<double>(highest_resident_bytes()) / 0x1p20;
  replace_file(options_.json, result.dump(2) + "\n");
}

int Training::run() {
  const Interrupts interrupts;
  memory::reset_peak(Device::cpu());
  if (position_.epoch >= settings_.epochs)
    fmt::print("{} of {} epochs are done; --epochs asks for more\n", position_.epoch, settings_.epochs);
  while (position_.epoch < settings_.epochs && !stopping()) {
    passage();
    if (position_.batch == loader_.batches()) finish_epoch();
    save();
  }
  const int signal = Interrupts::signal();
  const std::string ended = signal == SIGINT    ? "SIGINT"
                            : signal == SIGTERM ? "SIGTERM"
                            : steps_are_done()  ? "steps"
                                                : "epochs";
  write_json(ended);
  if (signal != 0) {
    const std::string& folder = options_.save.empty() ? options_.resume : options_.save;
    fmt::print("stopped by {} after step {}{}\n", ended, position_.step,
               folder.empty() ? "" : fmt::format("; reprise train --resume {} goes on", folder));
    return 128 + signal;
  }
  return 0;
}

}  // namespace

int train(TrainOptions options) {
  std::optional<SavedRun> saved;
  TrainSettings settings = options.settings;
  if (!options.resume.empty()) {
    saved = open_run(options.resume);
    settings = resumed_settings(saved->settings, options);
  }
  if (settings.threads == 0) settings.threads = num_threads();
  set_num_threads(settings.threads);
  if (options.memory_limit) memory::set_limit(Device::cpu(), *options.memory_limit);
  Training training(options, settings);
  if (saved) training.resume(*saved);
  return training.run();
}

}  // namespace reprise::cli
