#include "reprise/core/tensor.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/core/dry_overlay.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/host_bytes.h"
#include "reprise/core/lifetime.h"
#include "reprise/core/object_pool.h"
#include "reprise/core/unlisted.h"

namespace reprise {

namespace {

const TensorImpl& defined_impl(const Tensor& tensor) {
  if (!tensor.defined())
    throw UserError("this tensor is undefined: nothing was assigned to it, or it was moved from");
  return *tensor.impl();
}

// The impl of a tensor whose elements can be looked at.
const TensorImpl& readable_impl(const Tensor& tensor) {
  const TensorImpl& impl = defined_impl(tensor);
  if (impl.storage->dry)
    throw UserError(
        fmt::format("{} was made in a dry run: it has no values (checkpoint::plan and trace run the step "
                    "dry: read values outside it)",
                    to_string(impl.info)));
  return impl;
}

void check_dtype(const Tensor& tensor, DType dtype, const char* call) {
  const TensorImpl& impl = readable_impl(tensor);
  if (impl.info.dtype != dtype)
    throw UserError(fmt::format("{}: the tensor is {}, not {}; convert it with to(DType)", call,
                                to_string(impl.info), to_string(dtype)));
  if (impl.info.device.kind != Device::CPU)
    throw UserError(
        fmt::format("{}: the tensor is {}; move it with to(Device::cpu())", call, to_string(impl.info)));
}

}  // namespace

const std::byte* host_bytes(const Tensor& tensor, std::vector<std::byte>& copy) {
  const TensorImpl& impl = readable_impl(tensor);
  if (impl.info.device.kind == Device::CPU) return impl.data();
  copy.resize(impl.info.bytes());
  if (!copy.empty()) services(impl.info.device).copy(copy.data(), impl.data(), copy.size());
  return copy.data();
}

std::string to_string(const ValueInfo& info) {
  std::string text = fmt::format("{}{}", to_string(info.dtype), to_string(info.shape));
  if (info.device != Device::cpu()) text += " on " + to_string(info.device);
  return text;
}

void TensorImpl::destroy(TensorImpl* impl) noexcept {
  if (impl->storage)
    if (LifetimeListener* listener = lifetime_listener()) listener->handle_died(*impl);
  if (impl->leaf) forget_in_dry_run(*impl);
  if (impl->unlisted) forget_unlisted(*impl);
  impl->~TensorImpl();
  ObjectPool<TensorImpl>::give(impl);
}

Ref<TensorImpl> make_impl() { return Ref<TensorImpl>(new (ObjectPool<TensorImpl>::take()) TensorImpl); }

Tensor untracked(const Tensor& tensor) {
  Ref<TensorImpl> impl = make_impl();
  impl->info = tensor.info();
  impl->offset = tensor.impl()->offset;
  impl->storage = tensor.impl()->storage;
  return Tensor(std::move(impl));
}

Tensor empty(const ValueInfo& info, memory::Tag tag) {
  Ref<TensorImpl> impl = make_impl();
  impl->info = info;
  impl->storage = allocate(info.bytes(), info.device, tag);
  return Tensor(std::move(impl));
}

Tensor empty(const ValueInfo& info) { return empty(info, memory::current_tag()); }

const ValueInfo& Tensor::info() const { return defined_impl(*this).info; }

Residency Tensor::residency() const { return defined() ? Residency::Resident : Residency::Dropped; }

void Tensor::set_requires_grad(bool requires_grad) const {
  const TensorImpl& impl = defined_impl(*this);
  if (!impl.leaf)
    throw UserError(
        fmt::format("set_requires_grad: {} was made by an op; detach() it first", to_string(impl.info)));
  if (requires_grad && !is_floating(impl.info.dtype))
    throw UserError(fmt::format("set_requires_grad: {} carries no gradient; only floating-point tensors do",
                                to_string(impl.info)));
  note_requires_grad(*impl_);
  if (requires_grad) retag(*impl.storage, memory::Tag::parameter);
  impl_->requires_grad = requires_grad;
}

Tensor Tensor::grad() const { return Tensor(gradient_of(defined_impl(*this))); }

void Tensor::set_grad(Tensor gradient) const {
  ValueInfo wanted = info();
  wanted.dtype = gradient_dtype(wanted.dtype);
  if (gradient.defined() && gradient.info() != wanted)
    throw UserError(fmt::format("set_grad: the gradient of {} cannot be {}: it must be {}", to_string(info()),
                                to_string(gradient.info()), to_string(wanted)));
  refuse_ended_dry_run("set_grad", "the gradient", gradient);
  refuse_ended_dry_run("set_grad", "the tensor", *this);
  set_gradient(*impl_, std::move(gradient).release());
}

std::string_view Tensor::name() const {
  return impl_ && impl_->name ? std::string_view(*impl_->name) : std::string_view();
}

void Tensor::set_name(std::string name) const {
  defined_impl(*this);
  impl_->name = std::make_unique<std::string>(std::move(name));
}

namespace {

// The bytes of the only element; `copy` holds them where they lie elsewhere.
const std::byte* only_element(const Tensor& tensor, std::vector<std::byte>& copy) {
  const TensorImpl& impl = readable_impl(tensor);
  if (impl.info.shape.numel() != 1)
    throw UserError(
        fmt::format("item: {} has {} elements, not one", to_string(impl.info), impl.info.shape.numel()));
  return host_bytes(tensor, copy);
}

}  // namespace

double Tensor::item_as_double() const {
  std::vector<std::byte> copy;
  double value = 0;
  convert(only_element(*this, copy), dtype(), &value, DType::f64, 1);
  return value;
}

std::int64_t Tensor::item_as_integer(std::int64_t least, std::int64_t most) const {
  if (is_floating(dtype())) {
    const double value = std::trunc(item_as_double());
    const std::optional<std::int64_t> whole = Scalar(value).whole();
    if (!whole || *whole < least || *whole > most)
      throw UserError(fmt::format("item: {} is beyond the integer type that was asked for", value));
    return *whole;
  }
  std::vector<std::byte> copy;
  std::int64_t value = 0;
  convert(only_element(*this, copy), dtype(), &value, DType::i64, 1);
  if (value < least || value > most)
    throw UserError(fmt::format("item: {} is beyond the integer type that was asked for", value));
  return value;
}

double Tensor::at(std::initializer_list<std::int64_t> index) const {
  const TensorImpl& impl = readable_impl(*this);
  if (static_cast<int>(index.size()) != impl.info.shape.rank())
    throw UserError(fmt::format("at: {} needs {} indices, not {}", to_string(impl.info),
                                impl.info.shape.rank(), index.size()));
  std::int64_t place = 0;
  int dim = 0;
  for (std::int64_t i : index) {
    const std::int64_t extent = impl.info.shape[dim++];
    if (i < 0 || i >= extent)
      throw UserError(fmt::format("at: index {} of dimension {} of {}", i, dim - 1, to_string(impl.info)));
    place = place * extent + i;
  }
  std::vector<std::byte> copy;
  const std::byte* bytes = host_bytes(*this, copy);
  double value = 0;
  convert(bytes + static_cast<std::size_t>(place) * size_of(impl.info.dtype), impl.info.dtype, &value,
          DType::f64, 1);
  return value;
}

std::vector<double> Tensor::to_vector() const {
  std::vector<std::byte> copy;
  const std::byte* bytes = host_bytes(*this, copy);
  std::vector<double> values(static_cast<std::size_t>(numel()));
  convert(bytes, dtype(), values.data(), DType::f64, numel());
  return values;
}

const void* Tensor::readable(DType dtype) const {
  check_dtype(*this, dtype, "read");
  return impl_->data();
}

void* Tensor::writable(DType dtype) const {
  if (is_dry_run())
    throw UserError(
        fmt::format("write: {} cannot be written in a dry run, which leaves no trace; write it outside "
                    "the step, or state through assign_state",
                    to_string(info())));
  check_dtype(*this, dtype, "write");
  ++impl_->storage->version;
  return impl_->data();
}

void assign_state(Tensor& state, Tensor value) {
  if (!state.defined() || !value.defined() || state.info() != value.info())
    throw UserError(fmt::format("assign_state: state {} cannot become {}",
                                state.defined() ? to_string(state.info()) : "undefined",
                                value.defined() ? to_string(value.info()) : "undefined"));
  if (!is_dry_run()) {
    DeviceServices& backend = services(state.device());
    const StepCapture capture = backend.step_capture();
    if (capture == StepCapture::capturing && state.bytes() > 0) {
      // A launch reads and writes where this one does, so the state keeps its place.
      backend.copy(state.impl()->data(), value.impl()->data(), state.bytes());
      ++state.impl()->storage->version;
    }
    if (capture != StepCapture::none) return;
  }
  const memory::Tag tag = state.impl()->storage->tag;
  const bool whole = value.impl().unique() && value.impl()->storage.unique() &&
                     value.impl()->storage->bytes == value.bytes();
  if (!whole) {  // someone else holds these bytes
    const Tensor source = std::move(value);
    value = empty(source.info(), tag);
    if (!is_dry_run()) {
      if (source.impl()->storage->dry)
        throw UserError("assign_state: the value was made in a dry run: it has no values");
      if (source.bytes() > 0)
        services(source.device()).copy(value.impl()->data(), source.impl()->data(), source.bytes());
    }
  }
  if (is_dry_run()) return;
  Tensor fresh = untracked(value);
  if (!state.name().empty()) fresh.impl()->name = std::make_unique<std::string>(state.name());
  retag(*fresh.impl()->storage, tag);
  state = std::move(fresh);
}

}  // namespace reprise
