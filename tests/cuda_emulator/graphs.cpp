#include "reprise/tests/cuda_emulator/graphs.h"

#include <algorithm>

namespace reprise::emulator {

namespace {

std::vector<std::shared_ptr<Capture>> captures;  // going on

struct Graph {
  GraphEntries entries;
};

// Each captured stream has one of its own, so that they run as freely beside each other as the events between them let them.
struct ExecutableGraph {
  GraphEntries entries;
  std::map<cudaStream_t, cudaStream_t> streams;
};

cudaError_t invalidate(Capture& capture, cudaError_t error) {
  capture.valid = false;
  return error;
}

}  // namespace

std::int64_t graphs = 0, graph_launches = 0;

void Capture::add(cudaStream_t stream, Entry entry) {
  if (!valid) return;
  if (entry.waits_for)
    for (const auto& [other, count] : entry.waits_for->done)
      waited[stream][other] = std::max(waited[stream][other], count);
  if (entry.work) ++counts[stream];
  entries.emplace_back(stream, std::move(entry));
}

std::map<cudaStream_t, std::size_t> Capture::done_before(cudaStream_t stream) const {
  std::map<cudaStream_t, std::size_t> done;
  if (const auto found = waited.find(stream); found != waited.end()) done = found->second;
  if (const auto own = counts.find(stream); own != counts.end()) done[stream] = own->second;
  return done;
}

std::shared_ptr<Capture> capture_of(cudaStream_t stream) {
  for (const auto& capture : captures)
    if (capture->streams.contains(stream)) return capture;
  return nullptr;
}

bool is_capture_invalid(cudaStream_t stream) {
  const auto capture = capture_of(stream);
  return capture && !capture->valid;
}

cudaError_t refuse_in_capture(cudaStream_t stream) {
  Capture& capture = *capture_of(stream);
  return invalidate(capture,
                    capture.valid ? cudaErrorStreamCaptureUnsupported : cudaErrorStreamCaptureInvalidated);
}

cudaError_t refuse_unsafe_call() {
  for (const auto& capture : captures) {
    const bool own = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal && own))
      return invalidate(*capture, cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

cudaError_t let_wait(cudaStream_t stream, const Mark& mark) {
  const auto capture = capture_of(stream);
  if (capture && !capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (!mark.capture) return capture ? invalidate(*capture, cudaErrorStreamCaptureIsolation) : cudaSuccess;
  const bool over = std::find(captures.begin(), captures.end(), mark.capture) == captures.end();
  if (over) return cudaErrorCapturedEvent;
  if (!mark.capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (capture && capture != mark.capture) return invalidate(*capture, cudaErrorStreamCaptureMerge);
  mark.capture->streams.insert(stream);
  return cudaSuccess;
}

}  // namespace reprise::emulator

using namespace reprise::emulator;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (capture_of(stream)) return refuse_in_capture(stream);
  captures.push_back(std::make_shared<Capture>(Capture{stream, mode}));
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = capture_of(stream);
  if (!capture) return cudaErrorInvalidValue;
  if (capture->origin != stream) return invalidate(*capture, cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  std::erase(captures, capture);
  const GraphEntries entries = std::exchange(capture->entries, {});
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  auto done = capture->done_before(stream);
  for (const auto& [other, count] : capture->counts)
    if (done[other] < count) return cudaErrorStreamCaptureUnjoined;
  ++graphs;
  *graph = reinterpret_cast<cudaGraph_t>(new Graph{entries});
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  --graphs;
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  auto* made = new ExecutableGraph{reinterpret_cast<Graph*>(graph)->entries, {}};
  for (const auto& [stream, entry] : made->entries)
    if (!made->streams.contains(stream)) made->streams[stream] = make_stream(device_of(stream));
  ++graphs;
  *executable = reinterpret_cast<cudaGraphExec_t>(made);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (capture_of(stream)) return refuse_in_capture(stream);  // CUDA would make it a part of that graph
  ++graph_launches;
  const auto& graph = *reinterpret_cast<ExecutableGraph*>(executable);
  const std::shared_ptr<Mark> begin = mark(stream);
  for (const auto& [captured, own] : graph.streams) wait_for_mark(own, begin);
  std::map<const Mark*, std::shared_ptr<Mark>> marks;  // of this launch, by the captured one
  for (const auto& [captured, entry] : graph.entries) {
    const cudaStream_t own = graph.streams.at(captured);
    if (entry.work) submit(own, entry.work);
    if (entry.passes) marks[entry.passes.get()] = mark(own);
    if (entry.waits_for) wait_for_mark(own, marks.at(entry.waits_for.get()));
  }
  for (const auto& [captured, own] : graph.streams) wait_for_mark(stream, mark(own));
  return sticky_error();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  auto* graph = reinterpret_cast<ExecutableGraph*>(executable);
  for (const auto& [captured, own] : graph->streams)
    if (!is_idle(own)) {
      set_fault("a graph is destroyed while it runs");
      return cudaErrorInvalidValue;
    }
  --graphs;
  delete graph;
  return cudaSuccess;
}
}
