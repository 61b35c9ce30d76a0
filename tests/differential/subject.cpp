#include "reprise/tests/differential/subject.h"

#include <fstream>
#include <regex>
#include <set>
#include <stdexcept>

namespace reprise::test::differential {
namespace {

// Operators that call a function of another name.
const std::set<std::string> kAliases = {"operator+", "operator-", "operator*", "operator/"};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all = [] {
    std::vector<Subject> list;
    for (auto* group : {elementwise_subjects, image_subjects, loss_subjects, normalization_subjects,
                        product_subjects, reduction_subjects, shape_subjects})
      for (Subject& subject : group()) list.push_back(std::move(subject));
    return list;
  }();
  return all;
}

std::vector<std::string> missing_subjects() {
  std::set<std::string> known = kAliases;
  for (const Subject& subject : subjects()) known.insert(subject.op);
  static const std::regex include("#include \"reprise/(ops/[a-z0-9_]+\\.h)\"");
  static const std::regex function(
      "^(inline )?(Tensor|std::vector<Tensor>|\\w+Outputs|\\w+Gradients) (operator.|\\w+)\\(.*");
  const std::string root = REPRISE_SOURCE_DIR "/";
  std::vector<std::string> missing;
  std::smatch header, found;
  for (const std::string& line : lines_of(root + "ops/ops.h")) {
    if (!std::regex_match(line, header, include)) continue;
    for (const std::string& declaration : lines_of(root + header[1].str()))
      if (std::regex_match(declaration, found, function) && known.insert(found[3]).second)
        missing.push_back(found[3]);
  }
  return missing;
}

nlohmann::json to_json(const Shape& shape) {
  return std::vector(shape.extents().begin(), shape.extents().end());
}

}  // namespace reprise::test::differential
