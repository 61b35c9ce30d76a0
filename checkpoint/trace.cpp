#include "reprise/checkpoint/trace.h"

#include <map>
#include <unordered_map>

#include "reprise/autograd/tape_state.h"
#include "reprise/checkpoint/costs.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/lifetime.h"
#include "reprise/core/meter.h"

namespace reprise::checkpoint {
namespace {

// Listens to a tape and to the thread's allocations and handles. The tape's own values keep its numbering; buffers
// that user code made beside the tape are numbered after them, once that number is known.
class Recorder final : public TapeListener, public LifetimeListener {
 public:
  explicit Recorder(TapeState& tape) : tape_(tape) {
    tape.listener = this;
    set_lifetime_listener(this);
  }
  ~Recorder() override { stop(); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Trace finish(Device device, std::size_t base_bytes) {
    stop();
    Trace trace = trace_of(tape_);
    const Index tape_values = trace.tape_values;
    for (Buffer& buffer : buffers_) {
      const Index number = buffer.slot >= 0
                               ? buffer.slot
                               : static_cast<Index>(tape_.slots.size() + (&buffer - buffers_.data()));
      trace.values.push_back(
          {{static_cast<std::int64_t>(buffer.bytes)}, DType::u8, buffer.device, buffer.bytes, number, -1});
    }
    const auto resolve = [&](Index i) { return i <= kBuffer ? tape_values + (kBuffer - i) : i; };
    trace.events = std::move(events_);
    for (TraceEvent& event : trace.events) event.index = resolve(event.index);
    trace.backwards = std::move(backwards_);
    for (TraceBackward& backward : trace.backwards)
      for (Index& result : backward.results) result = resolve(result);
    for (const auto& [value, had] : had_gradient_)
      trace.values[static_cast<std::size_t>(value)].has_gradient = had;
    trace.device = device;
    trace.base_bytes = base_bytes;
    return trace;
  }

 private:
  // Until the tape's last value is known, buffer number i is written as kBuffer - i.
  static constexpr Index kBuffer = -1000;
  struct Buffer {
    std::size_t bytes;
    Device device;
    Index slot = -1;  // where the tape entered it
  };

  void stop() {
    if (tape_.listener == this) tape_.listener = nullptr;
    if (lifetime_listener() == this) set_lifetime_listener(nullptr);
  }
  bool by_engine() const { return tape_.walking || tape_.inside_engine > 0; }

  Index add_buffer(const Storage& storage) {
    buffers_.push_back({storage.bytes, storage.device});
    const Index number = kBuffer - static_cast<Index>(buffers_.size() - 1);
    buffer_of_[&storage] = number;
    return number;
  }
  Buffer& buffer(Index number) { return buffers_[static_cast<std::size_t>(kBuffer - number)]; }

  void allocated(const Storage& storage) noexcept override {
    if (by_engine() || storage.tag == memory::Tag::data) return;
    events_.push_back({TraceEvent::Kind::allocate, add_buffer(storage)});
  }

  void handle_died(const TensorImpl& impl) noexcept override {
    if (by_engine() || !impl.storage) return;
    if (const Index v = tape_.find_value(impl); v >= 0 && tape_.value(v).leaf.get() != &impl)
      events_.push_back({TraceEvent::Kind::release, v});
    const auto found = buffer_of_.find(impl.storage.get());
    if (found == buffer_of_.end()) return;
    // Is this the last handle? The tape's own reference is not one.
    const Index slot = buffer(found->second).slot;
    const bool held_by_tape = slot >= 0 && tape_.slot(slot).strong.get() == impl.storage.get();
    if (impl.storage->references.load() - (held_by_tape ? 1 : 0) != 1) return;
    events_.push_back({TraceEvent::Kind::release, found->second});
    buffer_of_.erase(found);
  }

  void node(Index n) override {
    for (const Index v : tape_.inputs(tape_.node(n))) enter(v);
    events_.push_back({TraceEvent::Kind::node, n});
  }

  // A value met for the first time: is it one of the user's buffers? Did the leaf hold a gradient?
  void enter(Index v) {
    const Value& value = tape_.value(v);
    if (value.maker >= 0) return;
    const auto found = buffer_of_.find(tape_.slot(value.slot).current);
    if (found != buffer_of_.end()) buffer(found->second).slot = value.slot;
    if (value.leaf) had_gradient_.try_emplace(v, static_cast<bool>(gradient_of(*value.leaf)));
  }

  void backward(const Tensor& loss, std::span<const Index> wanted, bool accumulate,
                const WalkRequest& request) override {
    TraceBackward& call = backwards_.emplace_back();
    call.loss = tape_.find_value(*loss.impl());
    enter(call.loss);
    if (request.seed.defined()) {
      const Storage* storage = request.seed.impl()->storage.get();
      const bool dies_in_walk = request.seed.impl().unique() && request.seed.impl()->storage.unique();
      call.seed = tape_.value_of(request.seed);
      enter(call.seed);
      // A seed that nobody else holds is let go by the walk: the trace has its end before, and who drives the trace makes it
      // for the walk again.
      if (const auto found = buffer_of_.find(storage); dies_in_walk && found != buffer_of_.end()) {
        events_.push_back({TraceEvent::Kind::release, found->second});
        buffer_of_.erase(found);
      }
    }
    call.wanted.assign(wanted.begin(), wanted.end());
    call.accumulate = accumulate;
    call.retain_graph = request.retain_graph;
    call.create_graph = request.create_graph;
    call.allow_unused = request.allow_unused;
    call.eager_commit = request.commit == Commit::eager;
    events_.push_back({TraceEvent::Kind::backward, static_cast<Index>(backwards_.size() - 1)});
  }

  void backward_done(std::span<const Tensor> results) override {
    for (const Tensor& result : results) {
      Index number = -1;
      if (result.defined()) {
        number = tape_.find_value(*result.impl());
        if (number < 0) {
          const auto found = buffer_of_.find(result.impl()->storage.get());
          number = found == buffer_of_.end() ? add_buffer(*result.impl()->storage) : found->second;
        }
      }
      backwards_.back().results.push_back(number);
    }
  }

  TapeState& tape_;
  std::vector<TraceEvent> events_;
  std::vector<TraceBackward> backwards_;
  std::vector<Buffer> buffers_;
  std::unordered_map<const Storage*, Index> buffer_of_;
  std::unordered_map<Index, bool> had_gradient_;
};

Device device_of(const TapeState& tape) {
  for (const Value& value : tape.values)
    if (value.maker >= 0) return value.info.device;
  return Device::cpu();
}

// Live bytes of each device, all tags but data.
std::map<Device, std::size_t> live_without_data() {
  std::map<Device, std::size_t> live;
  const auto count = [&](Device device) {
    for (const auto& [tag, held] : memory::by_tag(device))
      if (tag != memory::to_string(memory::Tag::data)) live[device] += held;
  };
  count(Device::cpu());
  for (int i = 0; i < memory::Meters::kMaxCudaDevices; ++i) count(Device::cuda(i));
  return live;
}

}  // namespace

Trace trace(const Step& step) {
  const DryRun dry;
  Tape tape;
  std::map<Device, std::size_t> base = live_without_data();  // which device the step is on shows later
  Recorder recorder(tape.state());
  tape.state().ignore_regions = true;
  step(tape);
  const Device device = device_of(tape.state());
  Trace traced = recorder.finish(device, base[device]);
  model_costs(traced);
  return traced;
}

}  // namespace reprise::checkpoint
