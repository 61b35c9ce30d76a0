// Which tape a thread records on, how long a tape lives, and who hears of it. Tapes, recordings and NoGrads may end in
// any order, on any thread, and inside user code that the engine calls.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/thread_local.h"

namespace reprise {
namespace {

REPRISE_HOT_THREAD_LOCAL bool thread_ends = false;

const char* name(Event event) {
  switch (event) {
    case Event::forward:
      return "forward";
    case Event::replay:
      return "replay";
    case Event::backward:
      return "backward";
    case Event::drop:
      return "drop";
    case Event::offload:
      return "offload";
    case Event::fetch:
      return "fetch";
    case Event::leaf_gradient:
      return "leaf_gradient";
  }
  return "";
}

// While observers are told, their ops are not recorded, and what the engine was doing does not forbid them.
class Telling {
 public:
  explicit Telling(TapeState& tape)
      : tape_(tape), thread_(this_thread()), user_code_(std::exchange(thread_.user_code, nullptr)) {
    ++thread_.paused;
    ++tape_.telling;
  }
  ~Telling() {
    --thread_.paused;
    thread_.user_code = user_code_;
    if (--tape_.telling == 0) std::erase(tape_.observers, nullptr);
  }
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;

 private:
  TapeState& tape_;
  ThreadRecording& thread_;
  const char* user_code_;
};

// A tape of another run, dry or real, than the present one does not record.
TapeState* in_another_run(const TapeState& tape) {
  if (tape.dry_run == 0) return nullptr;
  throw UserError(
      "the tape that records on this thread was opened in a dry run that has ended: end the tape with the "
      "dry run");
}

}  // namespace

REPRISE_HOT_THREAD_LOCAL constinit ThreadRecording* this_threads_recording = nullptr;

// Made when a thread first asks; the thread's own reference goes with the thread. A tape that dies even later, with
// another thread_local, gets one that nobody takes back.
ThreadRecording& begin_thread() {
  struct Guard {
    Ref<ThreadRecording> thread{new ThreadRecording};
    ~Guard() {
      this_threads_recording = nullptr;
      thread_ends = true;
    }
  };
  if (thread_ends) {
    this_threads_recording = new ThreadRecording;
    this_threads_recording->references = 1;
  } else {
    thread_local const Guard guard;
    this_threads_recording = guard.thread.get();
  }
  return *this_threads_recording;
}

TapeState* recording_tape_even_if_paused() { return this_thread().tape.load(std::memory_order_relaxed); }

TapeState* recording_tape() {
  ThreadRecording& thread = this_thread();
  if (thread.user_code)
    throw UserError(
        fmt::format("an op ran, or a region was opened, inside {}, which must run none: do it outside",
                    thread.user_code));
  if (thread.paused.load(std::memory_order_relaxed) > 0) return nullptr;
  TapeState* const tape = thread.tape.load(std::memory_order_relaxed);
  if (!tape && thread.ended_elsewhere.load(std::memory_order_relaxed)) {
    thread.ended_elsewhere = false;
    throw UserError(
        "the tape that recorded on this thread, or its recording, was ended on another thread or by an "
        "observer: end "
        "it on the thread that records, outside observers");
  }
  return !tape || tape->dry_run == current_dry_run() ? tape : in_another_run(*tape);
}

void stop_recording(TapeState& tape) noexcept {
  TapeState* expected = &tape;
  if (!tape.owner->tape.compare_exchange_strong(expected, nullptr)) return;
  const bool by_observer =
      tape.telling > 0 && tape.busy == tape.telling;  // and no engine call is there to say so
  if (by_observer || tape.owner.get() != &this_thread()) tape.owner->ended_elsewhere = true;
}

void TapeState::end() noexcept {
  if (life->ended.exchange(true)) return;
  stop_recording(*this);
  clear_observers();
}

void TapeState::check_usable(const char* what) const {
  if (owner.get() != &this_thread())
    throw UserError(
        fmt::format("{}: this tape was opened on another thread; a tape is used by one thread", what));
  if (const char* code = this_thread().user_code)
    throw UserError(fmt::format("{}: called inside {}: call it outside", what, code));
  if (dry_run == current_dry_run()) return;
  throw UserError(
      dry_run == 0
          ? fmt::format("{}: this tape was opened before the dry run that is active now, which leaves no "
                        "trace on it: open a tape inside the dry run",
                        what)
          : fmt::format("{}: this tape was opened in a dry run that has ended: its values have no bytes",
                        what));
}

void TapeState::check_not_doomed(const char* what) const {
  if (doomed)
    throw UserError(
        fmt::format("{}: the tape was ended by user code that the tape itself had called (an op, a "
                    "policy or an observer): end the tape outside",
                    what));
}

void TapeState::throw_pending_error() {
  if (!pending_error.empty()) throw UserError(std::exchange(pending_error, {}));
}

void TapeState::add_observer(Observer& observer) {
  if (std::find(observers.begin(), observers.end(), &observer) == observers.end())
    observers.push_back(&observer);
}

void TapeState::remove_observer(Observer& observer) {
  const auto found = std::find(observers.begin(), observers.end(), &observer);
  if (found == observers.end()) return;
  if (telling > 0)
    *found = nullptr;
  else
    observers.erase(found);
}

void TapeState::clear_observers() noexcept {
  if (telling > 0)
    std::fill(observers.begin(), observers.end(), nullptr);
  else
    observers.clear();
}

// An observer may add and remove observers, itself too, and may end the tape.
void TapeState::tell(Event event, Index n, const Tensor* leaf, const Tensor* gradient) noexcept {
  const Busy busy_here(this);
  const Telling now(*this);
  const auto keep_error = [&](const char* message) {
    if (pending_error.empty())
      pending_error =
          fmt::format("an observer threw at the {} event of node {} ({}): an observer must not throw",
                      name(event), n, message);
  };
  for (std::size_t i = 0; i < observers.size(); ++i) {
    if (!observers[i]) continue;
    try {
      observers[i]->on(event, NodeId{n}, leaf, gradient);
    } catch (const std::exception& error) {
      keep_error(error.what());
    } catch (...) {
      keep_error("not a std::exception");
    }
  }
}

NoGrad::NoGrad() : thread_(&this_thread()) {
  thread_->references.fetch_add(1, std::memory_order_relaxed);
  ++thread_->paused;
}
NoGrad::~NoGrad() {
  --thread_->paused;
  if (thread_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) ThreadRecording::destroy(thread_);
}

}  // namespace reprise
