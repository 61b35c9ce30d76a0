// The plugin: opened on demand, refused with a word that says what to install, its memory, its copies.
#include "reprise/core/cuda_plugin.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/memory.h"
#include "reprise/core/tensor.h"
#include "reprise/tests/cli_program.h"
#include "reprise/tests/cuda_emulated.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// What `reprise devices` says with this plugin on this machine.
std::string devices(const std::string& plugin, const std::string& machine = "") {
  const Variable file("REPRISE_CUDA_PLUGIN", plugin), emulated("EMULATED_CUDA", machine);
  const cli_test::Result result = cli_test::reprise({"devices"});
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK_THAT(result.out, Contains("cpu ") && Contains("threads"));
  return result.out;
}

}  // namespace

TEST_CASE("cuda: why there is no device, each in its own words", "[cuda]") {
  CHECK_THAT(devices("/no/such/file.so"),
             Contains("plugin /no/such/file.so is missing") && Contains("CUDA Toolkit 13"));
  CHECK_THAT(devices(REPRISE_PLAIN_LIBRARY), Contains("another build") && Contains("no plugin of Reprise"));
  CHECK_THAT(devices("/dev/null"), Contains("cannot be opened") && Contains("cuDNN 9"));
  CHECK_THAT(devices(REPRISE_CUDA_EMULATOR, "no_driver"),
             Contains("no NVIDIA driver: install one") && Contains("driver none"));
  CHECK_THAT(devices(REPRISE_CUDA_EMULATOR, "old_driver"),
             Contains("supports CUDA 12.8, Reprise needs 13.0: install a newer driver"));
  CHECK_THAT(devices(REPRISE_CUDA_EMULATOR, "no_device"),
             Contains("no GPU") && Contains("CUDA_VISIBLE_DEVICES"));
  CHECK_THAT(devices(REPRISE_CUDA_EMULATOR, "old_device"),
             Contains("cuda:0   Emulated GPU, compute capability 7.0, 64.0 GiB; not usable") &&
                 Contains("below 8.0"));
  const std::string usable = devices(REPRISE_CUDA_EMULATOR);
  CHECK_THAT(usable,
             Contains("cuda:1   Emulated GPU, compute capability 9.0, 64.0 GiB\n") && Contains("cuDNN 9."));
  CHECK_THAT(usable, !Contains("not usable") && !Contains("no CUDA device"));
}

TEST_CASE("cuda: the real plugin opens, and says what it finds", "[cuda]") {
  const std::string plugin = REPRISE_CUDA_PLUGIN;
  if (plugin.empty()) return;  // not built here: no nvcc
  const std::string found = devices(plugin);
  CHECK_THAT(found, Contains("plugin " + plugin) && Contains("CUDA runtime 13."));
  CHECK_THAT(found, Contains("compute capability") || Contains("no NVIDIA driver: install one") ||
                        Contains("no GPU: the NVIDIA driver sees none"));
}

TEST_CASE("cuda: a wrong device number, and devices whose number cannot be", "[cuda]") {
  if (on_real_gpu()) return;
  CHECK_THROWS_WITH(Tensor::zeros({2}, {.device = Device::cuda(2)}),
                    "cuda:2: there are 2 CUDA devices, numbered from 0");
  CHECK_THROWS_WITH(services(Device::cuda(-1)), "cuda:-1: there are 2 CUDA devices, numbered from 0");
}

TEST_CASE("cuda: bytes go there and come back, counted by the meter", "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({.host_locked_out = true});
  const std::size_t before = memory::live(device);
  {
    const Tensor x = Tensor::arange(1000, {.device = device, .dtype = DType::i64});
    CHECK(memory::live(device) == before + 8000);
    CHECK(x.at({999}) == 999);
    const Tensor y = x.to(Device::cpu()).to(device);
    CHECK(y.to_vector() == x.to_vector());
    CHECK(memory::live(device) == before + 16000);
    CHECK(memory::reserved(device) >= memory::live(device));
  }
  services(device).synchronize();
  CHECK(memory::live(device) == before);
  CHECK_THROWS_AS(Tensor::zeros({1 << 20}, {.device = device}).read<float>(), UserError);
}
