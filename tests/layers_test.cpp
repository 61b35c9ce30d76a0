// Arrows between folders point down only. Reads every #include of the tree.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// The folders whose headers a folder may include, beside its own.
const std::map<std::string, std::set<std::string>> allowed = {
    {"core", {}},
    {"autograd", {"core"}},
    {"ops", {"autograd", "core"}},
    {"checkpoint", {"autograd", "core"}},
    {"nn", {"checkpoint", "ops", "autograd", "core"}},
    {"optim", {"checkpoint", "ops", "autograd", "core"}},
    {"data", {"core"}},
    {"cpu", {"ops", "autograd", "core"}},
    {"cuda", {"ops", "autograd", "core"}},
    {"cli", {"nn", "optim", "data", "checkpoint", "ops", "autograd", "core", "reprise.h"}},
    {"examples", {"nn", "optim", "data", "checkpoint", "ops", "autograd", "core", "reprise.h"}},
    {"benchmarks",
     {"nn", "optim", "data", "checkpoint", "ops", "autograd", "core", "cpu", "cuda", "reprise.h"}},
    {"tests",
     {"nn", "optim", "data", "checkpoint", "ops", "autograd", "core", "cpu", "cuda", "cli", "reprise.h"}},
    {"reprise.h", {"nn", "optim", "data", "checkpoint", "ops", "autograd", "core"}},
};

// Libraries that only source files may include, so that a program needs no headers but Reprise's.
const std::set<std::string> private_libraries = {"fmt",      "nlohmann", "zlib.h", "hwy",
                                                 "dnnl.hpp", "dnnl.h",   "oneapi", "omp.h"};

std::string first_part(const std::string& path) { return path.substr(0, path.find('/')); }

// Why `file` (relative to the root) must not have this line; empty when it may.
std::string objection(const std::string& file, const std::string& line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line[at] != '#') return {};
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line.compare(at, 7, "include") != 0) return {};
  const std::size_t open = line.find_first_of("<\"", at + 7);
  if (open == std::string::npos) return {};  // a macro's name
  const std::size_t close = line.find_first_of(">\"", open + 1);
  const std::string included = line.substr(open + 1, close - open - 1);
  const std::string folder = first_part(file);

  if (line[open] == '<') {
    const bool is_public_header = allowed.at("reprise.h").contains(folder) && file.ends_with(".h");
    if (is_public_header && private_libraries.contains(first_part(included)))
      return "a public header needs " + included + "; only source files may";
    if (first_part(included) == "reprise") return "Reprise's own headers stand in quotes";
    return {};
  }
  if (first_part(included) != "reprise") return "the one include style is \"reprise/<folder>/<file>\"";
  const std::string target = first_part(included.substr(included.find('/') + 1));
  if (target == folder || allowed.at(folder).contains(target)) return {};
  return "an arrow from " + folder + " to " + target;
}

std::vector<std::string> objections_in(const fs::path& root, const fs::path& path) {
  std::vector<std::string> result;
  const std::string file = fs::relative(path, root).generic_string();
  std::ifstream in(path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string why = objection(file, line);
    if (!why.empty()) result.push_back(file + ":" + std::to_string(number) + ": " + why);
  }
  return result;
}

bool is_source(const fs::path& path) {
  return path.extension() == ".h" || path.extension() == ".cpp" || path.extension() == ".cu";
}

}  // namespace

TEST_CASE("layers: the check sees each kind of forbidden include", "[layers]") {
  CHECK(objection("core/tensor.h", "#include \"reprise/core/shape.h\"").empty());
  CHECK(objection("ops/relu.cpp", "#include \"reprise/autograd/op.h\"").empty());
  CHECK(objection("ops/relu.cpp", "#include <fmt/format.h>").empty());
  CHECK(objection("core/tensor.h", "  #  include \"reprise/autograd/op.h\"") ==
        "an arrow from core to autograd");
  CHECK(objection("ops/relu.cpp", "#include \"reprise/cpu/slots.h\"") == "an arrow from ops to cpu");
  CHECK(objection("checkpoint/run.h", "#include \"reprise/nn/module.h\"") ==
        "an arrow from checkpoint to nn");
  CHECK(objection("nn/linear.cpp", "#include \"reprise/reprise.h\"") == "an arrow from nn to reprise.h");
  CHECK_FALSE(objection("core/tensor.cpp", "#include \"shape.h\"").empty());
  CHECK_FALSE(objection("core/tensor.h", "#include <fmt/format.h>").empty());
  CHECK_FALSE(objection("core/tensor.h", "#include <reprise/core/shape.h>").empty());
}

TEST_CASE("layers: every include of the tree points down", "[layers]") {
  const fs::path root = REPRISE_SOURCE_DIR;
  std::vector<std::string> found = objections_in(root, root / "reprise.h");
  int files = 0;
  for (const auto& [folder, _] : allowed) {
    if (!fs::is_directory(root / folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      ++files;
      for (std::string& why : objections_in(root, entry.path())) found.push_back(std::move(why));
    }
  }
  CHECK(files > 20);
  std::sort(found.begin(), found.end());
  for (const std::string& why : found) FAIL_CHECK(why);
}
