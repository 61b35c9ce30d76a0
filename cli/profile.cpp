#include "reprise/cli/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "reprise/cli/output.h"
#include "reprise/ops/cast.h"
#include "reprise/ops/matmul.h"
#include "reprise/ops/neg.h"

namespace reprise::cli {
namespace {

double seconds_of(const std::function<void()>& work) {
  constexpr int kRuns = 5;
  work();  // finds its kernel, touches its memory
  double least = 1e9;
  for (int i = 0; i < kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return least;
}

double product_rate(DType dtype) {
  constexpr std::int64_t kSize = 1536;
  const Tensor a = Tensor::rand({kSize, kSize}).to(dtype), b = Tensor::rand({kSize, kSize}).to(dtype);
  return 2.0 * kSize * kSize * kSize / seconds_of([&] { matmul(a, b); });
}

// Read and written: f32 in, f32 out.
double copy_rate() {
  const Tensor x = Tensor::zeros({std::int64_t{1} << 25});
  return 2.0 * static_cast<double>(x.bytes()) / seconds_of([&] { neg(x); });
}

}  // namespace

MachinePeak measure_machine() {
  const NoGrad no_grad;
  return {
      .f32_flops = product_rate(DType::f32), .bf16_flops = product_rate(DType::bf16), .bytes = copy_rate()};
}

void Profile::ran(const Op& op, std::span<const ConstView> in, std::span<const View> out, double seconds) {
  Row& row = rows_[std::string(op.name())];
  ++row.calls;
  row.seconds += seconds;
  std::vector<ValueInfo> infos;
  for (const ConstView& view : in) {
    infos.push_back(*view.info);
    row.bytes += static_cast<double>(view.info->bytes());
    row.bf16 = row.bf16 || view.info->dtype == DType::bf16;
  }
  for (const View& view : out) row.bytes += static_cast<double>(view.info->bytes());
  row.flops += op.flops(infos);
}

struct Profile::Line {
  std::string op;
  double calls, milliseconds, share, gflops, gigabytes, of_peak;  // a step; rates are a second
};

std::vector<Profile::Line> Profile::lines(std::int64_t steps, double step_seconds,
                                          const MachinePeak& peak) const {
  std::vector<Line> list;
  const auto count = static_cast<double>(steps);
  double rest = step_seconds;
  for (const auto& [name, row] : rows_) {
    const double least =
        std::max(row.flops / (row.bf16 ? peak.bf16_flops : peak.f32_flops), row.bytes / peak.bytes);
    list.push_back({name, static_cast<double>(row.calls) / count, row.seconds / count * 1e3,
                    row.seconds / count / step_seconds, row.flops / row.seconds / 1e9,
                    row.bytes / row.seconds / 1e9, least / row.seconds});
    rest -= row.seconds / count;
  }
  std::sort(list.begin(), list.end(),
            [](const Line& a, const Line& b) { return a.milliseconds > b.milliseconds; });
  list.push_back({"(optimizer, tape, allocator)", 0, rest * 1e3, rest / step_seconds, 0, 0, 0});
  return list;
}

void Profile::print(std::int64_t steps, double step_seconds, const MachinePeak& peak) const {
  say("step {:.2f} ms; the machine: {:.0f} GFLOP/s f32, {:.0f} bf16, {:.1f} GB/s\n\n", step_seconds * 1e3,
      peak.f32_flops / 1e9, peak.bf16_flops / 1e9, peak.bytes / 1e9);
  say("{:32} {:>7} {:>9} {:>7} {:>9} {:>7} {:>8}\n", "op", "calls", "ms", "share", "GFLOP/s", "GB/s",
      "of peak");
  for (const Line& line : lines(steps, step_seconds, peak)) {
    say("{:32} {:>7.0f} {:>9.3f} {:>6.1f}%", line.op, line.calls, line.milliseconds, 100 * line.share);
    if (line.calls > 0) say(" {:>9.1f} {:>7.1f} {:>7.0f}%", line.gflops, line.gigabytes, 100 * line.of_peak);
    say("\n");
  }
}

nlohmann::ordered_json Profile::to_json(std::int64_t steps, double step_seconds,
                                        const MachinePeak& peak) const {
  nlohmann::ordered_json result;
  result["f32_gflops"] = peak.f32_flops / 1e9;
  result["bf16_gflops"] = peak.bf16_flops / 1e9;
  result["gigabytes_per_s"] = peak.bytes / 1e9;
  result["ops"] = nlohmann::ordered_json::array();
  for (const Line& line : lines(steps, step_seconds, peak))
    result["ops"].push_back({{"op", line.op},
                             {"calls", line.calls},
                             {"milliseconds", line.milliseconds},
                             {"share", line.share},
                             {"gflops", line.gflops},
                             {"gigabytes_per_s", line.gigabytes},
                             {"of_peak", line.of_peak}});
  return result;
}

}  // namespace reprise::cli
