// `reprise compare`: the same training steps without checkpointing and with each setting.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reprise/cli/bytes.h"
#include "reprise/cli/network.h"
#include "reprise/cli/optimizer.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/cli/source.h"
#include "reprise/cli/training_step.h"
#include "reprise/core/memory.h"
#include "reprise/core/output_file.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"

namespace reprise::cli {
namespace {

// Bytes kept outside the meter, so that the reference does not count as memory of the others' steps.
using NamedBytes = std::vector<std::pair<std::string, std::vector<std::byte>>>;

NamedBytes copies_of(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  NamedBytes copies;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) continue;
    const Tensor host = tensor.detach().to(Device::cpu());
    const std::byte* data = host.impl()->data();
    copies.emplace_back(name, std::vector<std::byte>(data, data + tensor.bytes()));
  }
  return copies;
}

struct Record {
  std::string checkpoint = {};
  std::vector<double> losses = {}, seconds = {};
  std::vector<NamedBytes> gradients = {};  // of each step
  NamedBytes state = {};                   // parameters and buffers after the last step
  StepFigures last = {};
  double median_seconds() const {
    // The first step also finds kernels and fills caches.
    std::vector<double> sorted(seconds.begin() + (seconds.size() > 1 ? 1 : 0), seconds.end());
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

Record run(const CompareOptions& options, const std::string& checkpoint, const ModelInput& input,
           const std::vector<data::Batch>& batches) {
  manual_seed(options.seed);
  nn::Model model = make_network(options.model, options.shape, input, parse_dtype(options.dtype),
                                 batches.front().inputs.device());
  const nn::CheckpointSetting setting = parse_checkpoint(checkpoint, model);
  const auto optimizer =
      make_optimizer(options.optimizer.empty() ? default_optimizer(options.model) : options.optimizer,
                     model.parameters(), {});
  Record record{.checkpoint = checkpoint};
  for (const data::Batch& batch : batches) {
    record.last = training_step(model, {setting}, *optimizer, batch, Measure::bytes);
    record.losses.push_back(record.last.loss);
    record.seconds.push_back(record.last.seconds);
    std::vector<std::pair<std::string, Tensor>> gradients;
    for (const auto& [name, parameter] : model.named_parameters())
      gradients.emplace_back(name, parameter.grad());
    record.gradients.push_back(copies_of(gradients));
  }
  record.state = copies_of(model.named_parameters());
  for (auto& buffer : copies_of(model.named_buffers())) record.state.push_back(std::move(buffer));
  return record;
}

// The name of the first tensor whose bits differ; empty when all are equal.
std::string first_difference(const NamedBytes& a, const NamedBytes& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= a.size()) return b[i].first;
    if (i >= b.size() || a[i] != b[i]) return a[i].first;
  }
  return {};
}

struct Verdict {
  bool losses = true;
  std::string gradients;  // the first that differs, with its step; empty: all bits are equal
  std::string state;
  bool equal() const { return losses && gradients.empty() && state.empty(); }
};

Verdict judge(const Record& reference, const Record& record) {
  Verdict verdict;
  for (std::size_t i = 0; i < record.losses.size(); ++i) {
    verdict.losses = verdict.losses && std::bit_cast<std::uint64_t>(record.losses[i]) ==
                                           std::bit_cast<std::uint64_t>(reference.losses[i]);
    const std::string name = first_difference(reference.gradients[i], record.gradients[i]);
    if (verdict.gradients.empty() && !name.empty())
      verdict.gradients = fmt::format("{} in step {}", name, i + 1);
  }
  verdict.state = first_difference(reference.state, record.state);
  return verdict;
}

std::string bits(double loss) {
  return fmt::format("{:08x}", std::bit_cast<std::uint32_t>(static_cast<float>(loss)));
}

}  // namespace

