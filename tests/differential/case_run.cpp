#include "reprise/tests/differential/case_run.h"

#include <cmath>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/region.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/comparison.h"
#include "reprise/tests/kernel_settings.h"

namespace reprise::test::differential {
namespace {

std::uint64_t seed_of_case(std::uint64_t seed, std::uint64_t number) {
  const auto words = philox(seed, number);
  return words[0] | (std::uint64_t{words[1]} << 32);
}

const Subject& choose(Draw& draw, std::uint64_t number, const std::string& op) {
  if (op.empty()) return subjects()[number % subjects().size()];
  std::vector<const Subject*> fitting;
  for (const Subject& subject : subjects())
    if (op == subject.op) fitting.push_back(&subject);
  if (fitting.empty()) throw std::invalid_argument("no subject is called '" + op + "'");
  return *fitting[static_cast<std::size_t>(draw.whole(0, static_cast<std::int64_t>(fitting.size()) - 1))];
}

// Calls body(name, a, b) for each pair of tensors of two runs.
template <class Body>
void for_each_pair(const Results& a, const Results& b, Body body) {
  const auto each = [&](const char* name, const std::vector<Tensor>& x, const std::vector<Tensor>& y) {
    for (std::size_t i = 0; i < x.size(); ++i) body(name + std::to_string(i), x[i], y[i]);
  };
  each("output ", a.outputs, b.outputs);
  each("gradient ", a.gradients, b.gradients);
  each("second derivative ", a.second, b.second);
}

// Equal bits, but every NaN equals every other: which operand a NaN comes from depends on where a thread's range ends.
bool same_values(const Tensor& a, const Tensor& b) {
  if (same_bits(a, b)) return true;
  if (!a.defined() || !b.defined() || !(a.info() == b.info()) || !is_floating(a.dtype())) return false;
  const std::vector<double> x = a.to_vector(), y = b.to_vector();
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(x[i] == y[i] && std::signbit(x[i]) == std::signbit(y[i])) &&
        !(std::isnan(x[i]) && std::isnan(y[i])))
      return false;
  return true;
}

void compare_values(const Results& a, const Results& b, const std::string& what,
                    std::vector<std::string>& wrong) {
  for_each_pair(a, b, [&](const std::string& name, const Tensor& x, const Tensor& y) {
    if (!same_values(x, y)) wrong.push_back(name + ": values differ " + what);
  });
}
void compare_bits(const Results& a, const Results& b, const std::string& what,
                  std::vector<std::string>& wrong) {
  for_each_pair(a, b, [&](const std::string& name, const Tensor& x, const Tensor& y) {
    if (!same_bits(x, y)) wrong.push_back(name + ": bits differ " + what);
  });
}

// The root of the mean square of the finite elements.
double size_of_finite(const std::vector<double>& values) {
  double total = 0, count = 0;
  for (const double x : values)
    if (std::isfinite(x)) {
      total += x * x;
      count += 1;
    }
  return count == 0 ? 0 : std::sqrt(total / count);
}

// The rms error over `exact`, relative to `size`. An element that is not finite must be the same in both, unless
// the exact one passes the greatest number of the dtype.
double relative_error(const Tensor& actual, const Tensor& exact, double size, double greatest) {
  std::vector<double> a = actual.to_vector();
  const std::vector<double> b = exact.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) || std::abs(b[i]) > greatest;
    a[i] = same ? 0 : a[i] - b[i];
    if (!std::isfinite(a[i])) return INFINITY;
  }
  const double error = size_of_finite(a);
  return error == 0 ? 0 : error / size;
}

Tensor in_f64(const Tensor& x, bool magnitude) {
  if (!x.defined() || !is_floating(x.dtype())) return x;
  Tensor result = x.detach().to(DType::f64);
  if (magnitude) result = abs(result).detach();
  result.set_requires_grad(x.requires_grad());
  return result;
}
std::vector<Tensor> in_f64(const std::vector<Tensor>& list, bool magnitude) {
  std::vector<Tensor> result;
  for (const Tensor& x : list) result.push_back(in_f64(x, magnitude));
  return result;
}

}  // namespace

CaseRun::CaseRun(std::uint64_t seed, std::uint64_t number, const std::string& op)
    : draw_(seed_of_case(seed, number)), subject_(&choose(draw_, number, op)) {
  dtype_ = subject_->dtypes[static_cast<std::size_t>(
      draw_.whole(0, static_cast<std::int64_t>(subject_->dtypes.size()) - 1))];
  case_ = subject_->draw(draw_, dtype_);
  judged_mode_ = {.plain = draw_.chance(0.25), .threads = static_cast<int>(draw_.whole(1, 3))};
}

// The seed needs the output's shape, so the function runs once before.
void CaseRun::draw_seeds() {
  bool wanted = false;
  for (const Tensor& input : case_.inputs) wanted = wanted || input.requires_grad();
  if (!wanted || case_.differentiated < 0) return;
  const Tensor y = outputs({}, case_.inputs).at(static_cast<std::size_t>(case_.differentiated));
  dy_ = draw_.seed(y.shape(), y.dtype());
  second_ = case_.double_backward && (dtype_ == DType::f32 || dtype_ == DType::f64);
  if (!second_) return;
  dy_.set_requires_grad(true);
  for (const Tensor& input : case_.inputs)
    directions_.push_back(input.requires_grad() ? draw_.ordinary(input.shape(), input.dtype()) : Tensor());
}

