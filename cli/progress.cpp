#include "reprise/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "reprise/cli/output.h"

namespace reprise::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kNewLine = std::chrono::seconds(10);

std::string bar(std::int64_t done, std::int64_t total) {
  const auto filled = static_cast<int>(total > 0 ? kBarWidth * done / total : kBarWidth);
  std::string text;
  for (int i = 0; i < kBarWidth; ++i) text += i < filled ? "█" : "░";
  return text;
}

}  // namespace

Progress::Progress(std::string heading, std::int64_t total, std::int64_t done)
    : heading_(std::move(heading)), total_(total), terminal_(isatty(STDOUT_FILENO) == 1) {
  last_ = std::chrono::steady_clock::now();
  if (done == 0) last_ -= kRedraw;
}

Progress::~Progress() {
  if (drawn_) say("\n");
  flush_output();
}

bool Progress::due(std::int64_t done) const {
  if (done == total_) return true;
  const auto since = std::chrono::steady_clock::now() - last_;
  return terminal_ ? since >= kRedraw : since >= kNewLine;
}

void Progress::show(std::int64_t done, const std::string& figures) {
  last_ = std::chrono::steady_clock::now();
  if (terminal_) {
    // Return to the line's start and clear what was there.
    say("\r\x1b[K{} {} {}/{}  {}", heading_, bar(done, total_), done, total_, figures);
    drawn_ = true;
  } else {
    say("{}  {}/{}  {}\n", heading_, done, total_, figures);
  }
  flush_output();
}

}  // namespace reprise::cli
