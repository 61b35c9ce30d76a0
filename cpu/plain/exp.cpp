#include "reprise/ops/exp.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void exp(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::exp(x); });
}

}  // namespace

void fill_exp() { fill_any_floating(exp_slot, exp<float>, exp<double>); }

}  // namespace reprise::cpu
