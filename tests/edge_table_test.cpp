// docs/edge_cases.md holds the table that the op cases give.
#include "reprise/tests/edge_table.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>

namespace {

const std::string kPage = std::string(REPRISE_SOURCE_DIR) + "/docs/edge_cases.md";
const std::string kBegin = "<!-- table: begin -->\n", kEnd = "<!-- table: end -->\n";

struct Page {
  std::string before, table, after;
};

Page read_page() {
  std::ifstream file(kPage);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t begin = text.find(kBegin), end = text.find(kEnd);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const std::size_t first = begin + kBegin.size();
  return {text.substr(0, first), text.substr(first, end - first), text.substr(end)};
}

}  // namespace

TEST_CASE("docs/edge_cases.md: the table is what the ops do", "[ops]") {
  INFO("reprise_tests \"docs/edge_cases.md: write the table\" writes the table anew");
  CHECK(read_page().table == reprise::test::edge_table());
}

TEST_CASE("docs/edge_cases.md: write the table", "[.]") {
  const Page page = read_page();
  const std::string table = reprise::test::edge_table();  // before the page is opened, and so emptied
  std::ofstream(kPage) << page.before << table << page.after;
}
