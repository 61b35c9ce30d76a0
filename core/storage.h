#pragma once
// One buffer. Tensors share it; a tape remembers it by slot without keeping it.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "reprise/core/device.h"
#include "reprise/core/memory.h"
#include "reprise/core/ref.h"

namespace reprise {

namespace memory {
class ThreadBudget;
}

// A tape's list of slots, seen from below: told when the last reference to a slot's buffer is gone.
class SlotTable {
 public:
  virtual void forget(std::int32_t slot) noexcept = 0;

 protected:
  ~SlotTable() = default;
};

struct Storage {
  std::atomic<std::int32_t> references{0};
  std::uint32_t version = 0;  // written since: what a tape recorded of an older version may not be read
  void* data = nullptr;       // 64-byte aligned; null in a dry run and for zero bytes
  std::size_t bytes = 0;
  Device device;
  memory::Tag tag = memory::Tag::activation;
  bool dry = false;
  std::uint64_t dry_run = 0;  // the dry run that counts it
  bool counted = true;        // its bytes are in the meter until it dies
  SlotTable* table = nullptr;
  std::int32_t slot = -1;
  memory::ThreadBudget* budget = nullptr;  // of the thread that made it, referenced; null: none

  static void destroy(Storage* storage) noexcept;
};

// Uninitialized bytes, counted under `tag`. In a dry run only counted. Throws OutOfMemory.
Ref<Storage> allocate(std::size_t bytes, Device device, memory::Tag tag);
inline Ref<Storage> allocate(std::size_t bytes, Device device) {
  return allocate(bytes, device, memory::current_tag());
}

// Moves the bytes of a live storage from its tag to another in the meter.
void retag(Storage& storage, memory::Tag tag);

}  // namespace reprise
