#include "reprise/tests/differential/stream.h"

#include <utility>

namespace reprise::test::differential {

void write(std::ostream& out, std::uint64_t number, const CaseRun& run) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) tensors.emplace_back(name, tensor);
  };
  const auto add_list = [&](const std::string& name, const std::vector<Tensor>& list, std::size_t count) {
    for (std::size_t i = 0; i < count && i < list.size(); ++i) add(name + std::to_string(i), list[i]);
  };
  const Results& results = run.judged();
  const std::size_t inputs = run.drawn().inputs.size();
  add_list("input", run.drawn().inputs, inputs);
  add("dy", run.dy());
  add_list("direction", run.directions(), inputs);
  add_list("output", results.outputs, results.outputs.size());
  add_list("gradient", results.gradients, inputs);
  add_list("second", results.second, inputs);
  if (!results.second.empty()) add("second_dy", results.second.back());

  nlohmann::json header = {{"case", number},
                           {"op", run.subject().op},
                           {"dtype", reprise::to_string(run.dtype())},
                           {"values", to_string(run.values())},
                           {"kernels", run.judged_mode().plain ? "plain" : "fast"},
                           {"threads", run.judged_mode().threads},
                           {"options", run.drawn().options},
                           {"differentiated", run.dy().defined() ? run.drawn().differentiated : -1},
                           {"requires_grad", nlohmann::json::array()},
                           {"tensors", nlohmann::json::array()}};
  for (const Tensor& input : run.drawn().inputs) header["requires_grad"].push_back(input.requires_grad());
  for (const auto& [name, tensor] : tensors)
    header["tensors"].push_back({name, reprise::to_string(tensor.dtype()), to_json(tensor.shape())});
  out << header.dump() << '\n';
  for (const auto& [name, tensor] : tensors)
    out.write(reinterpret_cast<const char*>(tensor.impl()->data()),
              static_cast<std::streamsize>(tensor.bytes()));
}

}  // namespace reprise::test::differential
