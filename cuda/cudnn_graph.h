#pragma once
// cuDNN's graph API, through its C functions (the "backend API"), so that cuDNN alone is needed: descriptors, and the choice
// of an engine for a graph of operations.
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reprise/core/dtype.h"

namespace reprise::cuda {

// Throws DeviceError "cudnnBackendFinalize: status 3000: CUDNN_STATUS_NOT_SUPPORTED: why".
void check(cudnnStatus_t status, const char* call);

cudnnDataType_t cudnn_type(DType dtype);
// What numbers of a floating dtype are computed in: f64 in f64, others in f32.
cudnnDataType_t computed_type(DType dtype);

// A descriptor is made, given attributes and finalized.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                  const void* values);
  Descriptor& set(cudnnBackendAttributeName_t name, std::int64_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, float value);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values);
  Descriptor& finalize();
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

// A tensor that a graph reads or writes: `id` names it to the plan; it begins at a multiple of `alignment` bytes.
Descriptor tensor_descriptor(std::int64_t id, DType dtype, std::span<const std::int64_t> extents,
                             std::span<const std::int64_t> strides, std::int64_t alignment);

// The GPU that plans are made for: of a handle, or one that is not there, from its properties as JSON.
Descriptor device_properties(cudnnHandle_t handle);
Descriptor device_properties(const std::string& json);

// An engine for a graph of operations.
struct CudnnPlan {
  Descriptor plan;
  std::size_t workspace = 0;

  // Runs in the handle's stream. data[i] is what the tensor ids[i] lies at.
  void run(cudnnHandle_t handle, std::span<const std::int64_t> ids, std::span<void* const> data,
           std::span<std::byte> workspace_bytes) const;
};

struct PlanRequest {
  // Engines that round f32 to TF32, or any operand, may be chosen.
  bool tf32 = false;
  std::size_t most_workspace = std::size_t{256} << 20;
  friend auto operator<=>(const PlanRequest&, const PlanRequest&) = default;
};

struct PlanResult {
  std::optional<CudnnPlan> plan;
  std::string refusal;  // cuDNN's reasons, where there is no plan
};

// The first engine, in cuDNN's order of preference, that is deterministic and keeps to the request.
PlanResult make_plan(std::span<const Descriptor> operations, const Descriptor& device,
                     const PlanRequest& request);

}  // namespace reprise::cuda
