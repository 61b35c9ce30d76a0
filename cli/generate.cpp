// `reprise generate`: text from a saved run.
#include <fmt/format.h>

#include <utility>

#include "reprise/cli/network.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/cli/run_state.h"
#include "reprise/cli/source.h"
#include "reprise/core/parallel.h"
#include "reprise/nn/models/generate.h"

namespace reprise::cli {

namespace {

struct Loaded {
  data::Tokenizer tokenizer;
  nn::Model model;
};

Loaded load(const GenerateOptions& options) {
  const SavedRun run = open_run(options.load);
  if (text_file(run.settings.data).empty())
    throw UsageError(fmt::format("--load {}: trained on {}, not on text", options.load, run.settings.data));
  data::Tokenizer tokenizer = load_tokenizer(run);
  ModelInput input = default_input(run.settings.model, run.settings);
  input.classes = tokenizer.size();
  nn::Model model = make_network(run.settings.model, run.settings, input, parse_dtype(run.settings.dtype),
                                 parse_device(options.device));
  load_weights(run, model);
  return {std::move(tokenizer), std::move(model)};
}

// A training process may save the run meanwhile, and remove the files that are being read: then the new ones are read.
Loaded load_current(const GenerateOptions& options) {
  for (;;) {
    const std::string folder = current_step_folder(options.load);
    try {
      return load(options);
    } catch (const FileError&) {
      if (current_step_folder(options.load) == folder) throw;
    }
  }
}

}  // namespace

int generate(const GenerateOptions& options) {
  if (options.threads > 0) set_num_threads(options.threads);
  auto [tokenizer, model] = load_current(options);
  const auto write = [](const std::string& text) {
    write_output(text);
    check_output();  // text that nobody reads need not be made
  };
  std::vector<std::int64_t> prompt;
  try {
    prompt = tokenizer.encode(options.prompt.empty() ? "\n" : options.prompt);
  } catch (const UserError& error) {
    throw UsageError(fmt::format("--prompt: {}", error.what()));
  }
  write(options.prompt);
  nn::generate(
      model, prompt,
      {.tokens = options.tokens,
       .temperature = options.temperature,
       .top_k = options.top_k,
       .seed = options.seed,
       .each = [&, &words = tokenizer](std::int64_t token) { write(words.decode(std::vector{token})); }});
  write("\n");
  return 0;
}

}  // namespace reprise::cli
