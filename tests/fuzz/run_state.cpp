// The state.json of a saved run, and its tokenizer.
#include <fstream>

#include "reprise/cli/run_state.h"
#include "reprise/nn/nn.h"
#include "reprise/optim/optim.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {
namespace {

const TemporaryFolder& folder() {
  static const TemporaryFolder place;
  return place;
}

}  // namespace

void read_input(std::string_view bytes) {
  std::ofstream(folder() / "state.json", std::ios::binary) << bytes;
  const cli::SavedRun run = cli::open_run(folder().path());
  cli::resumed_settings(run.settings, {});
  cli::load_tokenizer(run);
}

std::vector<std::string> seeds() {
  nn::Linear model(2, 2);
  const optim::SGD optimizer(model.parameters(), {.momentum = 0.9});
  const data::Tokenizer tokenizer = data::Tokenizer::bytes();
  std::vector<std::string> list;
  for (const bool text : {false, true}) {
    const TemporaryFolder place;
    cli::TrainSettings settings;
    settings.data = text ? "text:a.txt" : "fashion-mnist";
    cli::RunPosition position;
    position.results.push_back({});
    position.validations.push_back({});
    cli::RunFolder run(place / "run", cli::RunFolder::Existing::refuse);
    cli::save_run(run, settings, position, model, optimizer, text ? &tokenizer : nullptr);
    list.push_back(content_of(place / "run/state.json"));
  }
  return list;
}

}  // namespace reprise::fuzz
