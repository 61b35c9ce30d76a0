#include "reprise/cli/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/source.h"
#include "reprise/core/readable_file.h"
#include "reprise/core/safetensors.h"
#include "reprise/data/utf8.h"
#include "reprise/nn/serialize.h"

namespace reprise::cli {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainSettings, model, layers, width, heads, context, dropout, data, dtype,
                                   batch, samples, epochs, optimizer, lr, momentum, weight_decay, schedule,
                                   warmup, augment, checkpoint, seed, threads, tokenizer, validation,
                                   validate_every, text_hash, data_dir)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EpochResult, loss, test_accuracy, validation_loss)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Validation, step, loss)

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 3;

// Reads state.json, which may have been damaged or written by hand: numbers and names that no run has are a FileError.
class StateReader {
 public:
  explicit StateReader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void damaged(const std::string& what) const {
    throw FileError(fmt::format("{}: not what a saved run looks like: {}", file_, what));
  }
  // A JSON number is converted to the type that is asked for, whatever it loses: so its kind is checked before.
  std::int64_t whole(const json& object, const char* name, WholeRange range) const {
    const json& value = object.at(name);
    const bool fits =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
    if (!fits || value.get<std::int64_t>() < range.least || value.get<std::int64_t>() > range.most)
      damaged(fmt::format("{} is {}", name, value.dump()));
    return value.get<std::int64_t>();
  }
  std::uint64_t word(const json& object, const char* name) const {
    if (!object.at(name).is_number_unsigned()) damaged(fmt::format("{} is {}", name, object.at(name).dump()));
    return object.at(name).get<std::uint64_t>();
  }
  double number(const json& object, const char* name, NumberRange range) const {
    const json& value = object.at(name);
    if (!value.is_number() || !(value.get<double>() >= range.least && value.get<double>() <= range.most))
      damaged(fmt::format("{} is {}", name, value.dump()));
    return value.get<double>();
  }
  void name(const json& object, const char* name, const std::vector<std::string>& all) const {
    const auto value = object.at(name).get<std::string>();
    if (std::find(all.begin(), all.end(), value) == all.end())
      damaged(fmt::format("{} is \"{}\"", name, value));
  }
  TrainSettings settings(const json& s) const;
  RunPosition position(const json& state) const;

 private:
  const std::string file_;
};

TrainSettings StateReader::settings(const json& s) const {
  const auto or_own = [](WholeRange range) { return WholeRange{0, range.most}; };  // 0 is the model's own
  whole(s, "layers", or_own(kLayers));
  for (const char* extent : {"width", "heads", "context"}) whole(s, extent, or_own(kExtent));
  whole(s, "batch", kBatch);
  whole(s, "samples", kSamples);
  whole(s, "epochs", kEpochs);
  whole(s, "warmup", kSteps);
  whole(s, "validate_every", kSteps);
  whole(s, "threads", kThreads);
  word(s, "seed");
  word(s, "text_hash");
  for (const char* share : {"dropout", "momentum", "validation"}) number(s, share, kShare);
  for (const char* rate : {"lr", "weight_decay"}) number(s, rate, kRate);
  name(s, "model", model_names());
  name(s, "optimizer", optimizer_names());
  name(s, "schedule", schedule_names());
  return s.get<TrainSettings>();
}

RunPosition StateReader::position(const json& state) const {
  RunPosition position;
  position.epoch = whole(state, "epoch", {0, kEpochs.most});
  position.batch = whole(state, "batch", kSteps);
  position.step = whole(state, "step", kSteps);
  position.loss_sum =
      number(state, "loss_sum", {std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max()});
  position.random = {word(state.at("random"), "seed"), word(state.at("random"), "offset")};
  position.results = state.at("results").get<std::vector<EpochResult>>();
  position.validations = state.at("validations").get<std::vector<Validation>>();
  return position;
}

std::string read_file(const std::string& path) {
  check_readable(path);
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw FileError(fmt::format("{}: cannot be read", path));
  return content;
}

}  // namespace

void save_run(RunFolder& folder, const TrainSettings& settings, const RunPosition& position,
              nn::Module& model, const optim::Optimizer& optimizer, const data::Tokenizer* tokenizer) {
  folder.save(
      position.step,
      [&](const fs::path& inside) {
        nn::save(model, (inside / kWeightsFile).string());
        write_safetensors((inside / kOptimizerFile).string(), optimizer.state());
        if (tokenizer) tokenizer->save((inside / kTokenizerFile).string());
      },
      [&](const std::string& name) {
        json state;
        state["format"] = kFormat;
        state["folder"] = name;
        state["settings"] = settings;
        state["epoch"] = position.epoch;
        state["batch"] = position.batch;
        state["step"] = position.step;
        state["loss_sum"] = position.loss_sum;
        state["random"] = {{"seed", position.random.seed}, {"offset", position.random.offset}};
        state["results"] = position.results;
        state["validations"] = position.validations;
        return state.dump(2) + "\n";
      });
}

SavedRun open_run(const std::string& folder) {
  const fs::path file = fs::path(folder) / kStateFile;
  std::error_code error;
  if (!fs::exists(file, error))
    throw FileError(fmt::format("{}: no saved run: {} is not there", folder, kStateFile));
  const std::string text = read_file(file.string());
  const StateReader reader(file.string());
  try {
    const json state = json::parse(text);
    const std::int64_t format = reader.whole(state, "format", {0, INT64_MAX});
    if (format != kFormat)
      throw FileError(fmt::format("{}: format {}; this program reads {}", file.string(), format, kFormat));
    const auto name = state.at("folder").get<std::string>();
    if (!is_step_folder(name)) reader.damaged(fmt::format("\"{}\" is no step's folder", name));
    return {reader.settings(state.at("settings")), reader.position(state),
            (fs::path(folder) / name).string()};
  } catch (const json::parse_error& error) {
    reader.damaged(fmt::format("byte {}: damaged", error.byte));
  } catch (const json::exception& error) {
    reader.damaged(error.what());
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

TrainSettings with_absolute_paths(TrainSettings settings) {
  std::error_code error;
  const auto absolute = [&](const std::string& path) {
    const std::string whole = fs::absolute(path, error).string();
    return error ? path : whole;
  };
  const std::string file = text_file(settings.data);
  if (!file.empty()) settings.data = "text:" + absolute(file);
  if (settings.data == "fashion-mnist") settings.data_dir = absolute(settings.data_dir);
  for (const std::string& path : {settings.data, settings.data_dir})
    if (data::find_invalid_utf8(path))
      throw UsageError(fmt::format(
          "{}: this path is not UTF-8, and a saved run cannot name it: rename it, or train without --save",
          path));
  return settings;
}

TrainSettings resumed_settings(const TrainSettings& saved, const TrainOptions& options) {
  // These may change: they change neither the order of samples nor the function of a step.
  std::set<std::string> free = {"checkpoint", "threads", "validate_every", "data_dir"};
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
