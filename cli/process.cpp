#include "reprise/cli/process.h"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <string>

namespace reprise::cli {
namespace {

volatile std::sig_atomic_t noted = 0;
volatile std::sig_atomic_t noted_at = 0;  // seconds, wrapped

std::sig_atomic_t seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::sig_atomic_t>(time.tv_sec & 0x3fffffff);
}

// Nothing but what POSIX allows in a handler: flags, clock_gettime and _exit.
void note(int signal) {
  if (noted == 0) {
    noted = signal;
    noted_at = seconds_now();
  } else if (seconds_now() - noted_at > 1) {
    _exit(128 + signal);
  }
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

}  // namespace

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t highest_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

Interrupts::Interrupts() {
  noted = 0;
  handle(note);
}

Interrupts::~Interrupts() { handle(SIG_DFL); }

int Interrupts::signal() { return noted; }

}  // namespace reprise::cli
