#pragma once
// Where a step's time goes: for each op its share, and its distance from what the machine can do.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "reprise/autograd/op_timer.h"

namespace reprise::cli {

// What this machine reaches in this process, measured in a fraction of a second: the floating-point rate of a large matrix
// product (per second, in f32 and bf16), and the memory bandwidth of a copy between arrays beyond every cache.
struct MachinePeak {
  double f32_flops = 0, bf16_flops = 0;
  double bytes = 0;
};
MachinePeak measure_machine();

// Sums up ops by name.
class Profile final : public OpTimer {
 public:
  void ran(const Op& op, std::span<const ConstView> in, std::span<const View> out, double seconds) override;

  // Of all ops that ran, divided by the steps; `step_seconds` is a whole step, of which the rest is not in ops. Of peak: the
  // time in which the machine could do the op's multiplications, or read and write its operands once, whichever is longer,
  // as a share of the time it took.
  void print(std::int64_t steps, double step_seconds, const MachinePeak& peak) const;
  nlohmann::ordered_json to_json(std::int64_t steps, double step_seconds, const MachinePeak& peak) const;

 private:
  struct Row {
    std::int64_t calls = 0;
    double seconds = 0, flops = 0, bytes = 0;
    bool bf16 = false;
  };
  struct Line;
  std::vector<Line> lines(std::int64_t steps, double step_seconds, const MachinePeak& peak) const;
  std::map<std::string, Row> rows_;
};

}  // namespace reprise::cli
