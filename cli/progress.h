#pragma once
// How far a run has come: on a terminal one line, redrawn; otherwise a line now and then.
#include <chrono>
#include <cstdint>
#include <string>

namespace reprise::cli {

class Progress {
 public:
  // `heading` begins the line ("epoch 1/2"); `total` steps in all, of which `done` are behind us.
  Progress(std::string heading, std::int64_t total, std::int64_t done);
  ~Progress();  // ends the line on a terminal
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Is it time to show something again? Always after the last step.
  bool due(std::int64_t done) const;
  void show(std::int64_t done, const std::string& figures);

 private:
  std::string heading_;
  std::int64_t total_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace reprise::cli
