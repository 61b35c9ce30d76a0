#include "reprise/cli/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "reprise/cli/files.h"
#include "reprise/cli/source.h"
#include "reprise/core/safetensors.h"
#include "reprise/nn/serialize.h"

namespace reprise::cli {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainSettings, model, layers, width, heads, context, dropout, data, dtype,
                                   batch, samples, epochs, optimizer, lr, momentum, weight_decay, schedule,
                                   warmup, augment, checkpoint, seed, threads, tokenizer, validation,
                                   validate_every, text_hash)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EpochResult, loss, test_accuracy, validation_loss)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Validation, step, loss)

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 2;
constexpr const char* kStateFile = "state.json";
constexpr const char* kWeightsFile = "weights.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kTokenizerFile = "tokenizer.json";

// A name for this step's folder that state.json does not name. What lies there was left by a process that died.
fs::path fresh_folder(const fs::path& root, std::int64_t step) {
  std::string current;
  try {
    current = json::parse(read_file(root / kStateFile)).at("folder").get<std::string>();
  } catch (const std::exception&) {
    // No saved run, or one that cannot be read: nothing to spare.
  }
  std::string name = fmt::format("step-{}", step);
  if (name == current) name += "-2";
  fs::remove_all(root / name);
  return root / name;
}

}  // namespace

void save_run(const std::string& folder, const TrainSettings& settings, const RunPosition& position,
              nn::Module& model, const optim::Optimizer& optimizer, const data::Tokenizer* tokenizer) {
  const fs::path root(folder);
  std::error_code error;
  fs::create_directories(root, error);
  if (!fs::is_directory(root))
    throw FileError(fmt::format("{}: cannot be made: {}", folder, error.message()));
  const fs::path step = fresh_folder(root, position.step);
  make_folder(step, [&](const fs::path& inside) {
    nn::save(model, (inside / kWeightsFile).string());
    write_safetensors((inside / kOptimizerFile).string(), optimizer.state());
    if (tokenizer) tokenizer->save((inside / kTokenizerFile).string());
  });
  json state;
  state["format"] = kFormat;
  state["folder"] = step.filename().string();
  state["settings"] = settings;
  state["epoch"] = position.epoch;
  state["batch"] = position.batch;
  state["step"] = position.step;
  state["loss_sum"] = position.loss_sum;
  state["random"] = {{"seed", position.random.seed}, {"offset", position.random.offset}};
  state["results"] = position.results;
  state["validations"] = position.validations;
  replace_file(root / kStateFile, state.dump(2) + "\n");
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory() && entry.path().filename().string().starts_with("step-") && entry.path() != step)
      fs::remove_all(entry.path(), error);
}

SavedRun open_run(const std::string& folder) {
  const fs::path file = fs::path(folder) / kStateFile;
  if (!fs::exists(file))
    throw FileError(fmt::format("{}: no saved run: {} is not there", folder, kStateFile));
  const std::string text = read_file(file);
  try {
    const json state = json::parse(text);
    if (state.at("format").get<int>() != kFormat)
      throw FileError(fmt::format("{}: format {}; this program reads {}", file.string(),
                                  state.at("format").get<int>(), kFormat));
    SavedRun run;
    run.settings = state.at("settings").get<TrainSettings>();
    run.position.epoch = state.at("epoch").get<std::int64_t>();
    run.position.batch = state.at("batch").get<std::int64_t>();
    run.position.step = state.at("step").get<std::int64_t>();
    run.position.loss_sum = state.at("loss_sum").get<double>();
    run.position.random = {state.at("random").at("seed").get<std::uint64_t>(),
                           state.at("random").at("offset").get<std::uint64_t>()};
    run.position.results = state.at("results").get<std::vector<EpochResult>>();
    run.position.validations = state.at("validations").get<std::vector<Validation>>();
    run.folder = (fs::path(folder) / state.at("folder").get<std::string>()).string();
    return run;
  } catch (const json::parse_error& error) {
    throw FileError(
        fmt::format("{}: byte {}: not what a saved run looks like: damaged", file.string(), error.byte));
  } catch (const json::exception& error) {
    throw FileError(fmt::format("{}: not what a saved run looks like: {}", file.string(), error.what()));
  }
}

data::Tokenizer load_tokenizer(const SavedRun& run) {
  return data::Tokenizer::load((fs::path(run.folder) / kTokenizerFile).string());
}

void load_weights(const SavedRun& run, nn::Module& model) {
  nn::load(model, (fs::path(run.folder) / kWeightsFile).string());
}

void load_run(const SavedRun& run, nn::Module& model, optim::Optimizer& optimizer) {
  load_weights(run, model);
  const std::string path = (fs::path(run.folder) / kOptimizerFile).string();
  std::vector<std::pair<std::string, Tensor>> state;
  for (const SafetensorsEntry& entry : read_safetensors_header(path).entries)
    state.emplace_back(entry.name, read_safetensors(path, entry));
  optimizer.load_state(state);
}

TrainSettings resumed_settings(const TrainSettings& saved, const TrainOptions& options) {
  // What may change without another order of samples or another function of the step.
  std::set<std::string> free = {"checkpoint", "threads", "validate_every"};
  // A text may lie elsewhere: whether it is the same one is seen by its hash.
  if (!text_file(saved.data).empty() && !text_file(options.settings.data).empty()) free.insert("data");
  if (saved.schedule == "constant") free.insert("epochs");
  json settings = saved;
  const json asked = options.settings;
  for (const std::string& name : options.given) {
    if (!settings.contains(name)) continue;
    if (!free.contains(name) && settings[name] != asked[name]) {
      std::string option = name;
      std::replace(option.begin(), option.end(), '_', '-');
      throw UsageError(fmt::format("--{}: the saved run has {}, and goes on with the same bits only with it",
                                   option, settings[name].dump()));
    }
    settings[name] = asked[name];
  }
  return settings.get<TrainSettings>();
}

}  // namespace reprise::cli
