#pragma once
// What the system says of this process: its resident memory, and the signals that ask it to end.
#include <cstddef>

namespace reprise::cli {

std::size_t resident_bytes();
std::size_t highest_resident_bytes();  // since the process began

// While one lives, SIGINT and SIGTERM are noted instead of ending the process, so that the step under way can finish and
// be saved. Another one ends the process at once if it comes more than a second later: a terminal and a supervisor
// may both send the first.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  // The signal that came, or 0.
  static int signal();
};

}  // namespace reprise::cli
