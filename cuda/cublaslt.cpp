#include "reprise/cuda/cublaslt.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "reprise/core/allow_tf32.h"
#include "reprise/core/error.h"

namespace reprise::cuda {

namespace {

constexpr std::size_t kMostWorkspace = std::size_t{32} << 20;

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError(
        fmt::format("{}: status {}: {}", call, static_cast<int>(status), cublasLtGetStatusName(status)));
}

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    case DType::f64:
      return CUDA_R_64F;
    default:
      return CUDA_R_32F;
  }
}

// What one kernel of cuBLASLt is asked with. cuBLASLt's matrices are column-major: it is asked for the transposed product
// y^T = op(b)^T op(a)^T, since a row-major matrix is its transposed one in columns.
class Plan {
 public:
  // `alignment`: of every operand, in bytes.
  Plan(cublasLtHandle_t handle, const Product& p, bool tf32, std::uint32_t alignment) {
    const cublasComputeType_t compute = p.in == DType::f64           ? CUBLAS_COMPUTE_64F
                                        : tf32 && p.in == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                     : CUBLAS_COMPUTE_32F;
    in_f64_ = p.in == DType::f64;
    check(cublasLtMatmulDescCreate(&operation_, compute, in_f64_ ? CUDA_R_64F : CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    const cublasOperation_t first = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, first);
    set(CUBLASLT_MATMUL_DESC_TRANSB, second);
    if (p.bias) set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    // Rows and columns as stored, in columns.
    first_ = layout(p.in, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.batch, p.b_stride);
    second_ = layout(p.in, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.batch, p.a_stride);
    result_ = layout(p.out, p.n, p.m, p.batch, p.m * p.n);
    accumulate_ = p.accumulate;
    choose(handle, p, alignment);
  }

  std::size_t workspace() const { return workspace_; }

  void run(cublasLtHandle_t handle, const Context& context, const void* a, const void* b, const void* bias,
           void* y, std::span<std::byte> workspace) {
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    const float one = 1, kept = accumulate_ ? 1 : 0;
    const double one_f64 = one, kept_f64 = kept;
    const void *alpha = &one, *beta = &kept;
    if (in_f64_) {
      alpha = &one_f64;
      beta = &kept_f64;
    }
    check(cublasLtMatmul(handle, operation_, alpha, b, first_, a, second_, beta, y, result_, y, result_,
                         &algorithm_, workspace.data(), workspace_, context.stream),
          "cublasLtMatmul");
    finish(context, "cublasLtMatmul");
  }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }

  static cublasLtMatrixLayout_t layout(DType dtype, std::int64_t rows, std::int64_t columns,
                                       std::int64_t batch, std::int64_t stride) {
    cublasLtMatrixLayout_t result = nullptr;
    check(cublasLtMatrixLayoutCreate(&result, data_type(dtype), static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(columns), rows),
          "cublasLtMatrixLayoutCreate");
    const auto count = static_cast<std::int32_t>(batch);
    check(cublasLtMatrixLayoutSetAttribute(result, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
          "cublasLtMatrixLayoutSetAttribute");
    check(cublasLtMatrixLayoutSetAttribute(result, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                           sizeof stride),
          "cublasLtMatrixLayoutSetAttribute");
    return result;
  }

  // Sums that are split among blocks are added up in a fixed order: in the workspace, not in place.
  void choose(cublasLtHandle_t handle, const Product& p, std::uint32_t alignment) {
    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, operation_, first_, second_, result_,
                                                                 result_, preference, 1, &found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0)
      throw DeviceError(
          fmt::format("cublasLtMatmulAlgoGetHeuristic: status {}: no kernel for {} [{}, {}] x [{}, {}]",
                      static_cast<int>(status), to_string(p.in), p.m, p.k, p.k, p.n));
    algorithm_ = found.algo;
    workspace_ = found.workspaceSize;
  }

  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, result_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_ = {};
  std::size_t workspace_ = 0;
  bool accumulate_ = false, in_f64_ = false;
};

// Plans live as long as the process, as the library does.
struct Plans {
  struct Key {
    Product product;
    int device;
    bool tf32, aligned;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  std::mutex mutex;
  std::map<int, cublasLtHandle_t> handles;  // of devices
  std::map<Key, Plan> made;

  cublasLtHandle_t handle(int device) {
    cublasLtHandle_t& handle = handles[device];
    if (!handle) check(cublasLtCreate(&handle), "cublasLtCreate");
    return handle;
  }
  Plan& find(const Product& product, int device, bool aligned) {
    const Key key{product, device, allow_tf32(), aligned};
    const auto found = made.find(key);
    if (found != made.end()) return found->second;
    const auto alignment = aligned ? 16U : static_cast<std::uint32_t>(size_of(product.in));
    return made.emplace(key, Plan(handle(device), product, key.tf32, alignment)).first->second;
  }
};

Plans& plans() {
  static Plans* plans = new Plans;
  return *plans;
}

}  // namespace

// For operands that begin at a multiple of 16 bytes, and for those that do not.
std::size_t product_workspace(const Product& product, Device device) {
  use(device);
  Plans& all = plans();
  const std::lock_guard lock(all.mutex);
  return std::max(all.find(product, device.index, true).workspace(),
                  all.find(product, device.index, false).workspace());
}

void run_product(const Product& product, Device device, const void* a, const void* b, const void* bias,
                 void* y, std::span<std::byte> workspace) {
  const Context& context = use(device);
  std::uintptr_t addresses = 0;
  for (const void* operand : {a, b, bias, static_cast<const void*>(y)})
    addresses |= reinterpret_cast<std::uintptr_t>(operand);
  Plans& all = plans();
  const std::lock_guard lock(all.mutex);
  all.find(product, device.index, addresses % 16 == 0)
      .run(all.handle(device.index), context, a, b, bias, y, workspace);
}

}  // namespace reprise::cuda
