// cuDNN as the backend calls it.
#include <cudnn.h>

#include <cstddef>

extern "C" {
std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
}
