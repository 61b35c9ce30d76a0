#include "reprise/cpu/dnnl_primitive.h"

#include <dnnl_debug.h>
#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <string_view>
#include <unordered_map>

#include "reprise/core/error.h"
#include "reprise/core/kernel_slot.h"
#include "reprise/core/parallel.h"
#ifndef REPRISE_STD_THREADS
#include <omp.h>
#endif

namespace reprise::cpu {

const dnnl::engine& dnnl_engine() {
  static const auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives whatever runs at exit
  return *engine;
}

namespace {

// oneDNN's streams are not promised to be safe to share.
const dnnl::stream& dnnl_stream() {
  thread_local const dnnl::stream stream(dnnl_engine());
  return stream;
}

}  // namespace

DnnlThreads::DnnlThreads() : DnnlThreads(available_threads()) {}
#ifdef REPRISE_STD_THREADS
DnnlThreads::DnnlThreads(int) : previous_(0), previously_dynamic_(false) {}
DnnlThreads::~DnnlThreads() = default;
int DnnlThreads::current() { return 1; }
#else
int DnnlThreads::current() { return omp_get_max_threads(); }
DnnlThreads::DnnlThreads(int threads)
    : previous_(omp_get_max_threads()), previously_dynamic_(omp_get_dynamic() != 0) {
  if (previously_dynamic_) omp_set_dynamic(0);  // a dynamic team may be smaller
  if (threads != previous_) omp_set_num_threads(threads);
}
DnnlThreads::~DnnlThreads() {
  if (previously_dynamic_) omp_set_dynamic(1);
  if (previous_ != omp_get_max_threads()) omp_set_num_threads(previous_);
}
#endif

dnnl::memory::data_type dnnl_type(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

#if DNNL_VERSION_MAJOR >= 3
dnnl::memory::data_type data_type(const dnnl::memory::desc& layout) { return layout.get_data_type(); }

dnnl::memory::desc with_data_type(const dnnl::memory::desc& layout, dnnl::memory::data_type type) {
  return {layout.get_dims(), type, layout.get_strides()};
}
#else
dnnl::memory::data_type data_type(const dnnl::memory::desc& layout) { return layout.data_type(); }

dnnl::memory::desc with_data_type(const dnnl::memory::desc& layout, dnnl::memory::data_type type) {
  dnnl::memory::desc copy = layout;
  copy.data.data_type = dnnl::memory::convert_to_c(type);
  return copy;
}
#endif

dnnl::primitive_attr dnnl_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

bool is_reference(const char* implementation) { return std::string_view(implementation).starts_with("ref"); }

DnnlPrimitive::DnnlPrimitive(const dnnl::primitive& primitive, std::vector<Argument> arguments,
                             const dnnl::memory::desc& scratchpad, std::string implementation)
    : primitive_(primitive),
      threads_(DnnlThreads::current()),
      arguments_(std::move(arguments)),
      workspace_(scratchpad.get_size()),
      implementation_(std::move(implementation)) {
  arguments_.push_back({DNNL_ARG_SCRATCHPAD, scratchpad});
  idle_sets_.reserve(4);
  idle_sets_.push_back(take_memory_set());
}

DnnlPrimitive::MemorySet DnnlPrimitive::take_memory_set() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_sets_.empty()) {
      MemorySet set = std::move(idle_sets_.back());
      idle_sets_.pop_back();
      return set;
    }
  }
  MemorySet set;
  set.reserve(arguments_.size());
  for (const Argument& argument : arguments_) set.emplace_back(argument.layout, dnnl_engine(), nullptr);
  return set;
}

void DnnlPrimitive::give_back(MemorySet set) const {
  const std::lock_guard lock(mutex_);
  idle_sets_.push_back(std::move(set));
}

void DnnlPrimitive::run(std::span<const void* const> pointers, void* scratchpad) const {
  constexpr std::size_t kMaxArguments = 6;
  if (pointers.size() + 1 != arguments_.size() || arguments_.size() > kMaxArguments)
    throw InternalError("a oneDNN primitive got another number of arguments than it has");
  const DnnlThreads threads(threads_);
  MemorySet set = take_memory_set();
  std::array<dnnl_exec_arg_t, kMaxArguments> arguments;
  const auto bind = [&](std::size_t i, const void* pointer) {
    set[i].set_data_handle(const_cast<void*>(pointer));  // oneDNN has no read-only memory
    arguments[i] = {arguments_[i].number, set[i].get()};
  };
  std::size_t i = 0;
  for (const void* pointer : pointers) bind(i++, pointer);
  bind(i, scratchpad);
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), dnnl_stream().get(),
                                                      static_cast<int>(arguments_.size()), arguments.data());
  give_back(std::move(set));
  if (status != dnnl_success)
    throw KernelFailure(fmt::format("oneDNN cannot run {}: {}", implementation_, dnnl_status2str(status)));
}

std::unique_ptr<const DnnlPrimitive> make_reorder(const dnnl::memory::desc& from,
                                                  const dnnl::memory::desc& to) {
  const dnnl::reorder::primitive_desc description(dnnl_engine(), from, dnnl_engine(), to, dnnl_attributes());
  return std::make_unique<const DnnlPrimitive>(
      description, dnnl::reorder(description),
      std::vector<DnnlPrimitive::Argument>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

PrimitiveKey::PrimitiveKey(std::initializer_list<std::int64_t> values) {
  if (values.size() >= kMaxNumbers) throw InternalError("a oneDNN primitive's key is too long");
  std::copy(values.begin(), values.end(), numbers.begin());
  numbers.back() = available_threads();
}

namespace {

struct KeyHash {
  std::size_t operator()(const PrimitiveKey& key) const {
    std::uint64_t hash = 0;
    for (const std::int64_t number : key.numbers) {
      hash = (hash ^ static_cast<std::uint64_t>(number)) * 0x9E3779B97F4A7C15U;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

constexpr std::size_t kCapacity = 1024;

// The least recently used entry goes first.
struct Cache {
  using Entries = std::list<std::pair<PrimitiveKey, detail::AnyPrimitive>>;
  std::mutex mutex;
  Entries entries;  // the last used in front
  std::unordered_map<PrimitiveKey, Entries::iterator, KeyHash> places;
};

Cache& cache() {
  static auto* instance = new Cache;  // primitives may still be used at exit
  return *instance;
}

}  // namespace

namespace detail {

void require_unsupported(const dnnl::error& error) {
  if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return;
  throw KernelFailure(fmt::format("oneDNN: {}: {}", error.what(), dnnl_status2str(error.status)));
}

bool find_cached(const PrimitiveKey& key, AnyPrimitive& found) {
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  const auto place = all.places.find(key);
  if (place == all.places.end()) return false;
  all.entries.splice(all.entries.begin(), all.entries, place->second);
  found = place->second->second;
  return true;
}

AnyPrimitive keep_cached(const PrimitiveKey& key, AnyPrimitive made) {
  Cache& all = cache();
  const std::lock_guard lock(all.mutex);
  if (const auto place = all.places.find(key); place != all.places.end()) return place->second->second;
  all.entries.emplace_front(key, made);
  all.places.emplace(key, all.entries.begin());
  if (all.entries.size() > kCapacity) {
    all.places.erase(all.entries.back().first);
    all.entries.pop_back();
  }
  return made;
}

}  // namespace detail

}  // namespace reprise::cpu
