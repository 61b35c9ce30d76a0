// `reprise train`: epochs over a dataset, saved and resumed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "reprise/autograd/op.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/files.h"
#include "reprise/cli/graph_step.h"
#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/cli/planning.h"
#include "reprise/cli/process.h"
#include "reprise/cli/progress.h"
#include "reprise/cli/run_state.h"
#include "reprise/cli/source.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/data/loader.h"
#include "reprise/data/text.h"
#include "reprise/nn/eval_mode.h"
#include "reprise/ops/cross_entropy.h"

namespace reprise::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kTestBatch = 250;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The share of the test set whose largest logit is the target's.
double accuracy(nn::Model& model, const Source& test, Device device) {
  const NoGrad no_grad;
  const nn::EvalMode eval(model);
  std::int64_t right = 0;
  const data::Loader loader(test, {.batch_size = kTestBatch});
  for (auto [x, y] : loader.epoch(0)) {
    const std::vector<double> logits = model(std::move(x).to(device)).to_vector();
    const auto targets = y.read<std::int64_t>();
    const auto classes = static_cast<std::ptrdiff_t>(model.classes());
    // A NaN has no place in an order: the largest logit would be any.
    if (std::any_of(logits.begin(), logits.end(), [](double logit) { return std::isnan(logit); }))
      throw UserError("accuracy: a logit is NaN: check the weights, for they have probably diverged");
    auto row = logits.begin();
    for (std::int64_t target : targets) {
      right += std::max_element(row, row + classes) - row == target;
      row += classes;
    }
  }
  return static_cast<double>(right) / static_cast<double>(test.size());
}

// The mean loss of the text's validation windows, for each token.
double validation_loss(nn::Model& model, const Source& windows, std::int64_t batch_size, Device device) {
  const NoGrad no_grad;
  const nn::EvalMode eval(model);
  double sum = 0;
  const data::Loader loader(windows, {.batch_size = batch_size});
  for (auto [x, y] : loader.epoch(0)) {
    const auto count = static_cast<double>(y.size(0));
    sum += count * cross_entropy(model(std::move(x).to(device)), std::move(y).to(device)).item();
  }
  return sum / static_cast<double>(windows.size());
}

// FNV-1a (Fowler, Noll, Vo) over the tokens.
std::uint64_t hash(const Tensor& tokens) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const std::int32_t token : tokens.read<std::int32_t>())
    value = (value ^ static_cast<std::uint32_t>(token)) * 0x100000001b3;
  return value;
}

// The text of --data text:FILE, with the tokenizer of the run that is resumed.
std::optional<data::Text> read_text(const TrainSettings& settings, const SavedRun* resumed) {
  const std::string file = text_file(settings.data);
  if (file.empty()) return std::nullopt;
  if (resumed) return data::read_text(file, load_tokenizer(*resumed));
  using Kind = data::Tokenizer::Kind;
  return data::read_text(file, settings.tokenizer == "bytes" ? Kind::bytes : Kind::characters);
}

