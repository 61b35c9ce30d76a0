// `reprise train`: epochs over a dataset, saved and resumed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "reprise/autograd/op.h"
#include "reprise/cli/bytes.h"
#include "reprise/cli/evaluation.h"
#include "reprise/cli/finite.h"
#include "reprise/cli/graph_step.h"
#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/cli/planning.h"
#include "reprise/cli/process.h"
#include "reprise/cli/progress.h"
#include "reprise/cli/run_state.h"
#include "reprise/cli/source.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/memory.h"
#include "reprise/core/output_file.h"
#include "reprise/core/parallel.h"
#include "reprise/core/readable_file.h"
#include "reprise/data/loader.h"
#include "reprise/data/text.h"

namespace reprise::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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
  if (resumed) {
    try {
      check_readable(file);
    } catch (const FileError& error) {
      throw FileError(fmt::format("{}; --data text:FILE says where the run's text is now", error.what()));
    }
    return data::read_text(file, load_tokenizer(*resumed));
  }
  using Kind = data::Tokenizer::Kind;
  return data::read_text(file, settings.tokenizer == "bytes" ? Kind::bytes : Kind::characters);
}

// The folder that the run is saved in; empty: none.
const std::string& save_folder(const TrainOptions& options) {
  return options.save.empty() ? options.resume : options.save;
}