int compare(const CompareOptions& options) {
  if (!options.json.empty()) check_writable(options.json);
  const DType dtype = parse_dtype(options.dtype);
  if (options.threads > 0) set_num_threads(options.threads);
  const Device device = parse_device(options.device);
  if (options.memory_limit) memory::set_limit(device, *options.memory_limit);
  const std::int64_t size = options.batch > 0 ? options.batch : default_batch(options.model);
  const ModelInput own = default_input(options.model, options.shape);
  const Source source = open_source(options.data, data::Split::train,
                                    {.folder = options.data_dir,
                                     .sample = own.sample,
                                     .dtype = own.dtype,
                                     .classes = own.classes,
                                     .samples = size * options.steps,
                                     .seed = options.seed});
  const ModelInput input{source.sample, source.classes, source.dtype};
  std::vector<std::string> settings = {"none"};
  {
    manual_seed(options.seed);
    const nn::Model model = make_network(options.model, options.shape, input, dtype);
    for (const std::string& checkpoint : options.checkpoints) {
      parse_checkpoint(checkpoint, model);  // what cannot be is said before anything runs
      if (std::find(settings.begin(), settings.end(), checkpoint) == settings.end())
        settings.push_back(checkpoint);
    }
  }
  std::vector<data::Batch> batches;
  for (std::int64_t i = 0; i < options.steps; ++i)
    batches.push_back(on_device(batch_in_order(source, i * size, size), device));

  say("{} on {}, batch {}, {}, {} threads, {} steps\n\n", options.model, source.name, size, options.dtype,
      num_threads(), options.steps);
  say("{:15} {:>11} {:>11} {:>8} {:>9} {:>9} {:>8}  {:10} {}\n", "checkpoint", "peak", "activations",
      "of none", "replayed", "s/step", "of none", "last loss", "gradients equal");
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  Record reference;
  std::string differing;
  for (const std::string& checkpoint : settings) {
    Record record = run(options, checkpoint, input, batches);
    const bool is_reference = checkpoint == "none";
    if (is_reference) reference = std::move(record);
    const Record& shown = is_reference ? reference : record;  // NOLINT(bugprone-use-after-move): not then
    const Verdict verdict = judge(reference, shown);
    if (!verdict.equal() && differing.empty()) differing = checkpoint;
    std::string word = is_reference ? "-" : "yes";
    if (!verdict.gradients.empty())
      word = "no: " + verdict.gradients;
    else if (!verdict.losses)
      word = "yes, but a loss differs";
    else if (!verdict.state.empty())
      word = "yes, but " + verdict.state + " differs after the last step";
    const auto share = [](auto part, auto whole) {
      return static_cast<double>(part) / static_cast<double>(whole);
    };
    say("{:15} {:>11} {:>11} {:>8.2f} {:>9} {:>9.4f} {:>8.2f}  {:10} {}\n", checkpoint,
        megabytes(shown.last.peak_bytes), megabytes(shown.last.peak_activation_bytes()),
        share(shown.last.peak_activation_bytes(), reference.last.peak_activation_bytes()),
        shown.last.replayed_nodes, shown.median_seconds(),
        share(shown.median_seconds(), reference.median_seconds()), bits(shown.losses.back()), word);
    flush_output();
    nlohmann::ordered_json row;
    row["checkpoint"] = checkpoint;
    row["peak_bytes"] = shown.last.peak_bytes;
    row["peak_activation_bytes"] = shown.last.peak_activation_bytes();
    row["peak_by_tag"] = shown.last.peak_by_tag;
    row["replayed_nodes"] = shown.last.replayed_nodes;
    row["median_s"] = shown.median_seconds();
    row["losses"] = shown.losses;
    row["losses_equal"] = verdict.losses;
    row["gradients_equal"] = verdict.gradients.empty();
    row["state_equal"] = verdict.state.empty();
    if (!verdict.gradients.empty()) row["first_differing_gradient"] = verdict.gradients;
    rows.push_back(std::move(row));
  }
  say("\ngradients equal: {}\n",
      differing.empty()
          ? fmt::format("yes (every bit of {} gradients in {} steps; losses, weights and buffers too)",
                        reference.gradients.front().size(), options.steps)
          : fmt::format("no (checkpoint {})", differing));
  if (!options.json.empty()) {
    nlohmann::ordered_json result;
    result["model"] = options.model;
    result["data"] = options.data;
    result["batch"] = size;
    result["dtype"] = options.dtype;
    result["threads"] = num_threads();
    result["steps"] = options.steps;
    result["seed"] = options.seed;
    result["equal"] = differing.empty();
    result["settings"] = std::move(rows);
    replace_file(options.json, result.dump(2) + "\n");
  }
  return differing.empty() ? 0 : 1;
}

}  // namespace reprise::cli
