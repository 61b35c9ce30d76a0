#pragma once
// Work in the order of its stream, run when somebody waits for it or at once. Streams are bound to each other by events
// alone: whoever waits for one lets others go as little ahead as they must, as far as they can, or at random (Schedule), so
// that a forgotten event shows.
#include <cuda_runtime_api.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "reprise/tests/cuda_emulator/control.h"

namespace reprise::emulator {

const Settings& settings();

// `work` returns cudaSuccess or the error that ends everything, as on a GPU: later calls answer with it too. What a stream is
// asked for while it is captured (graphs.h) goes into the graph and does not run.
void submit(cudaStream_t stream, std::function<cudaError_t()> work);
cudaError_t wait(cudaStream_t stream);
std::int64_t waiting_work();

cudaStream_t make_stream(int device);
int device_of(cudaStream_t stream);
// Of this thread: cudaSetDevice.
int current_device();
void set_current_device(int device);
// The test has asked for this kernel's failure.
bool is_to_fail(const char* name);

struct Capture;

// A place in a stream; passed when the work before it is done.
struct Mark {
  cudaStream_t stream = nullptr;
  bool passed = false;
  // Of a stream that is captured: into which graph, and how much of each of its streams is done there.
  std::shared_ptr<Capture> capture = nullptr;
  std::map<cudaStream_t, std::size_t> done = {};
};
std::shared_ptr<Mark> mark(cudaStream_t stream);
// The work of `stream` from here on waits until the mark is passed.
void wait_for_mark(cudaStream_t stream, std::shared_ptr<Mark> mark);

// What a stream is asked for; holds one of the three.
struct Entry {
  std::function<cudaError_t()> work = nullptr;
  std::shared_ptr<Mark> passes = nullptr, waits_for = nullptr;
};
// At the stream's end, captured or not.
void enter(cudaStream_t stream, Entry entry);
bool is_idle(cudaStream_t stream);

cudaError_t sticky_error();

// Describes the fault that a kernel is about to return.
void set_fault(std::string text);

}  // namespace reprise::emulator
