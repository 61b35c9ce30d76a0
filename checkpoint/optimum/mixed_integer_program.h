#pragma once
// A mixed-integer linear program, solved by CBC (coinor-libcbc-dev).
#include <cstdint>
#include <utility>
#include <vector>

namespace reprise::checkpoint {

class MixedIntegerProgram {
 public:
  using Column = std::int32_t;
  struct Term {
    Column column;
    double factor;
  };
  enum class Status { optimal, infeasible, stopped };
  struct Result {
    Status status;
    double bound;                // no solution costs less
    double best;                 // of the solutions found; infinite: none
    std::vector<double> values;  // of the best, per column
  };

  Column add_binary(double cost);
  Column add_share(double cost);  // between 0 and 1
  // The sum of the terms is at most `most`.
  void add_row(std::vector<Term> terms, double most);
  Result minimize(double seconds) const;

 private:
  struct Row {
    std::vector<Term> terms;
    double most;
  };
  std::vector<std::pair<double, bool>> columns_;  // cost; is it whole?
  std::vector<Row> rows_;
};

}  // namespace reprise::checkpoint
