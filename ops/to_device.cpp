#include "reprise/ops/to_device.h"

#include "reprise/autograd/intrinsics.h"

namespace reprise {
namespace {

struct ToDevice final : Op {
  Device device;
  explicit ToDevice(Device d) : device(d) {}
  std::string_view name() const override { return "to_device"; }
  std::string attributes() const override { return "device=" + to_string(device); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[0].shape, in[0].dtype, device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    copy_bytes(in[0], out[0]);
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(to_device(gradients[0], context.infos[0].device));
  }
};

}  // namespace

Tensor to_device(Tensor x, Device device) {
  if (x.device() == device) return x;
  services(device);  // UserError for a device that this program cannot use
  return record(ToDevice(device), std::move(x));
}

}  // namespace reprise
