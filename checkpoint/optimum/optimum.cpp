#include "reprise/checkpoint/optimum/optimum.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/optimum/mixed_integer_program.h"
#include "reprise/checkpoint/optimum/replay_problem.h"
#include "reprise/checkpoint/simulate.h"

namespace reprise::checkpoint {
namespace {

constexpr double kMicroseconds = 1e6, kMebibytes = 1.0 / (1 << 20);  // what the solver sees

std::size_t at(std::int32_t i) { return static_cast<std::size_t>(i); }

// Stages are the backwards that read a buffer. `again(n, k)`: node n runs again before backward k. `held(b, k)`: buffer b is
// there when stage k begins, held(b, 0) after the forward pass.
class Schedule {
 public:
  using Column = MixedIntegerProgram::Column;
  using Terms = std::vector<MixedIntegerProgram::Term>;

  Schedule(const Trace& trace, const ReplayProblem& problem, std::size_t budget, bool flat)
      : trace_(trace), problem_(problem), budget_(static_cast<double>(budget) * kMebibytes) {
    for (const ForwardBuffer& buffer : problem.forward.buffers)
      free_.push_back(buffer.bytes == 0 || buffer.last_alive == nodes());
    for (std::size_t i = 0; i < problem.backwards.size(); ++i) {
      std::vector<std::int32_t> saved = problem.forward.saves[at(problem.backwards[i].node)];
      std::erase_if(saved, [&](std::int32_t b) { return free_[at(b)]; });
      if (saved.empty()) continue;
      stages_.push_back(i);
      saved_.push_back(std::move(saved));
    }
    add_columns();
    add_flow();
    add_forward_memory();
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      add_replay_memory(k);
      add_backward_memory(k);
    }
    if (flat) add_flatness();
  }

  const MixedIntegerProgram& program() const { return program_; }

  // What runs again is not kept. Where it is there from the forward pass on for some backwards, and made again for others, it is cut
  // between them.
  KeptBuffers as_plan(const std::vector<double>& values) const {
    KeptBuffers plan{std::vector<bool>(at(buffers()), true), std::vector<bool>(at(nodes()))};
    const auto is = [&](Column column) { return column >= 0 && values[at(column)] > 0.5; };
    for (std::int32_t b = 0; b < buffers(); ++b) {
      if (free_[at(b)]) continue;
      for (std::size_t k = stages_.size(); k-- > 0;) {
        if (!is(again(k, buffer(b).maker))) continue;
        plan.kept[at(b)] = false;
        const std::vector<std::int32_t>& savers = buffer(b).savers;
        const auto before = std::upper_bound(savers.begin(), savers.end(), backward(k).node);
        if (is(held(0, b)) && before != savers.end()) plan.cut[at(*before)] = true;
      }
    }
    return plan;
  }

 private:
  std::int32_t nodes() const { return static_cast<std::int32_t>(problem_.forward.reads.size()); }
  std::int32_t buffers() const { return static_cast<std::int32_t>(problem_.forward.buffers.size()); }
  const ForwardBuffer& buffer(std::int32_t b) const { return problem_.forward.buffers[at(b)]; }
  const ReplayBackward& backward(std::size_t k) const { return problem_.backwards[stages_[k]]; }
  double mebibytes(std::int32_t b) const { return static_cast<double>(buffer(b).bytes) * kMebibytes; }
  bool saved(std::size_t k, std::int32_t b) const {
    return std::find(saved_[k].begin(), saved_[k].end(), b) != saved_[k].end();
  }
  // -1: not a variable, for it can be of no use, or there is nothing to decide.
  Column held(std::size_t k, std::int32_t b) const { return k < stages_.size() ? held_[k][at(b)] : -1; }
  Column again(std::size_t k, std::int32_t n) const { return again_[k][at(n)]; }

  void add_columns() {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      const std::int32_t last = backward(k).node;
      again_.emplace_back(at(nodes()), -1);
      held_.emplace_back(at(buffers()), -1);
      for (std::int32_t b = 0; b < buffers(); ++b) {
        const std::int32_t maker = buffer(b).maker;
        if (free_[at(b)] || maker > last) continue;
        held_[k][at(b)] = program_.add_binary(0);
        if (again(k, maker) < 0)
          again_[k][at(maker)] = program_.add_binary(trace_.nodes[at(maker)].seconds * kMicroseconds);
      }
    }
  }

  // Held or made again, or what wants it is not: wanted - held(b, k) - again(maker, k) <= most.
  void must_be_there(std::size_t k, std::int32_t b, Terms wanted, double most) {
    if (free_[at(b)]) return;
    wanted.push_back({held(k, b), -1});
    wanted.push_back({again(k, buffer(b).maker), -1});
    program_.add_row(std::move(wanted), most);
  }

