#pragma once
// The values of scope objects of one thread, which may end in any order and on any thread: the youngest that lives is in
// force. One list per thread and kind (thread_local).
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace reprise {

template <class T>
struct ScopeEntry {
  T value;
  std::atomic<bool> ended{false};  // set by the scope object's destructor
  explicit ScopeEntry(T v) : value(std::move(v)) {}
};

template <class T>
class ThreadScopes {
 public:
  std::shared_ptr<ScopeEntry<T>> begin(T value) {
    return entries_.emplace_back(std::make_shared<ScopeEntry<T>>(std::move(value)));
  }
  // Null: no scope lives.
  T* current() {
    while (!entries_.empty() && entries_.back()->ended) entries_.pop_back();
    return entries_.empty() ? nullptr : &entries_.back()->value;
  }

 private:
  std::vector<std::shared_ptr<ScopeEntry<T>>> entries_;
};

}  // namespace reprise
