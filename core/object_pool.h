#pragma once
// Memory of one kind of small object, recycled per thread: a training step makes and drops thousands of handles.
#include <cstddef>
#include <new>

#include "reprise/core/thread_local.h"

namespace reprise {

// Blocks may be given back on another thread than the one that took them.
template <class T>
class ObjectPool {
 public:
  static void* take() {
#if !defined(__SANITIZE_ADDRESS__)
    List& list = local();
    if (Block* block = list.head) {
      list.head = block->next;
      --list.count;
      return block;
    }
#endif
    return ::operator new(sizeof(T));
  }

  static void give(void* memory) noexcept {
#if !defined(__SANITIZE_ADDRESS__)
    List& list = local();
    if (list.count < kMaxKept && !list.closed) {
      Block* block = static_cast<Block*>(memory);
      block->next = list.head;
      list.head = block;
      ++list.count;
      if (!list.guarded) guard(list);
      return;
    }
#endif
    ::operator delete(memory);
  }

 private:
  static constexpr int kMaxKept = 4096;
  struct Block {
    Block* next;
  };
  // Trivial, so that it can still be asked while a thread or the program ends: `closed` then sends blocks to delete.
  struct List {
    Block* head;
    int count;
    bool guarded, closed;
  };
  struct Guard {
    ~Guard() {
      List& list = local();
      list.closed = true;
      while (Block* block = list.head) {
        list.head = block->next;
        ::operator delete(block);
      }
    }
  };
  static List& local() {
    REPRISE_HOT_THREAD_LOCAL List list = {};
    return list;
  }
  static void guard(List& list) {
    thread_local Guard guard;
    static_cast<void>(guard);
    list.guarded = true;
  }
};

}  // namespace reprise
