#include "reprise/ops/log.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void log(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::log(x); });
}

}  // namespace

void fill_log() { fill_any_floating(log_slot, log<float>, log<double>); }

}  // namespace reprise::cpu
