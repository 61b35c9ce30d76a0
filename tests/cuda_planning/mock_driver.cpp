// A libcuda.so.1 that finds no device, but takes the modules that cuDNN compiles while it plans: its fused kernels are made
// by NVRTC and handed to the driver before a plan is finalized.
#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <initializer_list>

#undef cuGetProcAddress

namespace {

// What handles point to.
char library, kernel, function, module;

template <class Handle>
CUresult give(Handle* to, char& object) {
  *to = reinterpret_cast<Handle>(&object);
  return CUDA_SUCCESS;
}

int attribute_value(CUfunction_attribute attribute) {
  return attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return CUDA_ERROR_NO_DEVICE; }
CUresult cuDriverGetVersion(int* version) {
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult, const char** text) {
  *text = "an error of the mock driver";
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "the mock driver has no device";
  return CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** to, int, cuuint64_t,
                             CUdriverProcAddressQueryResult* found) {
  void* self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *to = nullptr;
  for (const char* suffix : {"_v3", "_v2", ""}) {
    char name[256];
    std::snprintf(name, sizeof name, "%s%s", symbol, suffix);
    if (!*to) *to = dlsym(self, name);
  }
  if (found) *found = *to ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *to ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
CUresult cuGetProcAddress(const char* symbol, void** to, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult* found) {
  return cuGetProcAddress_v2(symbol, to, version, flags, found);
}

CUresult cuLibraryLoadData(CUlibrary* to, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*,
                           void**, unsigned) {
  return give(to, library);
}
CUresult cuLibraryUnload(CUlibrary) { return CUDA_SUCCESS; }
CUresult cuLibraryGetKernel(CUkernel* to, CUlibrary, const char*) { return give(to, kernel); }
CUresult cuLibraryGetModule(CUmodule* to, CUlibrary) { return give(to, module); }
CUresult cuModuleLoadData(CUmodule* to, const void*) { return give(to, module); }
CUresult cuModuleLoadDataEx(CUmodule* to, const void*, unsigned, CUjit_option*, void**) {
  return give(to, module);
}
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction* to, CUmodule, const char*) { return give(to, function); }
CUresult cuKernelGetFunction(CUfunction* to, CUkernel) { return give(to, function); }
CUresult cuKernelSetAttribute(CUfunction_attribute, int, CUkernel, CUdevice) { return CUDA_SUCCESS; }
CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel, CUdevice) {
  *value = attribute_value(attribute);
  return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  *value = attribute_value(attribute);
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction, const CUlaunchConfig*) {
  *clusters = 132;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int, size_t) {
  *blocks = 1;
  return CUDA_SUCCESS;
}
}
