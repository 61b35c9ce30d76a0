#include "reprise/core/cuda_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "reprise/core/error.h"

namespace reprise {

namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libreprise_cuda.so";

// The file to open, whether it is there or not.
fs::path plugin_file() {
  if (const char* wanted = std::getenv("REPRISE_CUDA_PLUGIN"); wanted && *wanted) return wanted;
  Dl_info info = {};
  if (dladdr(reinterpret_cast<const void*>(&build_identity), &info) == 0 || !info.dli_fname) return kFile;
  return fs::path(info.dli_fname).parent_path() / kFile;
}

const CudaPlugin& open_plugin() {
  const fs::path file = plugin_file();
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    throw UserError(fmt::format(
        "no CUDA device: the plugin {} is missing; build Reprise where the CUDA Toolkit 13 and cuDNN "
        "9 are installed, or install its CUDA part (docs/cuda.md)",
        file.string()));
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw UserError(
        fmt::format("no CUDA device: the plugin cannot be opened: {}; install the libraries of CUDA 13 "
                    "and cuDNN 9 (docs/cuda.md)",
                    dlerror()));
  const auto entry = reinterpret_cast<CudaPluginEntry>(dlsym(library, "reprise_cuda_plugin"));
  const CudaPlugin* plugin = entry ? entry() : nullptr;
  if (!plugin || std::strcmp(plugin->identity, build_identity()) != 0) {
    const std::string other = plugin ? plugin->identity : "no plugin of Reprise";
    dlclose(library);
    throw UserError(
        fmt::format("no CUDA device: {} is of another build ({}; this is {}); build both together",
                    file.string(), other, build_identity()));
  }
  return *plugin;
}

}  // namespace

const char* build_identity() { return REPRISE_BUILD_IDENTITY; }

const CudaPlugin& cuda_plugin() {
  static std::mutex mutex;
  static const CudaPlugin* opened = nullptr;
  const std::lock_guard lock(mutex);
  if (!opened) opened = &open_plugin();
  return *opened;
}

CudaReport cuda_report() {
  CudaReport report;
  try {
    report = cuda_plugin().report();
  } catch (const UserError& error) {
    report.problem = error.what();
  }
  report.plugin = plugin_file().string();
  return report;
}

}  // namespace reprise
