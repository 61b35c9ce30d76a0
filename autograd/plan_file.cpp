// Traces and plans as JSON files. Every number is checked here or in validate().
#include "reprise/autograd/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/core/output_file.h"
#include "reprise/core/readable_file.h"

namespace reprise {
namespace {

using nlohmann::json;

json to_json(const Shape& shape) {
  return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end());
}

// A whole number in the range of T, not negative unless T is signed. The JSON library itself would cut fractions off and
// wrap numbers around.
template <class T>
T whole(const json& j, T least = std::numeric_limits<T>::min()) {
  const bool fits = j.is_number_unsigned() ? std::in_range<T>(j.get<std::uint64_t>())
                                           : j.is_number_integer() && std::in_range<T>(j.get<std::int64_t>());
  if (!fits || j.get<T>() < least)
    throw UserError(fmt::format("{} is not a whole number from {} to {}", j.dump(), least,
                                std::numeric_limits<T>::max()));
  return j.get<T>();
}
std::int32_t index_from(const json& j) { return whole<std::int32_t>(j, -1); }

const json& list_of(const json& j) {
  if (!j.is_array()) throw UserError(fmt::format("a list is expected, not {}", j.type_name()));
  return j;
}
// An absent list is empty.
const json& list_of(const json& j, const char* name) {
  static const json empty = json::array();
  return j.contains(name) ? list_of(j.at(name)) : empty;
}
std::vector<std::int32_t> indices_from(const json& j) {
  std::vector<std::int32_t> indices;
  for (const json& index : list_of(j)) indices.push_back(index_from(index));
  return indices;
}
Shape shape_from(const json& j) {
  std::vector<std::int64_t> extents;
  for (const json& extent : list_of(j)) extents.push_back(whole<std::int64_t>(extent, 0));
  return Shape(extents);
}

// Names that are not UTF-8 are written with replacement characters.
void write(const json& j, const std::string& path) {
  replace_file(path, j.dump(1, ' ', false, json::error_handler_t::replace) + '\n');
}

// Everything that can be wrong with the file's contents becomes an error that names the file.
template <class T, class Parse>
T read(const std::string& path, const char* format, Parse parse) {
  check_readable(path);
  std::ifstream file(path);
  if (!file) throw FileError(fmt::format("{}: cannot be opened", path));
  try {
    const json j = json::parse(file);
    if (const std::string found = j.at("format"); found != format)
      throw UserError(fmt::format("is a {}, not a {}", found, format));
    return parse(j);
  } catch (const UserError& error) {
    throw FileError(fmt::format("{}: {}", path, error.what()));
  } catch (const std::exception& error) {  // of the JSON library, or of memory that the file asks for
    throw FileError(fmt::format("{}: not a {}: {}", path, format, error.what()));
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

}  // namespace

void Plan::save(const std::string& path) const {
  json j{{"format", "reprise plan"},
         {"predicted_peak", predicted_peak_},
         {"replays", replays_},
         {"budget", budget},
         {"gradient_bytes", gradient_bytes}};
  for (const PlanRegion& region : regions) j["regions"].push_back({region.first, region.last, region.eager});
  for (const PlanDecision& d : decisions) j["decisions"].push_back({d.node, d.output, name(d.decision)});
  for (const PlanNode& node : nodes) j["nodes"].push_back({node.op, node.attributes, to_json(node.shape)});
  write(j, path);
}

Plan Plan::load(const std::string& path) {
  return read<Plan>(path, "reprise plan", [](const json& j) {
    Plan plan;
    for (const json& n : list_of(j, "nodes")) plan.nodes.push_back({n.at(0), n.at(1), shape_from(n.at(2))});
    for (const json& r : list_of(j, "regions"))
      plan.regions.push_back({index_from(r.at(0)), index_from(r.at(1)), r.at(2)});
    for (const json& d : list_of(j, "decisions"))
      plan.decisions.push_back({index_from(d.at(0)), index_from(d.at(1)), decision_from(d.at(2))});
    plan.set_prediction(whole<std::size_t>(j.at("predicted_peak")), whole<std::int64_t>(j.at("replays"), 0));
    if (j.contains("budget")) plan.budget = whole<std::size_t>(j.at("budget"));
    if (j.contains("gradient_bytes")) plan.gradient_bytes = whole<std::size_t>(j.at("gradient_bytes"));
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
    for (const json& v : list_of(j, "values"))
      trace.values.push_back({shape_from(v.at("shape")), dtype_from_string(v.at("dtype").get<std::string>()),
                              device_from(v.at("device")), whole<std::size_t>(v.at("bytes")),
                              index_from(v.at("storage")), index_from(v.at("maker")), v.at("leaf"),
                              v.at("has_gradient")});
    for (const json& n : list_of(j, "nodes"))
      trace.nodes.push_back({n.at("op"), n.at("attributes"), indices_from(n.at("inputs")),
                             indices_from(n.at("outputs")), indices_from(n.at("saved")),
                             whole<std::size_t>(n.at("workspace")), n.at("flops"), n.at("seconds"),
                             n.at("keep"), n.at("tracked"), nullptr});
    for (const json& b : list_of(j, "backwards"))
      trace.backwards.push_back({index_from(b.at("loss")), index_from(b.at("seed")),
                                 indices_from(b.at("wanted")), indices_from(b.at("results")),
                                 b.at("accumulate"), b.at("retain_graph"), b.at("create_graph"),
                                 b.at("allow_unused"), b.at("eager_commit")});
    trace.device = device_from(j.at("device"));
    trace.base_bytes = whole<std::size_t>(j.at("base_bytes"));
    trace.tape_values = index_from(j.at("tape_values"));
    for (const json& e : list_of(j, "events"))
      trace.events.push_back({kind_from(e.at(0)), index_from(e.at(1))});
    trace.validate();
    return trace;
  });
}

}  // namespace reprise
