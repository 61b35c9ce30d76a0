// The versions of cuBLASLt and cuDNN that the backend was compiled with.
#include <cublasLt.h>
#include <cudnn.h>

extern "C" {
std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
}
