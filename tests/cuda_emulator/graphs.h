#pragma once
// Streams that are captured: what they are asked for goes into a graph, which can be launched many times. What CUDA refuses
// while a stream is captured is refused, and ends the capture as it does there: the streams answer with an error until
// cudaStreamEndCapture, which gives no graph.
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "reprise/tests/cuda_emulator/streams.h"

namespace reprise::emulator {

// The work of several streams in the order in which it was asked for; marks bind them.
using GraphEntries = std::vector<std::pair<cudaStream_t, Entry>>;

// Going on, or ended.
struct Capture {
  cudaStream_t origin;
  cudaStreamCaptureMode mode;
  std::set<cudaStream_t> streams = {origin};
  std::thread::id thread = std::this_thread::get_id();
  bool valid = true;
  GraphEntries entries = {};
  std::map<cudaStream_t, std::size_t> counts = {};  // pieces of work of each stream
  // Of each stream, by what it has waited for: how many pieces of the others are done before what comes next.
  std::map<cudaStream_t, std::map<cudaStream_t, std::size_t>> waited = {};

  void add(cudaStream_t stream, Entry entry);
  // How many pieces of each stream are done when `stream` has come as far as it is now.
  std::map<cudaStream_t, std::size_t> done_before(cudaStream_t stream) const;
};

// Into which the stream is captured; null: none.
std::shared_ptr<Capture> capture_of(cudaStream_t stream);
bool is_capture_invalid(cudaStream_t stream);
// Answers a call that may not be made on a stream that is captured: the capture is invalid from here on.
cudaError_t refuse_in_capture(cudaStream_t stream);
// Answers a call that CUDA names potentially unsafe, as cudaMalloc: an error where the thread is capturing.
cudaError_t refuse_unsafe_call();
// May `stream` wait for the mark? One that waits for a captured stream is captured too.
cudaError_t let_wait(cudaStream_t stream, const Mark& mark);

extern std::int64_t graphs, graph_launches;

}  // namespace reprise::emulator