// A training run: what is fixed, and where it stands.
class Training {
 public:
  // `text` is that of --data text:FILE.
  Training(const TrainOptions& options, TrainSettings settings, std::optional<data::Text> text)
      : options_(options),
        settings_(std::move(settings)),
        device_(parse_device(options.device)),
        text_(std::move(text)),
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
        checkpointing_{parse_checkpoint(settings_.checkpoint, model_)},
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
    return make_network(settings_.model, settings_, {train_.sample, train_.classes, train_.dtype}, dtype_,
                        device_);
  }
  SourceOptions source_options(std::int64_t samples) const {
    return {.folder = options_.data_dir,
            .sample = input_.sample,
            .dtype = input_.dtype,
            .classes = input_.classes,
            .samples = samples,
            .seed = settings_.seed,
            .text = text_ ? &*text_ : nullptr,
            .validation = settings_.validation};
  }
  bool reads_text() const { return text_.has_value(); }
  bool predicts_tokens() const { return train_.dtype == DType::i64; }

  bool steps_are_done() const { return options_.steps > 0 && steps_run_ >= options_.steps; }
  bool stopping() const { return steps_are_done() || Interrupts::signal() != 0; }
  void plan();  // what --plan or --budget asks for
  StepFigures step(const data::Batch& batch);
  void passage();       // the batches of the epoch that are left, or up to a stop
  void validate();      // where --validate-every asks for it
  void finish_epoch();  // accuracy or validation loss, results
  void save();
  void write_json(const std::string& ended) const;

  const TrainOptions& options_;
  const TrainSettings settings_;
  const Device device_;
  const std::optional<data::Text> text_;
  const DType dtype_;
  const ModelInput input_;
  const Source train_, test_;
  const data::Loader<Source> loader_;
  nn::Model model_;
  Checkpointing checkpointing_;
  const std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<GraphStep> graph_;
  RunPosition position_;

  // Of this process.
  std::int64_t steps_run_ = 0;
  std::int64_t samples_run_ = 0;  // images, or tokens
  double seconds_run_ = 0;
  Clock::time_point start_ = Clock::now();
};

void Training::plan() {
  std::vector<std::int64_t> samples{settings_.batch}, targets{settings_.batch};
  for (const std::int64_t extent : train_.sample.extents()) samples.push_back(extent);
  if (predicts_tokens()) targets = samples;
  data::Batch batch;
  {
    const memory::TagScope data(memory::Tag::data);
    batch = {Tensor::zeros(samples, {.device = device_, .dtype = train_.dtype}),
             Tensor::zeros(targets, {.device = device_, .dtype = DType::i64})};
  }
  checkpointing_ = chosen_checkpointing(options_.plan, checkpointing_.setting, step_of(model_, {}, batch));
  if (checkpointing_.plan)
    fmt::print("plan: peak {} (predicted), {} nodes run again in a step\n",
               megabytes(checkpointing_.plan->predicted_peak()), checkpointing_.plan->replays());
}

// By the graph where one is asked for and the batch is a whole one: an epoch's last may not be.
StepFigures Training::step(const data::Batch& batch) {
  if (options_.cuda_graph && batch.inputs.size(0) == settings_.batch) {
    if (!graph_) graph_.emplace(model_, checkpointing_, *optimizer_, on_device(batch, device_));
    return (*graph_)(batch);
  }
  return training_step(model_, checkpointing_, *optimizer_, on_device(batch, device_), Measure::time);
}

void Training::passage() {
  model_.train();
  Progress progress(fmt::format("epoch {}/{}", position_.epoch + 1, settings_.epochs), loader_.batches(),
                    position_.batch);
  const auto start = Clock::now();
  std::int64_t samples = 0;
  double shown_loss = 0;  // of a text: over about the last 20 steps
  for (auto [x, y] : loader_.epoch(position_.epoch, position_.batch)) {
    optimizer_->set_lr(learning_rate(
        settings_.schedule, position_.step,
        {.lr = settings_.lr, .warmup = settings_.warmup, .steps = settings_.epochs * loader_.batches()}));
    const StepFigures figures = step({x, y});
    position_.loss_sum += figures.loss;
    ++position_.batch;
    ++position_.step;
    ++steps_run_;
    samples += y.numel();
    shown_loss = samples == y.numel() ? figures.loss : 0.95 * shown_loss + 0.05 * figures.loss;
    if (progress.due(position_.batch) || stopping())
      progress.show(
          position_.batch,
          fmt::format("loss {:.4f}  {:.0f} {}/s  live {}  peak {}",
                      reads_text() ? shown_loss : position_.loss_sum / static_cast<double>(position_.batch),
                      static_cast<double>(samples) / seconds_since(start),
                      predicts_tokens() ? "tokens" : "images", megabytes(memory::live(device_)),
                      megabytes(memory::peak(device_))));
    if (reads_text() && settings_.validate_every > 0 && position_.step % settings_.validate_every == 0)
      validate();
    if (stopping()) break;
  }
  optimizer_->zero_grad();
  position_.random = random_state();
  samples_run_ += samples;
  seconds_run_ += seconds_since(start);
}

