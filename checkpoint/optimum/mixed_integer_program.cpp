#include "reprise/checkpoint/optimum/mixed_integer_program.h"

#include <coin/Cbc_C_Interface.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>

namespace reprise::checkpoint {

MixedIntegerProgram::Column MixedIntegerProgram::add_binary(double cost) {
  columns_.emplace_back(cost, true);
  return static_cast<Column>(columns_.size()) - 1;
}

MixedIntegerProgram::Column MixedIntegerProgram::add_share(double cost) {
  columns_.emplace_back(cost, false);
  return static_cast<Column>(columns_.size()) - 1;
}

void MixedIntegerProgram::add_row(std::vector<Term> terms, double most) {
  // A column may be named more than once.
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return a.column < b.column; });
  std::vector<Term> summed;
  for (const Term& term : terms) {
    if (!summed.empty() && summed.back().column == term.column)
      summed.back().factor += term.factor;
    else
      summed.push_back(term);
  }
  rows_.push_back({std::move(summed), most});
}

MixedIntegerProgram::Result MixedIntegerProgram::minimize(double seconds) const {
  // By columns, as CBC takes it.
  std::vector<int> starts(columns_.size() + 1);
  for (const Row& row : rows_)
    for (const Term& term : row.terms) ++starts[static_cast<std::size_t>(term.column) + 1];
  for (std::size_t c = 0; c < columns_.size(); ++c) starts[c + 1] += starts[c];
  std::vector<int> next(starts.begin(), starts.end() - 1), row_of(static_cast<std::size_t>(starts.back()));
  std::vector<double> factors(row_of.size()), most;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    most.push_back(rows_[r].most);
    for (const Term& term : rows_[r].terms) {
      const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(term.column)]++);
      row_of[place] = static_cast<int>(r);
      factors[place] = term.factor;
    }
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> no_less(rows_.size(), -1e300), zeros(columns_.size(), 0),
      ones(columns_.size(), 1);
  std::vector<double> costs;
  for (const auto& [cost, whole] : columns_) costs.push_back(cost);

  const std::unique_ptr<void, void (*)(void*)> model(Cbc_newModel(), Cbc_deleteModel);
  Cbc_loadProblem(model.get(), static_cast<int>(columns_.size()), static_cast<int>(rows_.size()),
                  starts.data(), row_of.data(), factors.data(), zeros.data(), ones.data(), costs.data(),
                  no_less.data(), most.data());
  for (std::size_t c = 0; c < columns_.size(); ++c)
    if (columns_[c].second) Cbc_setInteger(model.get(), static_cast<int>(c));
  Cbc_setParameter(model.get(), "logLevel", "0");
  Cbc_setParameter(model.get(), "timeMode", "elapsed");
  Cbc_setParameter(model.get(), "seconds", std::to_string(seconds).c_str());
  const auto start = std::chrono::steady_clock::now();
  Cbc_solve(model.get());
  // Stopped, CBC may call a program infeasible to which it has found no solution yet.
  const bool stopped = Cbc_status(model.get()) != 0 || std::chrono::steady_clock::now() - start >=
                                                           std::chrono::duration<double>(0.95 * seconds);

  Result result{.status = Status::stopped, .bound = -kInfinity, .best = kInfinity, .values = {}};
  result.bound = Cbc_getBestPossibleObjValue(model.get());
  if (!stopped && Cbc_isProvenInfeasible(model.get())) {
    result.status = Status::infeasible;
    result.bound = kInfinity;
    return result;
  }
  if (Cbc_numberSavedSolutions(model.get()) > 0) {
    result.best = Cbc_getObjValue(model.get());
    const double* values = Cbc_getColSolution(model.get());
    result.values.assign(values, values + columns_.size());
  }
  if (!stopped && Cbc_isProvenOptimal(model.get())) {
    result.status = Status::optimal;
    result.bound = result.best;
  }
  return result;
}

}  // namespace reprise::checkpoint