// A training run: what is fixed, and where it stands.
class Training {
 public:
  // `text` is that of --data text:FILE. `folder` is where the run is saved, or null.
  Training(const TrainOptions& options, TrainSettings settings, std::optional<data::Text> text,
           RunFolder* folder)
      : options_(options),
        folder_(folder),
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
    position_.random = random_state();
    if (settings_.augment && train_.sample.rank() != 3)
      throw UsageError(
          fmt::format("--augment: samples of shape {} are not images", to_string(train_.sample)));
  }
  Training(const Training&) = delete;

  void resume(const SavedRun& run) {
    load_run(run, model_, *optimizer_);
    position_ = run.position;
    saved_step_ = position_.step;
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
    return {.folder = settings_.data_dir,
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
  StepFigures checked_step(const data::Batch& batch);
  void passage();       // the batches of the epoch that are left, or up to a stop
  void validate();      // where --validate-every asks for it
  void finish_epoch();  // accuracy or validation loss, results
  void save();
  void check_weights();
  double mean_loss() const;    // of the epoch under way
  std::string advice() const;  // for a loss or weights that are not finite
  void report_stop(const std::string& ended) const;
  void write_json(const std::string& ended) const;

  const TrainOptions& options_;
  RunFolder* const folder_;
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

  std::int64_t saved_step_ = -1;  // the last one that the run was saved after

  // Of this process.
  bool saved_here_ = false;
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
    say("plan: peak {} (predicted), {} nodes run again in a step\n",
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
    const StepFigures figures = checked_step({x, y});
    position_.loss_sum += figures.loss * static_cast<double>(x.size(0));
    ++position_.batch;
    ++position_.step;
    ++steps_run_;
    samples += y.numel();
    shown_loss = samples == y.numel() ? figures.loss : 0.95 * shown_loss + 0.05 * figures.loss;
    if (progress.due(position_.batch) || stopping())
      progress.show(
          position_.batch,
          fmt::format("loss {:.4f}  {:.0f} {}/s  live {}  peak {}", reads_text() ? shown_loss : mean_loss(),
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

// A last, smaller batch counts by its samples.
double Training::mean_loss() const {
  const std::int64_t samples = std::min(position_.batch * settings_.batch, train_.size());
  return position_.loss_sum / static_cast<double>(samples);
}

void Training::validate() {
  optimizer_->zero_grad();
  position_.validations.push_back({position_.step, validation_loss(model_, test_, settings_.batch, device_)});
  say("step {}  validation loss {:.4f}\n", position_.step, position_.validations.back().loss);
  flush_output();
}

void Training::finish_epoch() {
  EpochResult result;
  result.loss = mean_loss();
  check_weights();
  if (predicts_tokens())
    result.validation_loss = validation_loss(model_, test_, settings_.batch, device_);
  else
    result.test_accuracy = accuracy(model_, test_, device_);
  position_.results.push_back(result);
  ++position_.epoch;
  position_.batch = 0;
  position_.loss_sum = 0;
  say("epoch {}/{}  loss {:.4f}  {}\n", position_.epoch, settings_.epochs, result.loss,
      predicts_tokens() ? fmt::format("validation loss {:.4f}", result.validation_loss)
                        : fmt::format("test accuracy {:.2f}%", 100 * result.test_accuracy));
  flush_output();
}

// A step with a finite loss can leave weights that are not: an overflow in its gradients, or a rate that is too high.
void Training::check_weights() {
  const std::string name = first_not_finite(model_);
  if (!name.empty())
    throw Error(fmt::format("after step {}: {} is not finite{}", position_.step, name, advice()));
}

void Training::save() {
  if (!folder_) return;
  check_weights();
  save_run(*folder_, settings_, position_, model_, *optimizer_, text_ ? &text_->tokenizer : nullptr);
  saved_step_ = position_.step;
  saved_here_ = true;
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

// A step whose loss is not finite is not made. Its forward and backward run again, to find the first op that made such a
// number. A look at every step would cost too much.
StepFigures Training::checked_step(const data::Batch& batch) {
  const RandomAddress before = random_state();
  try {
    return step(batch);
  } catch (const NonFiniteLoss& error) {
    set_random_state(before);
    const std::string op =
        first_op_not_finite(model_, checkpointing_, *optimizer_, on_device(batch, device_));
    throw Error(fmt::format("step {}: the loss is {}{}{}{}", position_.step + 1, error.value,
                            op.empty() ? "" : ": the first op to make such a number is ", op, advice()));
  }
}

std::string Training::advice() const {
  std::string kept;
  if (folder_ && saved_step_ >= 0)
    kept = fmt::format("; {} holds the run as it was after step {}", save_folder(options_), saved_step_);
  return kept + "; a lower --lr or a --warmup may keep the weights finite";
}

void Training::report_stop(const std::string& ended) const {
  const std::string goes_on =
      folder_ ? fmt::format("; reprise train --resume {} goes on", save_folder(options_)) : "";
  say("stopped by {} after step {}{}\n", ended, position_.step, goes_on);
}

int Training::run() {
  plan();
  if (options_.cuda_graph) check_cuda_graph(device_, checkpointing_);
  memory::reset_peak(device_);
  if (position_.epoch >= settings_.epochs)
    say("{} of {} epochs are done; --epochs asks for more\n", position_.epoch, settings_.epochs);
  while (position_.epoch < settings_.epochs && !stopping()) {
    passage();
    if (position_.batch == loader_.batches()) finish_epoch();
    save();
  }
  const int signal = Interrupts::signal();
  if (signal != 0 && !saved_here_) save();  // stopped before the first step
  const std::string ended = signal == SIGINT    ? "SIGINT"
                            : signal == SIGTERM ? "SIGTERM"
                            : steps_are_done()  ? "steps"
                                                : "epochs";
  write_json(ended);
  if (signal == 0) return 0;
  report_stop(ended);
  return 128 + signal;
}

bool is_same_folder(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

// Takes the folder that the run is saved in; none if it is not saved.
std::unique_ptr<RunFolder> take_folder(const TrainOptions& options) {
  if (options.overwrite && options.save.empty())
    throw UsageError("--overwrite: there is nothing to overwrite without --save");
  if (save_folder(options).empty()) return nullptr;
  using Existing = RunFolder::Existing;
  const bool same = options.save.empty() || is_same_folder(options.save, options.resume);
  return std::make_unique<RunFolder>(save_folder(options), same                ? Existing::resume
                                                           : options.overwrite ? Existing::overwrite
                                                                               : Existing::refuse);
}

}  // namespace

int train(TrainOptions options) {
  const Interrupts interrupts;  // from here on a signal is a stop that is saved
  std::optional<SavedRun> saved;
  if (!options.resume.empty()) open_run(options.resume);  // before a folder that holds no run is written
  if (!options.json.empty()) check_writable(options.json);
  const std::unique_ptr<RunFolder> folder = take_folder(options);
  TrainSettings settings = options.settings;
  if (!options.resume.empty()) {
    saved = open_run(options.resume);  // as it is now that no other process can change it
    settings = resumed_settings(saved->settings, options);
  }
  if (folder || !options.json.empty()) settings = with_absolute_paths(settings);
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
  Training training(options, settings, std::move(text), folder.get());
  if (saved) training.resume(*saved);
  return training.run();
}

}  // namespace reprise::cli
