#include "reprise/tests/cuda_emulator/streams.h"

#include <deque>
#include <map>
#include <string>

#include "reprise/tests/cuda_emulator/memory.h"

namespace reprise::emulator {

namespace {

Settings current;
std::map<cudaStream_t, std::deque<std::function<cudaError_t()>>> waiting;
cudaError_t failed = cudaSuccess;
std::string fault;

void run(const std::function<cudaError_t()>& work) {
  if (failed != cudaSuccess) return;
  device_memory().open();
  failed = work();
  device_memory().close();
}

}  // namespace

const Settings& settings() { return current; }

void submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  if (current.lazy)
    waiting[stream].push_back(std::move(work));
  else
    run(work);
}

cudaError_t wait(cudaStream_t stream) {
  std::deque<std::function<cudaError_t()>>& queue = waiting[stream];
  while (!queue.empty()) {
    const std::function<cudaError_t()> work = std::move(queue.front());
    queue.pop_front();
    run(work);
  }
  return failed;
}

cudaError_t sticky_error() { return failed; }

void set_fault(std::string text) { fault = std::move(text); }

}  // namespace reprise::emulator

using namespace reprise::emulator;

extern "C" {

// Also forgets a fault, so that the next test starts well.
void reprise_emulator_configure(const Settings* settings) {
  for (auto& [stream, queue] : waiting) wait(stream);
  failed = cudaSuccess;
  fault.clear();
  current = *settings;
  device_memory().lock_host_out(current.host_locked_out);
}

const char* reprise_emulator_last_fault() { return fault.c_str(); }
}
