// cuDNN's backend API as the backend calls it: descriptors keep their attributes, an execution plan remembers its graph, and
// running it computes what the descriptors say, with the CPU's arithmetic.
#include <cudnn.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "reprise/tests/cuda_emulator/cudnn_convolution.h"
#include "reprise/tests/cuda_emulator/cudnn_operations.h"
#include "reprise/tests/cuda_emulator/memory.h"
#include "reprise/tests/cuda_emulator/streams.h"

using namespace reprise::emulator;

namespace {

struct Handle {
  cudaStream_t stream = nullptr;
};

std::string last_error;

cudnnStatus_t fail(cudnnStatus_t status, const char* why) {
  last_error = why;
  return status;
}

Object& of(cudnnBackendDescriptor_t descriptor) { return *static_cast<Object*>(descriptor); }

std::size_t size_of_type(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return 8;
    case CUDNN_TYPE_CHAR:
    case CUDNN_TYPE_BOOLEAN:
      return 1;
    default:  // enumerations and f32
      return 4;
  }
}

// For every graph: one whose sums are in no fixed order, which must not be chosen; one that rounds a convolution's operands to
// TF32; and one without a fault.
enum class Engine : unsigned char { unordered, rounding, exact };
constexpr std::int64_t kEngines = 3;

Engine engine_of(const Object& object) {
  return static_cast<Engine>(object.attributes.at(CUDNN_ATTR_ENGINE_GLOBAL_INDEX).bytes[0]);
}

std::vector<cudnnBackendNumericalNote_t> notes_of(Engine engine) {
  switch (engine) {
    case Engine::unordered:
      return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
    case Engine::rounding:
      return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS};
    case Engine::exact:
      return {};
  }
  return {};
}

const std::vector<std::shared_ptr<Object>>& operations_of_plan(const Object& plan) {
  const Object& configuration = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  return configuration.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).parts.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

constexpr std::size_t kConvolutionWorkspace = 512;

bool is_single_convolution(const std::vector<std::shared_ptr<Object>>& operations) {
  return operations.size() == 1 && is_convolution(*operations[0]);
}

std::size_t workspace_of_plan(const Object& plan) {
  const auto& operations = operations_of_plan(plan);
  return is_single_convolution(operations) ? kConvolutionWorkspace : GraphProgram(operations).workspace();
}

