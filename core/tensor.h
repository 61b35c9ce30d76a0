#pragma once
// A tensor is a handle: shape, dtype and device of a contiguous run of elements in a shared buffer. Copies are cheap
// and share. A value on a tape never changes: ops make new tensors.
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "reprise/core/device.h"
#include "reprise/core/dtype.h"
#include "reprise/core/error.h"
#include "reprise/core/ref.h"
#include "reprise/core/scalar.h"
#include "reprise/core/shape.h"
#include "reprise/core/storage.h"

namespace reprise {

// What is known of a value before its bytes are made.
struct ValueInfo {
  Shape shape;
  DType dtype = DType::f32;
  Device device;
  // Never wraps: a shape has at most 2^48 elements.
  std::size_t bytes() const { return static_cast<std::size_t>(shape.numel()) * size_of(dtype); }
  friend bool operator==(const ValueInfo&, const ValueInfo&) = default;
};
// "f32[2, 3] on cpu"; "f32[2, 3]" for the cpu
std::string to_string(const ValueInfo& info);

struct TensorOptions {
  Device device = Device::cpu();
  std::optional<DType> dtype = {};  // f32, if none is named; for Tensor::from the data's own
  bool requires_grad = false;
};

// Are the value's bytes here now?
enum class Residency { Resident, Dropped, Offloaded };

// What a handle points at. Library-internal: users hold Tensor.
struct TensorImpl {
  std::atomic<std::int32_t> references{0};
  ValueInfo info;
  std::size_t offset = 0;  // bytes into the storage
  Ref<Storage> storage;
  bool requires_grad = false;
  bool leaf = true;
  bool unlisted = false;  // made by a module, and no walk over modules has met it yet (core/unlisted.h)
  std::uint64_t gradient_walk = 0;  // the walk of backward that gave the gradient
  std::int32_t value = -1;          // the value on a tape that this handle stands for, valid while
  std::uint64_t serial = 0;         // that tape's value has this serial
  Ref<TensorImpl> grad;             // through gradient_of and set_gradient only
  std::unique_ptr<std::string> name;

  std::byte* data() const { return static_cast<std::byte*>(storage->data) + offset; }
  static void destroy(TensorImpl* impl) noexcept;
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  // Factories. Random ones draw from the thread's generator (core/random.h) and give the same numbers for any
  // thread count. In a dry run they only count. Not ops: never on a tape.
  static Tensor empty(const Shape& shape, TensorOptions options = {});
  static Tensor zeros(const Shape& shape, TensorOptions options = {});
  static Tensor ones(const Shape& shape, TensorOptions options = {});
  // UserError for a number that an integer dtype cannot hold: a fraction, or one out of range. bool: is it not 0?
  static Tensor full(const Shape& shape, Scalar value, TensorOptions options = {});
  static Tensor arange(std::int64_t n, TensorOptions options = {});     // 0, 1, ..., n - 1; UserError as full
  static Tensor randn(const Shape& shape, TensorOptions options = {});  // normal(0, 1)
  static Tensor rand(const Shape& shape, TensorOptions options = {});   // uniform in [0, 1)
  // Copies `data`. Without options.dtype the tensor has the data's own dtype: doubles are f64, integers stay integers.
  // An integer type without a dtype becomes wider: 8 and 16 bits go to i32 (unsigned char is u8), unsigned types of 32
  // bits and more to i64. If an integer dtype is asked for, fractions are cut off. UserError if the counts differ. A
  // number that an integer dtype cannot hold (out of range, NaN) is a UserError too. bool: is the number not 0?
  template <class T>
  static Tensor from(std::span<const T> data, const Shape& shape, TensorOptions options = {}) {
    return from_elements(data.data(), data.size(), shape, options);
  }
  template <class T>
  static Tensor from(std::initializer_list<T> data, const Shape& shape, TensorOptions options = {}) {
    return from_elements(data.begin(), data.size(), shape, options);
  }
  template <class T>
  static Tensor from(const std::vector<T>& data, const Shape& shape, TensorOptions options = {}) {
    return from_elements(data.data(), data.size(), shape, options);
  }
  static Tensor from(const std::vector<bool>& data, const Shape& shape, TensorOptions options = {});

  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const { return info().shape; }
  std::int64_t size(int dim) const { return info().shape[dim]; }
  std::int64_t numel() const { return info().shape.numel(); }
  DType dtype() const { return info().dtype; }
  Device device() const { return info().device; }
  // Never wraps: a shape has at most 2^48 elements.
  std::size_t bytes() const { return info().bytes(); }
  const ValueInfo& info() const;  // UserError on an undefined tensor
  Residency residency() const;    // a handle keeps its bytes: Resident; undefined: Dropped

  bool requires_grad() const { return impl_ && impl_->requires_grad; }
  // UserError for a dtype that carries no gradient and for a value made by ops (detach() it first).
  void set_requires_grad(bool requires_grad) const;
  bool is_leaf() const { return !impl_ || impl_->leaf; }
  Tensor grad() const;  // undefined until a backward reached this leaf; f32 for a leaf of 16 bits
  void set_grad(Tensor gradient) const;  // UserError when shape or dtype differ; undefined releases it