void Training::validate() {
  optimizer_->zero_grad();
  position_.validations.push_back({position_.step, validation_loss(model_, test_, settings_.batch, device_)});
  fmt::print("step {}  validation loss {:.4f}\n", position_.step, position_.validations.back().loss);
  std::fflush(stdout);
}

void Training::finish_epoch() {
  EpochResult result;
  result.loss = position_.loss_sum / static_cast<double>(loader_.batches());
  if (predicts_tokens())
    result.validation_loss = validation_loss(model_, test_, settings_.batch, device_);
  else
    result.test_accuracy = accuracy(model_, test_, device_);
  position_.results.push_back(result);
  ++position_.epoch;
  position_.batch = 0;
  position_.loss_sum = 0;
  fmt::print("epoch {}/{}  loss {:.4f}  {}\n", position_.epoch, settings_.epochs, result.loss,
             predicts_tokens() ? fmt::format("validation loss {:.4f}", result.validation_loss)
                               : fmt::format("test accuracy {:.2f}%", 100 * result.test_accuracy));
  std::fflush(stdout);
}

void Training::save() {
  const std::string& folder = options_.save.empty() ? options_.resume : options_.save;
  if (folder.empty()) return;
  save_run(folder, settings_, position_, model_, *optimizer_, text_ ? &text_->tokenizer : nullptr);
}

void Training::write_json(const std::string& ended) const {
  if (options_.json.empty()) return;
  nlohmann::ordered_json result;
  result["model"] = settings_.model;
  result["data"] = settings_.data;
  result["dtype"] = settings_.dtype;
  if (device_ != Device::cpu()) result["device"] = to_string(device_);
  result["checkpoint"] = settings_.checkpoint;
  result["optimizer"] = settings_.optimizer;
  result["lr"] = settings_.lr;
  result["batch"] = settings_.batch;
  result["seed"] = settings_.seed;
  result["threads"] = num_threads();
  result["ended"] = ended;
  result["steps"] = position_.step;
  result["epochs"] = nlohmann::ordered_json::array();
  const char* measure = predicts_tokens() ? "validation_loss" : "test_accuracy";
  const auto measured = [&](const EpochResult& epoch) {
    return predicts_tokens() ? epoch.validation_loss : epoch.test_accuracy;
  };
  for (const EpochResult& epoch : position_.results)
    result["epochs"].push_back({{"loss", epoch.loss}, {measure, measured(epoch)}});
  if (!position_.results.empty()) result[measure] = measured(position_.results.back());
  for (const Validation& validation : position_.validations)
    result["validations"].push_back({{"step", validation.step}, {"loss", validation.loss}});
  result[predicts_tokens() ? "tokens_per_s" : "images_per_s"] =
      seconds_run_ > 0 ? static_cast<double>(samples_run_) / seconds_run_ : 0.0;
  result["seconds"] = seconds_since(start_);
  result["peak_bytes"] = memory::peak(device_);
  result["peak_by_tag"] = memory::peak_by_tag(device_);
  result["peak_rss_mb"] = static_cast<double>(highest_resident_bytes()) / 0x1p20;
  replace_file(options_.json, result.dump(2) + "\n");
}

int Training::run() {
  plan();
  if (options_.cuda_graph) check_cuda_graph(device_, checkpointing_);
  const Interrupts interrupts;
  memory::reset_peak(device_);
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
  if (options.memory_limit) memory::set_limit(parse_device(options.device), *options.memory_limit);
  std::optional<data::Text> text = read_text(settings, saved ? &*saved : nullptr);
  if (text) {
    const std::uint64_t found = hash(text->tokens);
    if (saved && found != settings.text_hash)
      throw FileError(
          fmt::format("{}: not the text that the saved run began with: it has other characters", text->path));
    settings.text_hash = found;
  }
  Training training(options, settings, std::move(text));
  if (saved) training.resume(*saved);
  return training.run();
}

}  // namespace reprise::cli
