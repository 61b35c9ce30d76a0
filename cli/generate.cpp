// `reprise generate`: text from a saved run.
#include <fmt/format.h>

#include <cstdio>

#include "reprise/cli/network.h"
#include "reprise/cli/options.h"
#include "reprise/cli/run_state.h"
#include "reprise/cli/source.h"
#include "reprise/core/parallel.h"
#include "reprise/nn/models/generate.h"

namespace reprise::cli {

int generate(const GenerateOptions& options) {
  const SavedRun run = open_run(options.load);
  if (text_file(run.settings.data).empty())
    throw UsageError(fmt::format("--load {}: trained on {}, not on text", options.load, run.settings.data));
  if (options.threads > 0) set_num_threads(options.threads);
  const data::Tokenizer tokenizer = load_tokenizer(run);
  ModelInput input = default_input(run.settings.model, run.settings);
  input.classes = tokenizer.size();
  nn::Model model = make_network(run.settings.model, run.settings, input, parse_dtype(run.settings.dtype),
                                 parse_device(options.device));
  load_weights(run, model);
  const auto write = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  std::vector<std::int64_t> prompt;
  try {
    prompt = tokenizer.encode(options.prompt.empty() ? "\n" : options.prompt);
  } catch (const UserError& error) {
    throw UsageError(fmt::format("--prompt: {}", error.what()));
  }
  write(options.prompt);
  nn::generate(model, prompt,
               {.tokens = options.tokens,
                .temperature = options.temperature,
                .top_k = options.top_k,
                .seed = options.seed,
                .each = [&](std::int64_t token) { write(tokenizer.decode(std::vector{token})); }});
  write("\n");
  return 0;
}

}  // namespace reprise::cli
