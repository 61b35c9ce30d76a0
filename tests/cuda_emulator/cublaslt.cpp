// cuBLASLt as the backend calls it, with the CPU's arithmetic: operands are read by type, order and leading dimension as the
// library's reference says, and what the library refuses is refused.
#include <cublasLt.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "reprise/tests/cuda_emulator/elements.h"
#include "reprise/tests/cuda_emulator/memory.h"
#include "reprise/tests/cuda_emulator/streams.h"

using namespace reprise::emulator;

namespace {

struct Operation {
  bool in_f64;
  bool rounds_operands;  // f32 to TF32
  cublasOperation_t first = CUBLAS_OP_N, second = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct Layout {
  cudaDataType type;
  std::int64_t rows, columns, leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;

  std::int64_t elements() const { return (batch - 1) * stride + (columns - 1) * leading + rows; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of_element(type); }
};
struct Preference {
  std::size_t workspace = 0;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

Operation& of(cublasLtMatmulDesc_t desc) { return *reinterpret_cast<Operation*>(desc); }
Layout& of(cublasLtMatrixLayout_t layout) { return *reinterpret_cast<Layout*>(layout); }
Preference& of(cublasLtMatmulPreference_t preference) { return *reinterpret_cast<Preference*>(preference); }

// Is this a product of the first and second as they are read?
bool fits(const Operation& operation, const Layout& first, const Layout& second, const Layout& result) {
  const bool t1 = operation.first == CUBLAS_OP_T, t2 = operation.second == CUBLAS_OP_T;
  const std::int64_t m = t1 ? first.columns : first.rows, k = t1 ? first.rows : first.columns;
  const std::int64_t k2 = t2 ? second.columns : second.rows, n = t2 ? second.rows : second.columns;
  if (m != result.rows || n != result.columns || k != k2 || m == 0 || n == 0 || k == 0) return false;
  if (first.batch != result.batch || second.batch != result.batch) return false;
  for (const Layout& layout : {first, second, result})
    if (layout.leading < layout.rows) return false;
  if (operation.in_f64)
    return first.type == CUDA_R_64F && second.type == CUDA_R_64F && result.type == CUDA_R_64F &&
           operation.epilogue == CUBLASLT_EPILOGUE_DEFAULT;
  return first.type != CUDA_R_64F && first.type == second.type &&
         (result.type == first.type || result.type == CUDA_R_32F);
}

}  // namespace

extern "C" {

std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
const char* cublasLtGetStatusName(cublasStatus_t) { return "a status of the emulator"; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static int one;
  *handle = reinterpret_cast<cublasLtHandle_t>(&one);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  const bool in_f64 = compute == CUBLAS_COMPUTE_64F;
  if (scale != (in_f64 ? CUDA_R_64F : CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!in_f64 && compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *desc =
      reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{in_f64, compute == CUBLAS_COMPUTE_32F_FAST_TF32});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  const auto take = [&](auto& to) {
    if (bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  Operation& operation = of(desc);
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(operation.first);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(operation.second);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(operation.epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(operation.bias);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns, std::int64_t leading) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), leading});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == sizeof(std::int32_t))
    std::memcpy(&of(layout).batch, value, bytes);
  else if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == sizeof(std::int64_t))
    std::memcpy(&of(layout).stride, value, bytes);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == sizeof(std::size_t))
    std::memcpy(&of(preference).workspace, value, bytes);
  else if (attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
           attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && bytes == sizeof(std::uint32_t))
    std::memcpy(&of(preference).alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value,
                bytes);
  else if (attribute != CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK || bytes != sizeof(std::uint32_t))
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete &of(preference);
  return CUBLAS_STATUS_SUCCESS;
}

// The algorithm remembers the alignment and the workspace that it counts on.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t first, cublasLtMatrixLayout_t second,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t result,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t results[], int* count) {
  *count = 0;
  if (!fits(of(desc), of(first), of(second), of(result))) return CUBLAS_STATUS_INVALID_VALUE;
  results[0] = {};
  results[0].workspaceSize = std::min<std::size_t>(of(preference).workspace, 1024);
  results[0].algo.data[0] = of(preference).alignment[0];
  results[0].algo.data[1] = results[0].workspaceSize;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  const Operation operation = of(desc);
  const Layout first = of(a_layout), second = of(b_layout), result = of(d_layout);
  if (!fits(operation, first, second, result) || c != d) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaDataType numbers = operation.in_f64 ? CUDA_R_64F : CUDA_R_32F;
  const double scale = load(alpha, numbers, 0), kept = load(beta, numbers, 0);
  const bool biased = operation.epilogue == CUBLASLT_EPILOGUE_BIAS;
  const std::size_t element = size_of_element(result.type);
  const GuardedMemory& memory = device_memory();
  if (!memory.contains(a, first.bytes()) || !memory.contains(b, second.bytes()) ||
      !memory.contains(d, result.bytes()) ||
      (biased && !memory.contains(operation.bias, static_cast<std::size_t>(result.rows) * element)))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  if (workspace_bytes < algorithm->data[1] ||
      (workspace_bytes > 0 && !memory.contains(workspace, workspace_bytes)))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const void* operand : {a, b, static_cast<const void*>(d)})
    if (reinterpret_cast<std::uintptr_t>(operand) % algorithm->data[0] != 0)
      return CUBLAS_STATUS_INVALID_VALUE;

  submit(stream, [=] {
    if (is_to_fail("cublasLtMatmul")) return cudaErrorLaunchFailure;
    if (workspace_bytes > 0) std::memset(workspace, 0, workspace_bytes);  // it is the library's to write
    const bool t1 = operation.first == CUBLAS_OP_T, t2 = operation.second == CUBLAS_OP_T;
    const std::int64_t inner = t1 ? first.rows : first.columns;
    const auto read = [&](const void* data, const Layout& layout, std::int64_t at) {
      const double value = load(data, layout.type, at);
      return operation.rounds_operands ? rounded_to_tf32(value) : value;
    };
    std::vector<double> column(static_cast<std::size_t>(inner));
    for (std::int64_t i = 0; i < result.batch; ++i)
      for (std::int64_t n = 0; n < result.columns; ++n) {
        for (std::int64_t k = 0; k < inner; ++k)
          column[static_cast<std::size_t>(k)] =
              read(b, second, i * second.stride + (t2 ? n + k * second.leading : k + n * second.leading));
        for (std::int64_t m = 0; m < result.rows; ++m) {
          double sum = 0;
          for (std::int64_t k = 0; k < inner; ++k)
            sum += read(a, first, i * first.stride + (t1 ? k + m * first.leading : m + k * first.leading)) *
                   column[static_cast<std::size_t>(k)];
          double value = scale * (operation.in_f64 ? sum : static_cast<double>(static_cast<float>(sum)));
          if (biased) value += load(operation.bias, result.type, m);
          const std::int64_t at = i * result.stride + m + n * result.leading;
          if (kept != 0) value += kept * load(d, result.type, at);
          store(d, result.type, at, value);
        }
      }
    return cudaSuccess;
  });
  return CUBLAS_STATUS_SUCCESS;
}
}
