// cuDNN's backend API as the backend calls it: descriptors keep their attributes, an execution plan remembers its graph, and
// running it computes the convolution that the descriptors say, with the CPU's arithmetic, wherever their strides point.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cudnn.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reprise/tests/cuda_emulator/memory.h"
#include "reprise/tests/cuda_emulator/streams.h"

using namespace reprise::emulator;

namespace {

struct Attribute {
  cudnnBackendAttributeType_t type;
  std::int64_t count;
  std::vector<std::byte> bytes;
};

struct Object {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes = {};
  // Copies of the descriptors that were set: the caller may destroy his.
  std::map<int, std::shared_ptr<Object>> parts = {};

  template <class T>
  std::vector<T> values(int name) const {
    const Attribute& attribute = attributes.at(name);
    std::vector<T> result(attribute.bytes.size() / sizeof(T));
    std::memcpy(result.data(), attribute.bytes.data(), attribute.bytes.size());
    return result;
  }
  template <class T>
  T value(int name) const {
    return values<T>(name).at(0);
  }
};

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
      return 1;
    default:  // enumerations and f32
      return 4;
  }
}

// ---- the meaning of a convolution

// A tensor as cuDNN sees it: channels second.
struct Tensor {
  cudnnDataType_t type;
  std::int64_t id;
  std::array<std::int64_t, 4> extents, strides;
  void* data = nullptr;

  explicit Tensor(const Object& object)
      : type(object.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
        id(object.value<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)) {
    const auto e = object.values<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    const auto s = object.values<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    for (std::size_t d = 0; d < 4; ++d) {
      extents[d] = e.at(d);
      strides[d] = s.at(d);
    }
  }
  std::size_t bytes() const {
    std::int64_t last = 0;
    for (std::size_t d = 0; d < 4; ++d) last += (extents[d] - 1) * strides[d];
    return static_cast<std::size_t>(last + 1) * (type == CUDNN_DATA_FLOAT ? 4 : 2);
  }
  std::int64_t at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
    return a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3];
  }
  float load(std::int64_t i) const {
    if (type == CUDNN_DATA_BFLOAT16) return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    if (type == CUDNN_DATA_HALF) return __half2float(static_cast<const __half*>(data)[i]);
    return static_cast<const float*>(data)[i];
  }
  void store(std::int64_t i, float x) const {
    if (type == CUDNN_DATA_BFLOAT16)
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(x);
    else if (type == CUDNN_DATA_HALF)
      static_cast<__half*>(data)[i] = __float2half_rn(x);
    else
      static_cast<float*>(data)[i] = x;
  }
};

