#pragma once
// Runs one drawn case in every mode: plain and fast kernels, one or more threads, with and without a region.
#include <string>
#include <vector>

#include "reprise/checkpoint/policy.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {

// The tensors of one run. A gradient is undefined for an input that needs none.
struct Results {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;  // per input, of the differentiated output from the seed `dy`
  std::vector<Tensor> second;     // per input, then of dy: gradients of sum(gradients * directions)
};

struct Mode {
  bool plain = false;
  int threads = 1;
  // The inputs pass through ops first, so that a region drops them too.
  bool composed = false;
  const checkpoint::Policy* region = nullptr;  // composed only
};

class CaseRun {
 public:
  // Draws case number `number` of a run: its subject by turns, all else from the seed. `op`: only this one.
  CaseRun(std::uint64_t seed, std::uint64_t number, const std::string& op);

  // Runs every mode. Returns one line for each difference; empty: none.
  std::vector<std::string> differences();

  const Subject& subject() const { return *subject_; }
  DType dtype() const { return dtype_; }
  const DrawnCase& drawn() const { return case_; }
  Values values() const { return draw_.values(); }
  bool second() const { return second_; }
  const Tensor& dy() const { return dy_; }
  const std::vector<Tensor>& directions() const { return directions_; }
  // The mode whose results PyTorch judges, and these results (after differences()).
  const Mode& judged_mode() const { return judged_mode_; }
  const Results& judged() const { return judged_; }

 private:
  void draw_seeds();
  Results run(const Mode& mode) const { return run(mode, case_.inputs, dy_, directions_); }
  Results run(const Mode& mode, const std::vector<Tensor>& inputs, const Tensor& dy,
              const std::vector<Tensor>& directions) const;
  std::vector<Tensor> outputs(const Mode& mode, const std::vector<Tensor>& inputs) const;
  Results run_in_f64(bool magnitudes) const;
  void compare_threads(const Results& fast, const Results& plain, std::vector<std::string>& wrong) const;
  void compare_regions(std::vector<std::string>& wrong);
  void compare_with_f64(const Results& actual, const char* kernels, std::vector<std::string>& wrong) const;

  Draw draw_;
  const Subject* subject_;
  DType dtype_;
  DrawnCase case_;
  Tensor dy_;
  std::vector<Tensor> directions_;
  bool second_ = false;
  Mode judged_mode_;
  Results judged_;
};

}  // namespace reprise::test::differential