cudnnStatus_t finalize_operation(const Object& object) {
  if (!is_convolution(object)) return CUDNN_STATUS_SUCCESS;
  const Convolution convolution(object);
  if (!convolution.fits()) return fail(CUDNN_STATUS_BAD_PARAM, "the convolution's tensors do not fit");
  if (convolution.alpha != 1 || convolution.beta != 0)
    return fail(CUDNN_STATUS_NOT_SUPPORTED, "alpha is 1 and beta 0");
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_graph(const Object& graph) {
  const auto& operations = graph.parts.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  if (is_single_convolution(operations)) return CUDNN_STATUS_SUCCESS;
  try {
    GraphProgram{operations};
  } catch (const std::invalid_argument& error) {
    return fail(CUDNN_STATUS_BAD_PARAM, error.what());
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_plan(const Object& plan) {
  ++cudnn_plans;
  const auto& operations = operations_of_plan(plan);
  if (is_single_convolution(operations)) return CUDNN_STATUS_SUCCESS;
  const std::string refusal = GraphProgram(operations).refusal();
  return refusal.empty() ? CUDNN_STATUS_SUCCESS : fail(CUDNN_STATUS_NOT_SUPPORTED, refusal.c_str());
}

// Gives the tensors the addresses that the variant pack has for their ids; an error where it has none, or where they begin at
// no multiple of `alignment` and of their own.
cudnnStatus_t place(const std::vector<Tensor*>& tensors, const Object& pack, bool on_device,
                    std::int64_t alignment = 1) {
  const auto ids = pack.values<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.values<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (Tensor* tensor : tensors) {
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] == tensor->id) tensor->data = pointers.at(i);
    if (!tensor->data) return fail(CUDNN_STATUS_BAD_PARAM, "a tensor is not in the variant pack");
    if (device_memory().contains(tensor->data, tensor->bytes()) != on_device)
      return fail(CUDNN_STATUS_BAD_PARAM, on_device ? "a tensor is not in the device's memory"
                                                    : "a number is not in the host's memory");
    const auto step = static_cast<std::uintptr_t>(std::max(alignment, tensor->alignment));
    if (on_device && reinterpret_cast<std::uintptr_t>(tensor->data) % step != 0)
      return fail(CUDNN_STATUS_BAD_PARAM, "a tensor does not begin at a multiple of its alignment");
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t) { return "a status of the emulator"; }
void cudnnGetLastErrorString(char* text, std::size_t most) {
  std::strncpy(text, last_error.c_str(), most - 1);
  text[most - 1] = 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = reinterpret_cast<cudnnHandle_t>(new Handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  reinterpret_cast<Handle*>(handle)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Object{type};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete &of(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  Object& object = of(descriptor);
  if (object.finalized) return fail(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalized");
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    std::vector<std::shared_ptr<Object>> parts;
    for (std::int64_t i = 0; i < count; ++i) {
      const Object& part = of(static_cast<const cudnnBackendDescriptor_t*>(values)[i]);
      if (!part.finalized) return fail(CUDNN_STATUS_BAD_PARAM, "a part is not finalized");
      parts.push_back(std::make_shared<Object>(part));
    }
    object.parts[name] = std::move(parts);
    return CUDNN_STATUS_SUCCESS;
  }
  const auto* bytes = static_cast<const std::byte*>(values);
  object.attributes[name] = {
      type, count, {bytes, bytes + static_cast<std::size_t>(count) * size_of_type(type)}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Object& object = of(descriptor);
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  if (object.type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
    status = finalize_graph(object);
  else if (object.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    status = finalize_plan(object);
  else
    status = finalize_operation(object);
  object.finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, std::int64_t asked, std::int64_t* count,
                                       void* values) {
  const Object& object = of(descriptor);
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      *count = kEngines;
      for (std::int64_t i = 0; values && i < asked && i < kEngines; ++i) {
        Object& configuration = of(static_cast<cudnnBackendDescriptor_t*>(values)[i]);
        configuration.parts[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] =
            object.parts.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
        configuration.attributes[CUDNN_ATTR_ENGINE_GLOBAL_INDEX] = {CUDNN_TYPE_BOOLEAN, 1, {std::byte(i)}};
        configuration.finalized = true;
      }
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      of(*static_cast<cudnnBackendDescriptor_t*>(values)).attributes = object.attributes;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: {
      const std::vector<cudnnBackendNumericalNote_t> notes = notes_of(engine_of(object));
      *count = static_cast<std::int64_t>(notes.size());
      std::copy(notes.begin(), notes.end(), static_cast<cudnnBackendNumericalNote_t*>(values));
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *static_cast<std::int64_t*>(values) = static_cast<std::int64_t>(workspace_of_plan(object));
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    default:
      return fail(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that the emulator does not know");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const Object& variables = of(pack);
  const Engine engine = engine_of(of(plan).part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
  if (engine == Engine::unordered)
    return fail(CUDNN_STATUS_NOT_SUPPORTED, "this engine's sums are in no fixed order");
  const std::size_t bytes = workspace_of_plan(of(plan));
  void* workspace = variables.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  if (!device_memory().contains(workspace, bytes))
    return fail(CUDNN_STATUS_BAD_PARAM, "the workspace is too small");
  const auto run = [&](auto program) {
    ++cudnn_runs;
    submit(reinterpret_cast<Handle*>(handle)->stream, [=]() mutable {
      std::memset(workspace, 0, bytes);  // it is the library's to write
      program.run();
      return cudaSuccess;
    });
    return CUDNN_STATUS_SUCCESS;
  };
  const auto& operations = operations_of_plan(of(plan));
  if (is_single_convolution(operations)) {
    Convolution convolution(*operations[0]);
    convolution.rounds_operands = engine == Engine::rounding;
    const cudnnStatus_t status =
        place({&convolution.x, &convolution.weight, &convolution.y}, variables, true);
    return status == CUDNN_STATUS_SUCCESS ? run(convolution) : status;
  }
  GraphProgram program(operations);
  if (engine == Engine::rounding) program.round_operands();
  for (const bool on_device : {true, false}) {
    // Fused kernels read 16 bytes at a time, whatever they were told.
    const cudnnStatus_t status =
        place(on_device ? program.in_memory() : program.numbers(), variables, on_device, 16);
    if (status != CUDNN_STATUS_SUCCESS) return status;
  }
  program.read_numbers();
  return run(program);
}
}