struct Names {
  int x, weight, y, settings, alpha, beta;
};
Names names_of(cudnnBackendDescriptorType_t type) {
  if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
    return {
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

bool is_convolution(cudnnBackendDescriptorType_t type) {
  return type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
         type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
         type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}

struct Convolution {
  cudnnBackendDescriptorType_t type;
  Tensor x, weight, y;
  std::vector<std::int64_t> padding, stride, dilation;

  explicit Convolution(const Object& operation) : Convolution(operation, names_of(operation.type)) {}
  Convolution(const Object& operation, const Names& names)
      : type(operation.type),
        x(*operation.parts.at(names.x)),
        weight(*operation.parts.at(names.weight)),
        y(*operation.parts.at(names.y)) {
    const Object& settings = *operation.parts.at(names.settings);
    padding = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    stride = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    dilation = settings.values<std::int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  }

  bool fits() const {
    if (x.extents[0] != y.extents[0] || weight.extents[0] != y.extents[1]) return false;
    if (x.extents[1] % weight.extents[1] != 0) return false;
    const std::int64_t groups = x.extents[1] / weight.extents[1];
    if (y.extents[1] % groups != 0) return false;
    for (std::size_t d = 0; d < 2; ++d) {
      const std::int64_t reach = dilation[d] * (weight.extents[2 + d] - 1) + 1;
      if (y.extents[2 + d] != (x.extents[2 + d] + 2 * padding[d] - reach) / stride[d] + 1) return false;
    }
    return true;
  }

  // Calls f(place in x, place in weight, place in y) for every product of the sum.
  template <class F>
  void for_each_product(F f) const {
    const std::int64_t groups = x.extents[1] / weight.extents[1], outs = y.extents[1] / groups;
    for (std::int64_t n = 0; n < y.extents[0]; ++n)
      for (std::int64_t p = 0; p < y.extents[2]; ++p)
        for (std::int64_t q = 0; q < y.extents[3]; ++q)
          for (std::int64_t i = 0; i < weight.extents[2]; ++i) {
            const std::int64_t h = p * stride[0] - padding[0] + i * dilation[0];
            if (h < 0 || h >= x.extents[2]) continue;
            for (std::int64_t j = 0; j < weight.extents[3]; ++j) {
              const std::int64_t w = q * stride[1] - padding[1] + j * dilation[1];
              if (w < 0 || w >= x.extents[3]) continue;
              const std::int64_t in_x = x.at(n, 0, h, w), in_weight = weight.at(0, 0, i, j),
                                 in_y = y.at(n, 0, p, q);
              for (std::int64_t o = 0; o < y.extents[1]; ++o) {
                const std::int64_t from = in_x + o / outs * weight.extents[1] * x.strides[1];
                const std::int64_t with = in_weight + o * weight.strides[0], to = in_y + o * y.strides[1];
                for (std::int64_t c = 0; c < weight.extents[1]; ++c)
                  f(from + c * x.strides[1], with + c * weight.strides[1], to);
              }
            }
          }
  }

  const Tensor& written() const {
    if (type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) return y;
    return type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? x : weight;
  }

  void run() const {
    const Tensor& target = written();
    std::vector<float> values[3];
    const Tensor* tensors[3] = {&x, &weight, &y};
    for (int t = 0; t < 3; ++t) {
      const auto count =
          static_cast<std::int64_t>(tensors[t]->bytes()) / (tensors[t]->type == CUDNN_DATA_FLOAT ? 4 : 2);
      for (std::int64_t k = 0; k < count && tensors[t] != &target; ++k)
        values[t].push_back(tensors[t]->load(k));
    }
    const auto number = [](std::int64_t k) { return static_cast<std::size_t>(k); };
    std::vector<double> sums(target.bytes() / (target.type == CUDNN_DATA_FLOAT ? 4 : 2));
    const auto product = [](float a, float b) { return static_cast<double>(a) * static_cast<double>(b); };
    if (&target == &y)
      for_each_product([&](auto a, auto b, auto c) {
        sums[number(c)] += product(values[0][number(a)], values[1][number(b)]);
      });
    else if (&target == &x)
      for_each_product([&](auto a, auto b, auto c) {
        sums[number(a)] += product(values[1][number(b)], values[2][number(c)]);
      });
    else
      for_each_product([&](auto a, auto b, auto c) {
        sums[number(b)] += product(values[0][number(a)], values[2][number(c)]);
      });
    for (std::size_t k = 0; k < sums.size(); ++k)
      target.store(static_cast<std::int64_t>(k), static_cast<float>(sums[k]));
  }
};

const Object& operation_of_plan(const Object& plan) {
  const Object& configuration = *plan.parts.at(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Object& graph = *configuration.parts.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  return *graph.parts.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

constexpr std::int64_t kWorkspace = 512;

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
    if (count != 1) return fail(CUDNN_STATUS_NOT_SUPPORTED, "one descriptor a name");
    const Object& part = of(*static_cast<const cudnnBackendDescriptor_t*>(values));
    if (!part.finalized) return fail(CUDNN_STATUS_BAD_PARAM, "a part is not finalized");
    object.parts[name] = std::make_shared<Object>(part);
    return CUDNN_STATUS_SUCCESS;
  }
  const auto* bytes = static_cast<const std::byte*>(values);
  object.attributes[name] = {
      type, count, {bytes, bytes + static_cast<std::size_t>(count) * size_of_type(type)}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Object& object = of(descriptor);
  if (is_convolution(object.type)) {
    const Convolution convolution(object);
    if (!convolution.fits()) return fail(CUDNN_STATUS_BAD_PARAM, "the convolution's tensors do not fit");
    const Names names = names_of(object.type);
    if (object.value<float>(names.alpha) != 1 || object.value<float>(names.beta) != 0)
      return fail(CUDNN_STATUS_NOT_SUPPORTED, "alpha is 1 and beta 0");
  }
  object.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

// Two engines: one whose sums are in no fixed order, which must not be chosen, and one without a fault.
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, std::int64_t asked, std::int64_t* count,
                                       void* values) {
  const Object& object = of(descriptor);
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      *count = 2;
      for (int i = 0; values && i < asked && i < 2; ++i) {
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
      const bool faulty = object.attributes.at(CUDNN_ATTR_ENGINE_GLOBAL_INDEX).bytes[0] == std::byte{0};
      *count = faulty ? 1 : 0;
      if (faulty) *static_cast<cudnnBackendNumericalNote_t*>(values) = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *static_cast<std::int64_t*>(values) = kWorkspace;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    default:
      return fail(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that the emulator does not know");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  Convolution convolution(operation_of_plan(of(plan)));
  const Object& variables = of(pack);
  const auto ids = variables.values<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = variables.values<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (Tensor* tensor : {&convolution.x, &convolution.weight, &convolution.y})
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] == tensor->id) tensor->data = pointers.at(i);
  const DeviceMemory& memory = device_memory();
  for (const Tensor* tensor : {&convolution.x, &convolution.weight, &convolution.y}) {
    if (!memory.contains(tensor->data, tensor->bytes()))
      return fail(CUDNN_STATUS_BAD_PARAM, "a tensor is not in the device's memory");
    if (reinterpret_cast<std::uintptr_t>(tensor->data) % 16 != 0)
      return fail(CUDNN_STATUS_BAD_PARAM, "a tensor does not begin at a multiple of 16 bytes");
  }
  void* workspace = variables.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  if (!memory.contains(workspace, kWorkspace))
    return fail(CUDNN_STATUS_BAD_PARAM, "the workspace is too small");
  submit(reinterpret_cast<Handle*>(handle)->stream, [=] {
    std::memset(workspace, 0, kWorkspace);  // it is the library's to write
    convolution.run();
    return cudaSuccess;
  });
  return CUDNN_STATUS_SUCCESS;
}
}