  std::string_view name() const;
  void set_name(std::string name) const;

  // The only element, converted. An i64 never passes through double on its way to an integer type. A number that the
  // integer type T cannot hold is a UserError; a fraction is cut off. UserError for more than one element or in a dry
  // run.
  template <class T = double>
  T item() const {
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
      constexpr bool kWide =
          std::cmp_greater(std::numeric_limits<T>::max(), std::numeric_limits<std::int64_t>::max());
      constexpr auto kMost = kWide ? std::numeric_limits<std::int64_t>::max()
                                   : static_cast<std::int64_t>(std::numeric_limits<T>::max());
      return static_cast<T>(item_as_integer(static_cast<std::int64_t>(std::numeric_limits<T>::min()), kMost));
    } else {
      return static_cast<T>(item_as_double());
    }
  }
  // Elements in row-major order, as doubles (an i64 beyond 2^53 is rounded): for tests and printing.
  double at(std::initializer_list<std::int64_t> index) const;
  std::vector<double> to_vector() const;
  // The elements themselves. UserError when T is not the dtype, off the CPU, or in a dry run. `write` bumps the version:
  // a tape that recorded the old contents refuses to read the new.
  template <class T>
  std::span<const T> read() const {
    return {static_cast<const T*>(readable(dtype_of<T>)), static_cast<std::size_t>(numel())};
  }
  template <class T>
  std::span<T> write() const {
    return {static_cast<T*>(writable(dtype_of<T>)), static_cast<std::size_t>(numel())};
  }

  // Members that record come twice: on a temporary they give it up at once, as ops do with their arguments.
  // They are defined in ops.
  Tensor detach() const&;  // the same bytes, untracked
  Tensor detach() &&;
  Tensor to(Device device) const&;
  Tensor to(Device device) &&;
  Tensor to(DType dtype) const&;
  Tensor to(DType dtype) &&;
  Tensor reshape(const OpenShape& shape) const&;  // one extent may be -1
  Tensor reshape(const OpenShape& shape) &&;
  Tensor slice(std::int64_t first, std::int64_t last) const&;  // of the leading dimension; shares storage
  Tensor slice(std::int64_t first, std::int64_t last) &&;
  Tensor operator[](std::int64_t index) const&;  // drops the leading dimension; shares storage
  Tensor operator[](std::int64_t index) &&;

  const Ref<TensorImpl>& impl() const { return impl_; }
  Ref<TensorImpl> release() && { return std::move(impl_); }

 private:
  template <class T>
  static Tensor from_elements(const T* data, std::size_t count, const Shape& shape, TensorOptions options) {
    if constexpr (HasDType<T>) {
      return from_bytes(data, count, dtype_of<T>, shape, options);
    } else {
      static_assert(std::integral<T>,
                    "Tensor::from takes integers, bool, float, double, BFloat16 and Float16");
      using Wide = std::conditional_t<(sizeof(T) < 4), std::int32_t, std::int64_t>;
      std::vector<Wide> wide(count);
      for (std::size_t i = 0; i < count; ++i) {
        if (!std::in_range<Wide>(data[i])) throw_beyond_i64(static_cast<std::uint64_t>(data[i]), i);
        wide[i] = static_cast<Wide>(data[i]);
      }
      return from_bytes(wide.data(), count, dtype_of<Wide>, shape, options);
    }
  }
  [[noreturn]] static void throw_beyond_i64(std::uint64_t value, std::size_t index);
  static Tensor from_bytes(const void* data, std::size_t count, DType from, const Shape& shape,
                           TensorOptions options);
  double item_as_double() const;
  std::int64_t item_as_integer(std::int64_t least, std::int64_t most) const;
  const void* readable(DType dtype) const;
  void* writable(DType dtype) const;

  Ref<TensorImpl> impl_;
};

// A handle to a new storage of this kind, uninitialized, under the thread's tag. Recycles handle memory.
Ref<TensorImpl> make_impl();

// The same bytes under a handle of its own, of no tape.
Tensor untracked(const Tensor& tensor);
Tensor empty(const ValueInfo& info);
Tensor empty(const ValueInfo& info, memory::Tag tag);

// Writes state that lives outside the tape (running statistics): `state` becomes `value`, in new storage, and in a
// dry run nothing happens. Call it under NoGrad, so that the old state is let go at once. In a step that is captured as a CUDA
// graph (core/cuda_graph.h) it is written where it lies, at each replay.
void assign_state(Tensor& state, Tensor value);

// Rounded as PyTorch prints them, long axes elided: "f32[2, 2]\n[[1, 2],\n [3, 4]]".
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);
std::string to_string(const Tensor& tensor);

// Every element of `from` converted into `to` (same element count), on the CPU.
void convert(const void* from, DType from_dtype, void* to, DType to_dtype, std::int64_t count);

// NumPy's .npy, version 1.0, little-endian, C order. Lengths in the header are checked against the file;
// FileError names file and offset. bf16 has no NumPy name: UserError, convert first.
void save_npy(const Tensor& tensor, const std::string& path);
Tensor load_npy(const std::string& path);

}  // namespace reprise