  void add_flow() {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      for (const std::int32_t b : saved_[k]) must_be_there(k, b, {}, -1);
      for (std::int32_t b = 0; b < buffers(); ++b)
        if (held(k + 1, b) >= 0) must_be_there(k, b, {{held(k + 1, b), 1}}, 0);
      for (std::int32_t n = 0; n < nodes(); ++n)
        if (again(k, n) >= 0)
          for (const std::int32_t b : problem_.forward.reads[at(n)])
            must_be_there(k, b, {{again(k, n), 1}}, 0);
    }
  }

  void add_flatness() {
    for (std::int32_t n = 0; n < nodes(); ++n) {
      Terms runs;
      for (std::size_t k = 0; k < stages_.size() && again(k, n) >= 0; ++k) {
        runs.push_back({again(k, n), 1});
        for (const std::int32_t b : problem_.forward.makes[at(n)]) {
          if (free_[at(b)] || held(k + 1, b) < 0 || buffer(b).savers.empty() ||
              buffer(b).savers.front() > backward(k + 1).node)
            continue;
          Terms stays;
          stays.reserve(runs.size() + 1);
          for (const MixedIntegerProgram::Term& term : runs) stays.push_back(term);
          stays.push_back({held(k + 1, b), -1});
          program_.add_row(std::move(stays), 0);
        }
      }
      if (runs.size() > 1) program_.add_row(std::move(runs), 1);
    }
  }

  // `fixed` bytes, `more` mebibytes and these terms live at once.
  void limit(std::int64_t fixed, double more, Terms terms) {
    program_.add_row(std::move(terms), budget_ - static_cast<double>(fixed) * kMebibytes - more);
  }

  void add_forward_memory() {
    for (std::int32_t n = 0; n < nodes(); ++n) {
      Terms terms;
      double alive = 0;
      for (std::int32_t b = 0; b < buffers(); ++b) {
        if (free_[at(b)] || buffer(b).maker > n) continue;
        if (buffer(b).last_alive >= n)
          alive += mebibytes(b);
        else if (held(0, b) >= 0)
          terms.push_back({held(0, b), mebibytes(b)});
      }
      limit(problem_.forward_highest[at(n)], alive, std::move(terms));
    }
  }

  // While stage k's backward runs, and those up to the next stage's.
  void add_backward_memory(std::size_t k) {
    std::int64_t between = 0;
    const std::size_t end = k + 1 < stages_.size() ? stages_[k + 1] : problem_.backwards.size();
    for (std::size_t i = stages_[k] + 1; i < end; ++i)
      between = std::max(between, problem_.backwards[i].highest);
    Terms during, after;
    double read = 0;
    for (std::int32_t b = 0; b < buffers(); ++b) {
      if (saved(k, b))
        read += mebibytes(b);
      else if (held(k + 1, b) >= 0)
        during.push_back({held(k + 1, b), mebibytes(b)});
      if (held(k + 1, b) >= 0) after.push_back({held(k + 1, b), mebibytes(b)});
    }
    limit(backward(k).highest, read, std::move(during));
    if (between > 0) limit(between, 0, std::move(after));
  }

  // While a node runs again, all that is there and wanted later is there.
  void add_replay_memory(std::size_t k) {
    const std::int32_t last = backward(k).node;
    // wanted[b]: is b wanted at or after node n of this stage? As n falls, more nodes may read it.
    std::vector<Column> wanted(at(buffers()), -1);
    for (std::int32_t n = last; n >= 0; --n) {
      if (again(k, n) < 0) continue;
      for (const std::int32_t b : problem_.forward.reads[at(n)]) {
        if (free_[at(b)] || saved(k, b)) continue;
        const Column more = program_.add_share(0);
        program_.add_row({{again(k, n), 1}, {more, -1}}, 0);
        const Column before = wanted[at(b)] >= 0 ? wanted[at(b)] : held(k + 1, b);
        if (before >= 0) program_.add_row({{before, 1}, {more, -1}}, 0);
        wanted[at(b)] = more;
      }
      Terms terms{{again(k, n), static_cast<double>(trace_.nodes[at(n)].workspace) * kMebibytes}};
      double read = 0;
      for (std::int32_t b = 0; b < buffers(); ++b) {
        const std::int32_t maker = buffer(b).maker;
        if (free_[at(b)] || maker > last) continue;
        if (maker == n) terms.push_back({again(k, n), mebibytes(b)});
        if (maker >= n)
          terms.push_back({held(k, b), mebibytes(b)});
        else if (saved(k, b))
          read += mebibytes(b);
        else if (const Column later = wanted[at(b)] >= 0 ? wanted[at(b)] : held(k + 1, b); later >= 0)
          terms.push_back({later, mebibytes(b)});
      }
      limit(backward(k).before, read, std::move(terms));
    }
  }

  const Trace& trace_;
  const ReplayProblem& problem_;
  double budget_;
  std::vector<bool> free_;                        // per buffer: there, at no price
  std::vector<std::size_t> stages_;               // in problem_.backwards
  std::vector<std::vector<std::int32_t>> saved_;  // per stage
  MixedIntegerProgram program_;
  std::vector<std::vector<Column>> again_, held_;  // per stage, of each node and buffer
};

}  // namespace

Optimum optimum(const Trace& trace, const OptimumOptions& options) {
  const std::size_t all = simulate(trace, plan_of(trace, {})).peak_bytes;
  if (all <= options.budget) return {true, 0, 0, {}};
  const ReplayProblem problem = replay_problem(trace);
  const Schedule schedule(trace, problem, options.budget, options.flat);
  const MixedIntegerProgram::Result result = schedule.program().minimize(options.seconds);
  return {result.status != MixedIntegerProgram::Status::stopped, result.best / kMicroseconds,
          result.bound / kMicroseconds,
          result.values.empty() ? KeptBuffers{} : schedule.as_plan(result.values)};
}

}  // namespace reprise::checkpoint