std::vector<Tensor> CaseRun::outputs(const Mode& mode, const std::vector<Tensor>& inputs) const {
  if (!mode.composed) return case_.function(inputs);
  const auto composed = [&] {
    std::vector<Tensor> interior;
    for (const Tensor& input : inputs)
      interior.push_back(input.dtype() == DType::u8 || input.dtype() == DType::boolean ? input
                                                                                       : neg(neg(input)));
    return case_.function(interior);
  };
  return mode.region ? checkpoint::run(*mode.region, composed) : composed();
}

Results CaseRun::run(const Mode& mode, const std::vector<Tensor>& inputs, const Tensor& dy,
                     const std::vector<Tensor>& directions) const {
  const PlainKernels kernels(mode.plain);
  const ThreadCount threads(mode.threads);
  if (!dy.defined()) return {.outputs = outputs(mode, inputs), .gradients = {}, .second = {}};
  Tape tape;
  Results results;
  results.outputs = outputs(mode, inputs);
  std::vector<Tensor> wanted;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) wanted.push_back(input);
  const Tensor& y = results.outputs[static_cast<std::size_t>(case_.differentiated)];
  std::vector<Tensor> found =
      tape.gradients(y, wanted, {.seed = dy, .create_graph = second_, .allow_unused = true});
  std::size_t next = 0;
  for (const Tensor& input : inputs)
    results.gradients.push_back(input.requires_grad() ? found[next++] : Tensor());
  if (!second_) return results;

  Tensor total = 0.0 * sum(dy);  // a gradient may depend on nothing
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (results.gradients[i].defined()) total = total + sum(results.gradients[i] * directions[i]);
  wanted.push_back(dy);
  found = tape.gradients(total, wanted, {.allow_unused = true});
  next = 0;
  for (const Tensor& input : inputs)
    results.second.push_back(input.requires_grad() ? found[next++] : Tensor());
  results.second.push_back(found.back());
  return results;
}

Results CaseRun::run_in_f64(bool magnitudes) const {
  return run({.plain = true}, in_f64(case_.inputs, magnitudes), in_f64(dy_, magnitudes),
             in_f64(directions_, magnitudes));
}

void CaseRun::compare_threads(const Results& fast, const Results& plain,
                              std::vector<std::string>& wrong) const {
  const int threads = judged_mode_.threads == 1 ? 2 : judged_mode_.threads;
  const std::string what = "with 1 and " + std::to_string(threads) + " threads";
  compare_values(plain, run({.plain = true, .threads = threads}), what + ", plain kernels", wrong);
  if (!case_.library) compare_values(fast, run({.threads = threads}), what + ", fast kernels", wrong);
}

void CaseRun::compare_regions(std::vector<std::string>& wrong) {
  struct Choice {
    const char* name;
    checkpoint::Policy policy;
  };
  const Choice choices[] = {{"full", checkpoint::Policy::full()},
                            {"save_only neg", checkpoint::Policy::save_only({"neg"})},
                            {"recompute_cheap", checkpoint::Policy::recompute_cheap()},
                            {"offload", checkpoint::Policy::offload()}};
  const Choice& choice = choices[draw_.whole(0, 3)];
  Mode mode = judged_mode_;
  mode.composed = true;
  const Results without = run(mode);
  mode.region = &choice.policy;
  compare_bits(without, run(mode), std::string("with and without a region, policy ") + choice.name, wrong);
}

void CaseRun::compare_with_f64(const Results& actual, const char* kernels,
                               std::vector<std::string>& wrong) const {
  const Results exact = run_in_f64(false), terms = case_.terms ? run_in_f64(true) : exact;
  const double rounding = case_.tolerance > 3e-6 ? 10 : 1;  // rounding of 16 bits counts as much more near 0
  const double tolerance = dtype_ == DType::f64    ? 1e-12
                           : dtype_ == DType::f32  ? case_.tolerance
                           : dtype_ == DType::bf16 ? 1e-2 * rounding
                                                   : 2e-3 * rounding;
  std::vector<double> sizes;
  for_each_pair(exact, terms, [&](const std::string&, const Tensor& x, const Tensor& magnitude) {
    sizes.push_back(x.defined() ? std::max(size_of_finite(x.to_vector()),
                                           case_.terms ? 0.1 * size_of_finite(magnitude.to_vector()) : 0)
                                : 0);
  });
  std::size_t next = 0;
  for_each_pair(actual, exact, [&](const std::string& name, const Tensor& x, const Tensor& y) {
    const double size = sizes[next++];
    if (x.defined() != y.defined()) {
      wrong.push_back(name + ": is undefined in one of the dtypes, " + kernels + " kernels");
    } else if (x.defined() && is_floating(x.dtype())) {
      const double error = relative_error(x, y, size, dtype_ == DType::f16 ? 65504.0 : 3e38);
      if (!(error <= tolerance))
        wrong.push_back(name + ": relative rms error " + std::to_string(error / tolerance) +
                        " times what is allowed, " + kernels + " kernels against plain ones in f64");
    }
  });
}

std::vector<std::string> CaseRun::differences() {
  std::vector<std::string> wrong;
  try {
    draw_seeds();
    const Results fast = run({}), plain = run({.plain = true});
    judged_ = judged_mode_.plain ? plain : judged_mode_.threads == 1 ? fast : run(judged_mode_);
    compare_threads(fast, plain, wrong);
    compare_regions(wrong);
    if (is_floating(dtype_) && draw_.ordinary() && case_.judged_in_f64) {
      compare_with_f64(judged_, judged_mode_.plain ? "plain" : "fast", wrong);
      if (!judged_mode_.plain) compare_with_f64(plain, "plain", wrong);
    }
  } catch (const std::exception& error) {
    wrong.push_back(std::string("threw: ") + error.what());
  }
  return wrong;
}

}  // namespace reprise::test::differential
