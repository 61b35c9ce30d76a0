// LLVMFuzzerTestOneInput of a target (fuzz_target.h), for libFuzzer or for mutations.cpp.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {

InputFile::InputFile(std::string_view bytes) : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
  require(file_ >= 0, "memfd_create failed");
  path_ = "/proc/self/fd/" + std::to_string(file_);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count = write(file_, bytes.data() + done, bytes.size() - done);
    require(count > 0, "an input could not be written");
    done += static_cast<std::size_t>(count);
  }
}

InputFile::~InputFile() { close(file_); }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

namespace {

// libFuzzer counts seconds of the clock. A machine that others use too would get less done in them.
void stop_at_cpu_limit() {
  static const char* const limit = std::getenv("REPRISE_FUZZ_CPU_SECONDS");
  static std::uint64_t executions = 0;
  ++executions;
  if (!limit || executions % 64 != 0) return;
  const double seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  if (seconds < std::atof(limit)) return;
  std::printf("%llu executions in %.0f s of CPU time\n", static_cast<unsigned long long>(executions),
              seconds);
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace
}  // namespace reprise::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool limited = [] {
    reprise::memory::set_limit(reprise::Device::cpu(), reprise::MiB(256));
    return true;
  }();
  static_cast<void>(limited);
  reprise::fuzz::stop_at_cpu_limit();
  try {
    reprise::fuzz::read_input({reinterpret_cast<const char*>(data), size});
  } catch (const reprise::InternalError&) {
    throw;
  } catch (const reprise::Error&) {
    // The reader's answer.
  }
  return 0;
}

// A failure of a sanitizer ends like any other: the driver then saves the input.
extern "C" const char* __asan_default_options() { return "abort_on_error=1:detect_leaks=0"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
