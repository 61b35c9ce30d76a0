#pragma once
// Time against memory for all planners, as a table and as a picture.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reprise::cli {

struct FrontierPoint {
  std::string planner;
  std::size_t budget = 0;
  std::size_t peak_bytes = 0;
  double activations = 0;             // share of those without checkpointing
  std::int64_t replays = 0;           // nodes run again
  std::optional<double> extra_flops;  // share of the forward pass's; nobody counts those of online eviction
  double time = 0;                    // of a step without checkpointing's
};

// One line a point under a line of names.
std::string to_csv(const std::vector<FrontierPoint>& points);

// A picture that needs nothing else: activations to the right, time upwards, a line for each planner.
std::string to_svg(const std::string& title, const std::vector<FrontierPoint>& points);

}  // namespace reprise::cli
