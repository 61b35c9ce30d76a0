// `reprise models`: the ready models.
#include <fmt/format.h>

#include "reprise/cli/network.h"
#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/core/dry_run.h"

namespace reprise::cli {

int list_models() {
  say("{:10} {:>12} {:>7}  {:14} {:>7} {:>11}\n", "model", "parameters", "blocks", "sample", "classes",
      "bench batch");
  for (const std::string& name : model_names()) {
    const DryRun dry;  // counts the weights instead of making them
    nn::Model model = nn::make_model(name);
    say("{:10} {:>12} {:>7}  {:14} {:>7} {:>11}\n", name, fmt::group_digits(model.parameter_count()),
        model.block_count(), to_string(model.input_shape()), model.classes(), default_batch(name));
  }
  return 0;
}

}  // namespace reprise::cli
