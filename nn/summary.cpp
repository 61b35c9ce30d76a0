#include "reprise/nn/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"

namespace reprise::nn {
namespace {

// Bytes of the buffers that nodes [first, last) made; views share one.
std::size_t made_bytes(const Trace& trace, std::int64_t first, std::int64_t last) {
  std::size_t bytes = 0;
  std::set<std::int32_t> seen;
  for (std::int64_t n = first; n < last; ++n)
    for (std::int32_t v : trace.nodes[static_cast<std::size_t>(n)].outputs) {
      const TraceValue& value = trace.values[static_cast<std::size_t>(v)];
      const bool view_of_older = std::any_of(
          trace.values.begin(), trace.values.begin() + v,
          [&](const TraceValue& other) { return other.storage == value.storage && other.maker < first; });
      if (!view_of_older && seen.insert(value.storage).second) bytes += value.bytes;
    }
  return bytes;
}

}  // namespace

std::vector<SummaryRow> summary_rows(const std::vector<SummaryPart>& parts, const ValueInfo& input) {
  std::vector<SummaryRow> rows;
  std::vector<std::int64_t> edges = {0};  // of the parts, in nodes
  const DryRun dry_run;
  const Device device = input.device;
  // A whole storage of its own, not counted by any row.
  Tensor x = Tensor::empty(input.shape, {.device = device, .dtype = input.dtype});
  Tape tape;
  for (const SummaryPart& part : parts) {
    SummaryRow row{.name = part.name, .output = {}};
    for (Module* module : part.modules) row.parameters += module->parameter_count();
    const std::size_t before = memory::live(device);
    Tensor y = part.call(x);  // x is held here, so the growth is what the part made and left
    const std::size_t after = memory::live(device);
    row.output = y.shape();
    row.kept = after - before;
    // Nobody may need what the previous part gave: then that part did not keep it.
    x = std::move(y);
    if (!rows.empty()) rows.back().kept -= after - memory::live(device);
    edges.push_back(tape.nodes());
    rows.push_back(std::move(row));
  }
  const Trace trace = tape.trace();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t made = made_bytes(trace, edges[i], edges[i + 1]);
    rows[i].dropped = made - std::min(made, rows[i].kept);
  }
  return rows;
}

std::string summary(const std::vector<SummaryPart>& parts, const ValueInfo& input) {
  std::vector<SummaryRow> rows = summary_rows(parts, input);
  SummaryRow total{.name = "total", .output = rows.empty() ? input.shape : rows.back().output};
  std::size_t name_width = total.name.size();
  std::size_t shape_width = std::string_view("output shape").size();
  for (const SummaryRow& row : rows) {
    total.parameters += row.parameters;
    total.kept += row.kept;
    total.dropped += row.dropped;
    name_width = std::max(name_width, row.name.size());
    shape_width = std::max(shape_width, to_string(row.output).size());
  }
  rows.push_back(std::move(total));
  std::string table = fmt::format("{:<{}}  {:<{}}  {:>12}  {:>10}  {:>10}\n", "part", name_width,
                                  "output shape", shape_width, "parameters", "kept MB", "dropped MB");
  for (const SummaryRow& row : rows)
    table += fmt::format("{:<{}}  {:<{}}  {:>12}  {:>10.2f}  {:>10.2f}\n", row.name, name_width,
                         to_string(row.output), shape_width, row.parameters,
                         static_cast<double>(row.kept) / static_cast<double>(MiB(1)),
                         static_cast<double>(row.dropped) / static_cast<double>(MiB(1)));
  return table;
}

std::string summary(Sequential& model, const ValueInfo& input) {
  std::vector<SummaryPart> parts;
  for (std::size_t i = 0; i < model.size(); ++i) {
    SummaryPart part{std::to_string(i), {}, [&model, i](Tensor x) { return model.call(i, std::move(x)); }};
    if (Module* module = model.module(i)) part.modules.push_back(module);
    parts.push_back(std::move(part));
  }
  return summary(parts, input);
}

}  // namespace reprise::nn
