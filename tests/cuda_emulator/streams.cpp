#include "reprise/tests/cuda_emulator/streams.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/tests/cuda_emulator/graphs.h"
#include "reprise/tests/cuda_emulator/memory.h"

namespace reprise::emulator {

namespace {

using Queue = std::deque<Entry>;

Settings current;
std::map<cudaStream_t, Queue> queues;
std::mt19937_64 chance;
cudaError_t failed = cudaSuccess;
std::string fault;

thread_local int device_in_force = 0;
std::uintptr_t streams_made = 0;
constexpr std::uintptr_t kStreamUnit = 16;  // a stream is its number times this, and its device

void run(const std::function<cudaError_t()>& work, int device) {
  if (failed != cudaSuccess) return;
  device_memory().open(device);
  failed = work();
  device_memory().close(device);
}

bool can_go_on(const Queue& queue) {
  return !queue.empty() && (!queue.front().waits_for || queue.front().waits_for->passed);
}

// The stream that goes on while the host waits for `wanted`. Some can: a mark is always older than what waits for it.
cudaStream_t next_stream(cudaStream_t wanted) {
  if (current.schedule == Schedule::forward) {
    while (!can_go_on(queues[wanted])) wanted = queues[wanted].front().waits_for->stream;
    return wanted;
  }
  std::vector<cudaStream_t> ready;
  for (const auto& [stream, queue] : queues)
    if (can_go_on(queue)) ready.push_back(stream);
  if (current.schedule == Schedule::random) return ready[chance() % ready.size()];
  const auto other = std::find_if(ready.begin(), ready.end(), [&](cudaStream_t s) { return s != wanted; });
  return other == ready.end() ? wanted : *other;
}

}  // namespace

void enter(cudaStream_t stream, Entry entry) {
  if (Capture* capture = capture_of(stream).get()) return capture->add(stream, std::move(entry));
  queues[stream].push_back(std::move(entry));
  if (!current.lazy) wait(stream);
}

bool is_idle(cudaStream_t stream) { return queues[stream].empty(); }

const Settings& settings() { return current; }

cudaStream_t make_stream(int device) {
  return reinterpret_cast<cudaStream_t>(++streams_made * kStreamUnit + static_cast<std::uintptr_t>(device));
}
int device_of(cudaStream_t stream) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(stream) % kStreamUnit);
}
int current_device() { return device_in_force; }
void set_current_device(int device) { device_in_force = device; }

bool is_to_fail(const char* name) {
  if (!current.failing_kernel || std::string_view(current.failing_kernel) != name) return false;
  set_fault(std::string(name) + " fails, as the test asks");
  return true;
}

void submit(cudaStream_t stream, std::function<cudaError_t()> work) {
  enter(stream, {.work = std::move(work)});
}

std::shared_ptr<Mark> mark(cudaStream_t stream) {
  auto made = std::make_shared<Mark>(Mark{stream});
  if ((made->capture = capture_of(stream))) made->done = made->capture->done_before(stream);
  enter(stream, {.passes = made});
  return made;
}

void wait_for_mark(cudaStream_t stream, std::shared_ptr<Mark> mark) {
  enter(stream, {.waits_for = std::move(mark)});
}

cudaError_t wait(cudaStream_t stream) {
  while (!queues[stream].empty()) {
    const cudaStream_t next = next_stream(stream);
    Queue& queue = queues[next];
    const Entry entry = std::move(queue.front());
    queue.pop_front();
    if (entry.work) run(entry.work, device_of(next));
    if (entry.passes) entry.passes->passed = true;
  }
  return failed;
}

std::int64_t waiting_work() {
  std::size_t entries = 0;
  for (const auto& [stream, queue] : queues) entries += queue.size();
  return static_cast<std::int64_t>(entries);
}

cudaError_t sticky_error() { return failed; }

void set_fault(std::string text) { fault = std::move(text); }

}  // namespace reprise::emulator

using namespace reprise::emulator;

extern "C" {

// Also forgets a fault, so that the next test starts well.
void reprise_emulator_configure(const Settings* settings) {
  for (const auto& [stream, queue] : queues) wait(stream);
  failed = cudaSuccess;
  fault.clear();
  current = *settings;
  chance.seed(current.seed);
  device_memory().lock_host_out(current.host_locked_out);
}

const char* reprise_emulator_last_fault() { return fault.c_str(); }
}
