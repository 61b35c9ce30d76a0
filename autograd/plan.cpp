// Traces and plans as JSON files.
#include "reprise/autograd/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reprise/core/error.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"

namespace reprise {
namespace {

using nlohmann::json;

json to_json(const Shape& shape) {
  return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end());
}
Shape shape_from(const json& j) { return Shape(j.get<std::vector<std::int64_t>>()); }

void write(const json& j, const std::string& path) { replace_file(path, j.dump(1) + '\n'); }

// Everything that can be wrong with the file's contents becomes an error that names the file.
template <class T, class Parse>
T read(const std::string& path, const char* format, Parse parse) {
  check_readable(path);
  std::ifstream file(path);
  if (!file) throw FileError(fmt::format("{}: cannot be opened", path));
  try {
    const json j = json::parse(file);
    if (j.at("format") != format)
      throw FileError(fmt::format("{}: is a {}, not a {}", path, j.at("format").get<std::string>(), format));
    return parse(j);
  } catch (const json::exception& error) {
    throw FileError(fmt::format("{}: not a {}: {}", path, format, error.what()));
  } catch (const UserError& error) {
    throw FileError(fmt::format("{}: {}", path, error.what()));
  }
}

Device device_from(const std::string& text) {
  if (text == "cpu") return Device::cpu();
  if (text.starts_with("cuda:") && text.size() < 8 &&
      text.find_first_not_of("0123456789", 5) == std::string::npos)
    return Device::cuda(std::stoi(text.substr(5)));
  throw UserError(fmt::format("'{}' is no device (cpu, cuda:0, ...)", text));
}

const char* name(Decision decision) {
  return decision == Decision::keep ? "keep" : decision == Decision::offload ? "offload" : "recompute";
}
Decision decision_from(const std::string& text) {
  for (const Decision d : {Decision::keep, Decision::offload, Decision::recompute})
    if (text == name(d)) return d;
  throw UserError(fmt::format("'{}' is no decision (keep, recompute, offload)", text));
}

const char* name(TraceEvent::Kind kind) {
  switch (kind) {
    case TraceEvent::Kind::node:
      return "node";
    case TraceEvent::Kind::allocate:
      return "allocate";
    case TraceEvent::Kind::release:
      return "release";
    case TraceEvent::Kind::backward:
      return "backward";
  }
  return "";
}
TraceEvent::Kind kind_from(const std::string& text) {
  using Kind = TraceEvent::Kind;
  for (const Kind kind : {Kind::node, Kind::allocate, Kind::release, Kind::backward})
    if (text == name(kind)) return kind;
  throw UserError(fmt::format("'{}' is no event (node, allocate, release, backward)", text));
}

void check_regions(const Plan& plan) {
  std::vector<PlanRegion> open;
  std::int32_t previous = 0;
  for (const PlanRegion& region : plan.regions) {
    while (!open.empty() && open.back().last <= region.first) open.pop_back();
    const bool nested = open.empty() || region.last <= open.back().last;
    if (region.first < previous || region.last <= region.first || !nested ||
        region.last > static_cast<std::int32_t>(plan.nodes.size()))
      throw UserError(fmt::format(
          "region [{}, {}) does not nest with the others in preorder, or leaves the step's {} nodes",
          region.first, region.last, plan.nodes.size()));
    previous = region.first;
    open.push_back(region);
  }
}

}  // namespace

void Plan::validate() const { check_regions(*this); }

void Plan::sort() {
  std::stable_sort(regions.begin(), regions.end(), [](const PlanRegion& a, const PlanRegion& b) {
    return a.first != b.first ? a.first < b.first : a.last > b.last;
  });
  std::sort(decisions.begin(), decisions.end(), [](const PlanDecision& a, const PlanDecision& b) {
    return a.node != b.node ? a.node < b.node : a.output < b.output;
  });
}

void Plan::save(const std::string& path) const {
  json j{{"format", "reprise plan"}, {"predicted_peak", predicted_peak_}, {"replays", replays_}};
  for (const PlanRegion& region : regions) j["regions"].push_back({region.first, region.last, region.eager});
  for (const PlanDecision& d : decisions) j["decisions"].push_back({d.node, d.output, name(d.decision)});
  for (const PlanNode& node : nodes) j["nodes"].push_back({node.op, node.attributes, to_json(node.shape)});
  write(j, path);
}

