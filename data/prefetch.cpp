#include "reprise/data/prefetch.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "reprise/core/memory.h"

namespace reprise::data {

struct Prefetch::State {
  std::function<Batch(std::int64_t)> make;
  std::int64_t next = 0, last = 0;

  // The one place between the two threads; empty means that the thread may fill it.
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Batch> ready;
  std::exception_ptr failure;
  bool finished = false;  // nothing comes after `ready`
  bool stop = false;
  std::thread thread;

  Batch make_next() {
    const memory::TagScope tag(memory::Tag::data);
    return make(next++);
  }

  void run() {
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stop || !ready; });
        if (stop) return;
      }
      std::optional<Batch> batch;
      std::exception_ptr error;
      if (next < last) {
        try {
          batch = make_next();
        } catch (...) {
          error = std::current_exception();
        }
      }
      const bool end = !batch;
      {
        const std::lock_guard lock(mutex);
        ready = std::move(batch);
        failure = std::move(error);
        finished = end;
      }
      changed.notify_all();
      if (end) return;
    }
  }
};

Prefetch::Prefetch(std::function<Batch(std::int64_t)> make, std::int64_t first, std::int64_t last,
                   bool threaded)
    : state_(std::make_unique<State>()) {
  state_->make = std::move(make);
  state_->next = first;
  state_->last = last;
  if (threaded && first < last) state_->thread = std::thread([s = state_.get()] { s->run(); });
}

Prefetch::~Prefetch() {
  if (!state_->thread.joinable()) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

std::optional<Batch> Prefetch::next() {
  State& s = *state_;
  if (!s.thread.joinable()) {
    if (s.next >= s.last) return {};
    try {
      return s.make_next();
    } catch (...) {
      s.next = s.last;
      throw;
    }
  }
  std::unique_lock lock(s.mutex);
  s.changed.wait(lock, [&] { return s.ready || s.finished; });
  if (!s.ready) {
    if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
    return {};
  }
  std::optional<Batch> batch = std::exchange(s.ready, std::nullopt);
  lock.unlock();
  s.changed.notify_all();
  return batch;
}

}  // namespace reprise::data
