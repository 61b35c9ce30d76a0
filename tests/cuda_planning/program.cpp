// Plans for GPUs that are not there: every convolution that a ready model trains with gets an engine of the real cuDNN, which
// is deterministic and rounds no f32, for an A100, an H100 and an RTX 5090. Says what is refused, and fails where something is.
//   planning MODEL...
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/cuda/convolution_graph.h"
#include "reprise/nn/nn.h"

using namespace reprise;
using cuda::Convolution;
using cuda::ConvolutionKind;

namespace {

// A GPU as cuDNN is told of it: the figures of its data sheet.
struct Gpu {
  const char* name;
  int version, processors, shared_memory, blocks, threads;
  long long memory, cache;
  int clock, memory_clock;
};
constexpr Gpu kGpus[] = {
    {"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 32, 2048, 85097971712, 41943040, 1410000, 1593000},
    {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 32, 2048, 85028765696, 52428800, 1980000, 2619000},
    {"NVIDIA GeForce RTX 5090", 1200, 170, 101376, 24, 1536, 33669120000, 100663296, 2407000, 14001000},
};

std::string json(const Gpu& gpu) {
  return fmt::format(
      R"({{"deviceVer":{},"multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,)"
      R"("maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,)"
      R"("maxCtasPerSM":{},"maxThreadsPerBlock":1024,"maxThreadsPerSM":{},"regsPerBlock":65536,"totalGlobalMem":{},)"
      R"("smClockRateKHz":{},"l2CacheSize":{},"maxBlockSize":[1024,1024,64],"memClockRateKHz":{},)"
      R"("maxGridSize":[2147483647,65535,65535],"supportCoopLaunch":1,"pciDeviceId":0,"isTccDriver":0,"cudaDeviceId":0,)"
      R"("driverVer":13000,"deviceName":"{}"}})",
      gpu.version, gpu.processors, gpu.shared_memory, gpu.blocks, gpu.threads, gpu.memory, gpu.clock,
      gpu.cache, gpu.memory_clock, gpu.name);
}

const char* name_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return "forward";
    case ConvolutionKind::backward_input:
      return "backward_input";
    case ConvolutionKind::backward_weight:
      return "backward_weight";
  }
  return "?";
}

std::string describe(const Convolution& c) {
  return fmt::format("{} in {}: x {} weight {} stride {} padding {}", name_of(c.kind), to_string(c.dtype),
                     to_string(c.x), to_string(c.weight), c.stride.h, c.padding.h);
}

// The convolutions of a training step of the model, by their descriptions.
void add_convolutions(const std::string& model_name, DType dtype, std::map<std::string, Convolution>& list) {
  const DryRun dry;
  nn::Model model = nn::make_model(model_name);
  std::vector<std::int64_t> shape = {8};
  for (const std::int64_t extent : model.input_shape().extents()) shape.push_back(extent);
  Tape tape;
  const Tensor y = model(Tensor::empty(shape, {.dtype = model.input_dtype()}));
  const Trace trace = tape.trace();
  const auto value = [&](std::int32_t v) -> const TraceValue& {
    return trace.values[static_cast<std::size_t>(v)];
  };
  for (const TraceNode& node : trace.nodes) {
    if (node.op != "conv2d") continue;
    Convolution c;
    long long sh, sw, ph, pw, dh, dw;
    if (std::sscanf(node.attributes.c_str(), "stride=%lldx%lld padding=%lldx%lld dilation=%lldx%lld", &sh,
                    &sw, &ph, &pw, &dh, &dw) != 6)
      throw InternalError("conv2d's attributes do not read as they should: " + node.attributes);
    c.stride = Pair(sh, sw);
    c.padding = Pair(ph, pw);
    c.dilation = Pair(dh, dw);
    c.x = value(node.inputs[0]).shape;
    c.weight = value(node.inputs[1]).shape;
    c.y = value(node.outputs[0]).shape;
    c.dtype = dtype;
    for (const ConvolutionKind kind :
         {ConvolutionKind::forward, ConvolutionKind::backward_input, ConvolutionKind::backward_weight}) {
      c.kind = kind;
      list.emplace(describe(c), c);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, Convolution> list;
  for (int i = 1; i < argc; ++i)
    for (const DType dtype : {DType::f32, DType::bf16}) add_convolutions(argv[i], dtype, list);
  int wrong = 0;
  for (const Gpu& gpu : kGpus) {
    const cuda::Descriptor device = cuda::device_properties(json(gpu));
    std::size_t planned = 0, most = 0;
    for (const auto& [text, convolution] : list) {
      try {
        const cuda::CudnnPlan plan =
            make_plan(convolution_operation(convolution), device, plan_request(convolution, false));
        ++planned;
        most = std::max(most, plan.workspace);
      } catch (const DeviceError& error) {
        ++wrong;
        fmt::print("{}: refused: {}\n  {}\n", gpu.name, text, error.what());
      }
    }
    fmt::print("{}: {} of {} convolutions planned, {} bytes of workspace at most\n", gpu.name, planned,
               list.size(), most);
  }
  return wrong == 0 && !list.empty() ? 0 : 1;
}
