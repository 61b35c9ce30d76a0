#pragma once
// The buffers that a step's forward pass makes, and who reads them.
#include <cstdint>
#include <vector>

#include "reprise/autograd/plan.h"

namespace reprise::checkpoint {

struct ForwardBuffer {
  std::int32_t maker, output;  // node, and which of its outputs
  std::int64_t bytes;
  std::int32_t last_alive;  // last node while which user code holds a handle; all nodes: it lives on
  std::vector<std::int32_t> readers;  // nodes of the forward pass, ascending; through views too
  std::vector<std::int32_t> savers;   // nodes whose backward reads it, ascending
};

struct ForwardBuffers {
  std::vector<ForwardBuffer> buffers;  // views not counted, nor what is never replayed; by maker, then output
  std::vector<std::vector<std::int32_t>> reads, makes, saves;  // of each node
};

ForwardBuffers forward_buffers(const Trace& trace);

}  // namespace reprise::checkpoint
