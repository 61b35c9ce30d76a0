# The CUDA plugin, libreprise_cuda.so, and what it is built with: the CUDA Toolkit (nvcc, cudart, cuBLASLt) and cuDNN 9.
# Where something is missing the plugin is left out, with a word that says what; nothing is ever installed.
#
# REPRISE_CUDA_HEADERS: the headers are there, so that the backend can be compiled (the emulator of the tests needs no more).
# REPRISE_CUDA_MISSING: why the plugin itself is not built; empty: it is.
set(REPRISE_CUDA_HEADERS OFF)
set(REPRISE_CUDA_MISSING "")
if(NOT REPRISE_CUDA OR REPRISE_SANITIZE)
  set(REPRISE_CUDA_MISSING "it is not asked for")
  return()
endif()

find_package(CUDAToolkit 13 QUIET)
if(NOT CUDAToolkit_FOUND)
  set(REPRISE_CUDA_MISSING "there is no CUDA Toolkit 13 (or name it with -DCUDAToolkit_ROOT=)")
  return()
endif()

# Another place than the system's and the toolkit's is named by -DCMAKE_PREFIX_PATH=.
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR HINTS ${CUDAToolkit_LIBRARY_DIR}
             PATH_SUFFIXES lib lib64)
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_LIBRARY)
if(NOT CUDNN_INCLUDE_DIR)
  set(REPRISE_CUDA_MISSING "there is no cuDNN 9 (or name its folder with -DCMAKE_PREFIX_PATH=)")
  return()
endif()
set(REPRISE_CUDA_HEADERS ON)

include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND CUDAToolkit_NVCC_EXECUTABLE)
  set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE} CACHE FILEPATH "nvcc")
endif()
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  set(REPRISE_CUDA_MISSING "there is no nvcc")
elseif(NOT CUDNN_LIBRARY)
  set(REPRISE_CUDA_MISSING "there is no library of cuDNN (its headers are there)")
elseif(NOT TARGET CUDA::cublasLt)
  set(REPRISE_CUDA_MISSING "there is no library of cuBLASLt")
endif()