Plan Plan::load(const std::string& path) {
  return read<Plan>(path, "reprise plan", [](const json& j) {
    Plan plan;
    for (const json& n : j.value("nodes", json::array()))
      plan.nodes.push_back({n.at(0), n.at(1), shape_from(n.at(2))});
    for (const json& r : j.value("regions", json::array()))
      plan.regions.push_back({r.at(0), r.at(1), r.at(2)});
    for (const json& d : j.value("decisions", json::array()))
      plan.decisions.push_back({d.at(0), d.at(1), decision_from(d.at(2))});
    plan.set_prediction(j.at("predicted_peak"), j.at("replays"));
    plan.validate();
    return plan;
  });
}

void Trace::save(const std::string& path) const {
  json j{{"format", "reprise trace"}};
  for (const TraceNode& n : nodes)
    j["nodes"].push_back({{"op", n.op},
                          {"attributes", n.attributes},
                          {"inputs", n.inputs},
                          {"outputs", n.outputs},
                          {"saved", n.saved},
                          {"workspace", n.workspace},
                          {"flops", n.flops},
                          {"seconds", n.seconds},
                          {"keep", n.keep},
                          {"tracked", n.tracked}});
  for (const TraceValue& v : values)
    j["values"].push_back({{"shape", to_json(v.shape)},
                           {"dtype", to_string(v.dtype)},
                           {"device", to_string(v.device)},
                           {"bytes", v.bytes},
                           {"storage", v.storage},
                           {"maker", v.maker},
                           {"leaf", v.leaf},
                           {"has_gradient", v.has_gradient}});
  for (const TraceEvent& e : events) j["events"].push_back({name(e.kind), e.index});
  for (const TraceBackward& b : backwards)
    j["backwards"].push_back({{"loss", b.loss},
                              {"seed", b.seed},
                              {"wanted", b.wanted},
                              {"results", b.results},
                              {"accumulate", b.accumulate},
                              {"retain_graph", b.retain_graph},
                              {"create_graph", b.create_graph},
                              {"allow_unused", b.allow_unused},
                              {"eager_commit", b.eager_commit}});
  j["device"] = to_string(device);
  j["base_bytes"] = base_bytes;
  j["tape_values"] = tape_values;
  write(j, path);
}

Trace Trace::load(const std::string& path) {
  return read<Trace>(path, "reprise trace", [](const json& j) {
    Trace trace;
    for (const json& v : j.value("values", json::array())) {
      trace.values.push_back({shape_from(v.at("shape")), dtype_from_string(v.at("dtype").get<std::string>()),
                              device_from(v.at("device")), v.at("bytes"), v.at("storage"), v.at("maker"),
                              v.at("leaf"), v.at("has_gradient")});
    }
    const auto count = static_cast<std::int32_t>(trace.values.size());
    for (const json& n : j.value("nodes", json::array())) {
      TraceNode node{n.at("op"),    n.at("attributes"), n.at("inputs"), n.at("outputs"),
                     n.at("saved"), n.at("workspace"),  n.at("flops"),  n.at("seconds"),
                     n.at("keep"),  n.at("tracked"),    nullptr};
      for (const auto* list : {&node.inputs, &node.outputs, &node.saved})
        for (const std::int32_t v : *list)
          if (v < 0 || v >= count)
            throw UserError(fmt::format("node {} names value {} of {}", trace.nodes.size(), v, count));
      trace.nodes.push_back(std::move(node));
    }
    for (const json& b : j.value("backwards", json::array()))
      trace.backwards.push_back({b.at("loss"), b.at("seed"), b.at("wanted"), b.at("results"),
                                 b.at("accumulate"), b.at("retain_graph"), b.at("create_graph"),
                                 b.at("allow_unused"), b.at("eager_commit")});
    trace.device = device_from(j.at("device"));
    trace.base_bytes = j.at("base_bytes");
    trace.tape_values = j.at("tape_values");
    for (const json& e : j.value("events", json::array()))
      trace.events.push_back({kind_from(e.at(0)), e.at(1)});
    return trace;
  });
}

}  // namespace reprise
