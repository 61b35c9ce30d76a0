#pragma once
// oneDNN primitives as kernels need them: made once for each shape and kept, run on the caller's pointers, with
// scratchpads that the caller provides, so that they are counted. What differs between oneDNN 2.x and 3.x stays in the
// dnnl_* files. Nothing of oneDNN starts before the first primitive is made.
#include <array>
#include <cstddef>
#include <cstdint>
#include <dnnl.hpp>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "reprise/core/dtype.h"

namespace reprise::cpu {

const dnnl::engine& dnnl_engine();

// A primitive and the layouts of its arguments, in a fixed order. Threads may run the same one at once.
class DnnlPrimitive {
 public:
  struct Argument {
    int number;  // DNNL_ARG_*
    dnnl::memory::desc layout;
  };
  // `description` was made with dnnl_attributes(), under a DnnlThreads that still lives.
  template <class Description>
  DnnlPrimitive(const Description& description, const dnnl::primitive& primitive,
                std::vector<Argument> arguments)
      : DnnlPrimitive(primitive, std::move(arguments), description.scratchpad_desc(),
                      description.impl_info_str()) {}

  // Of the scratchpad, which is 64-byte aligned.
  std::size_t workspace() const { return workspace_; }
  const char* implementation() const { return implementation_.c_str(); }

  // One pointer an argument. Runs on the threads that the primitive was made for. KernelFailure if oneDNN fails.
  void run(std::span<const void* const> pointers, void* scratchpad) const;
  void run(std::initializer_list<const void*> pointers, void* scratchpad) const {
    run(std::span(pointers.begin(), pointers.size()), scratchpad);
  }

 private:
  DnnlPrimitive(const dnnl::primitive& primitive, std::vector<Argument> arguments,
                const dnnl::memory::desc& scratchpad, std::string implementation);
  // Memory objects are handles that hold a pointer for the length of a run: each run takes a set of its own.
  using MemorySet = std::vector<dnnl::memory>;
  MemorySet take_memory_set() const;
  void give_back(MemorySet set) const;

  dnnl::primitive primitive_;
  int threads_;
  std::vector<Argument> arguments_;  // the scratchpad is the last
  std::size_t workspace_;
  std::string implementation_;
  mutable std::mutex mutex_;
  mutable std::vector<MemorySet> idle_sets_;
};

// f32 or bf16.
dnnl::memory::data_type dnnl_type(DType dtype);

// Scratchpads come from the caller.
dnnl::primitive_attr dnnl_attributes();

// oneDNN divides by zero when it makes a primitive for a larger extent: some of its kernels count in 32 bits. The plain
// loops take such shapes.
inline constexpr std::int64_t kDnnlMostExtent = INT32_MAX;

// Is this one of oneDNN's reference loops, which are slower than cpu/plain?
bool is_reference(const char* implementation);

// The next four functions hold the differences between oneDNN 2 and oneDNN 3.

// Describes a forward primitive, or a product. `operands` are the arguments of oneDNN's descriptor, in order. The result
// is empty if oneDNN has no implementation.
template <class Primitive, class... Operands>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attributes,
                                            const Operands&... operands) {
#if DNNL_VERSION_MAJOR >= 3
  return {dnnl_engine(), operands..., attributes, /*allow_empty=*/true};
#else
  return {typename Primitive::desc(operands...), attributes, dnnl_engine(), /*allow_empty=*/true};
#endif
}

// Describes a backward primitive. `forward` describes its forward primitive.
template <class Primitive, class Forward, class... Operands>
typename Primitive::primitive_desc describe_backward(const Forward& forward,
                                                     const dnnl::primitive_attr& attributes,
                                                     const Operands&... operands) {
#if DNNL_VERSION_MAJOR >= 3
  return {dnnl_engine(), operands..., forward, attributes, /*allow_empty=*/true};
#else
  return {typename Primitive::desc(operands...), attributes, dnnl_engine(), forward, /*allow_empty=*/true};
#endif
}

dnnl::memory::data_type data_type(const dnnl::memory::desc& layout);

// The same strides for elements of another type. `layout` must be plain: strides alone, no blocks.
dnnl::memory::desc with_data_type(const dnnl::memory::desc& layout, dnnl::memory::data_type type);

// Makes the primitive that copies from one layout to another.
std::unique_ptr<const DnnlPrimitive> make_reorder(const dnnl::memory::desc& from,
                                                  const dnnl::memory::desc& to);

// Identifies a primitive by the numbers that it was made for. The constructor adds available_threads(): scratchpads depend on it.
struct PrimitiveKey {
  static constexpr std::size_t kMaxNumbers = 24;
  std::array<std::int64_t, kMaxNumbers> numbers = {};
  PrimitiveKey(std::initializer_list<std::int64_t> values);
  friend bool operator==(const PrimitiveKey&, const PrimitiveKey&) = default;
};
enum class PrimitiveKind : std::int64_t { product, convolution };

namespace detail {
using AnyPrimitive = std::shared_ptr<const void>;
bool find_cached(const PrimitiveKey& key, AnyPrimitive& found);
AnyPrimitive keep_cached(const PrimitiveKey& key,
                         AnyPrimitive made);  // the one that is kept: another thread's may be
// Returns if oneDNN does not support the request. KernelFailure if oneDNN failed, for example for lack of memory.
void require_unsupported(const dnnl::error& error);
}  // namespace detail

// Returns the primitive for this key and thread count, and makes it at the first request. The cache keeps the 1,024 used
// last. `make` may return null (not available), which is remembered too; null also stands for a request that oneDNN
// does not support. KernelFailure if oneDNN fails.
template <class T, class Make>
std::shared_ptr<const T> cached_primitive(const PrimitiveKey& key, Make make) {
  detail::AnyPrimitive found;
  if (detail::find_cached(key, found)) return std::static_pointer_cast<const T>(found);
  std::shared_ptr<const T> made;
  try {
    made = make();
  } catch (const dnnl::error& error) {
    detail::require_unsupported(error);
  }
  return std::static_pointer_cast<const T>(detail::keep_cached(key, made));
}

// oneDNN makes and runs primitives with so many threads, while one lives. A primitive divides its work by the number
// of threads that it was made for, so OpenMP must give exactly as many.
class [[nodiscard]] DnnlThreads {
 public:
  DnnlThreads();  // available_threads()
  explicit DnnlThreads(int threads);
  ~DnnlThreads();
  DnnlThreads(const DnnlThreads&) = delete;
  DnnlThreads& operator=(const DnnlThreads&) = delete;
  static int current();  // oneDNN's threads now

 private:
  int previous_;
  bool previously_dynamic_;
};

}  // namespace reprise::cpu
