#include "reprise/core/storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "reprise/core/dry_overlay.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/lifetime.h"
#include "reprise/core/meter.h"
#include "reprise/core/object_pool.h"
#include "reprise/core/thread_budget.h"

namespace reprise {

namespace {

Ref<Storage> make_storage(Device device, memory::Tag tag) {
  Ref<Storage> storage(new (ObjectPool<Storage>::take()) Storage);
  storage->device = device;
  storage->tag = tag;
  return storage;
}

// How many bytes too many these would be: for the process's limit, and for this thread's budget.
std::size_t bytes_missing(const memory::Meter& meter, std::size_t bytes, Device device, memory::Tag tag) {
  const std::size_t missing = meter.missing(bytes);
  const memory::ThreadBudget* budget = memory::thread_budget();
  if (!budget || budget->device() != device || tag == memory::Tag::data) return missing;
  return std::max(missing, budget->missing(bytes));
}

std::string over_budget(std::size_t bytes) {
  const memory::ThreadBudget* budget = memory::thread_budget();
  if (!budget || budget->missing(bytes) == 0) return {};
  return fmt::format("over this thread's budget of {} bytes, of which {} are in use", budget->limit(),
                     budget->used());
}

// Bytes first, then the count, so that a failure of either changes neither.
void* take_counted(std::size_t bytes, Device device, memory::Tag tag) {
  memory::Meter& meter = memory::real_meters().of(device);
  DeviceServices& backend = services(device);
  for (;;) {
    std::size_t missing = bytes_missing(meter, bytes, device, tag);
    const char* reason = "";
    if (missing == 0) {
      void* data = nullptr;
      try {
        data = backend.allocate(bytes);
      } catch (const OutOfMemory&) {
        missing = bytes;
        reason = "the system has no more, or blocks already in use leave no room";
      }
      if (data) {
        if (meter.add(bytes, tag)) return data;
        backend.release(data, bytes);  // another thread was faster
        missing = bytes_missing(meter, bytes, device, tag);
      }
    }
    if (memory::relieve_pressure(device, missing)) continue;
    const std::string budget = over_budget(bytes);
    memory::throw_out_of_memory(bytes, device, budget.empty() ? reason : budget.c_str());
  }
}

}  // namespace

Ref<Storage> make_dry_storage(std::size_t bytes, Device device, memory::Tag tag, bool counted) {
  Ref<Storage> storage = make_storage(device, tag);
  storage->dry = true;
  storage->dry_run = current_dry_run();
  storage->bytes = bytes;
  storage->counted = counted;
  return storage;
}

Ref<Storage> allocate(std::size_t bytes, Device device, memory::Tag tag) {
  memory::count_allocation(bytes, device);
  if (memory::Meters* dry = memory::dry_meters()) {
    memory::Meter& meter = dry->of(device);
    Ref<Storage> storage = make_dry_storage(bytes, device, tag, true);
    meter.add(bytes, tag);
    if (LifetimeListener* listener = lifetime_listener()) listener->allocated(*storage);
    return storage;
  }
  Ref<Storage> storage = make_storage(device, tag);
  if (bytes > 0) {
    storage->data = take_counted(bytes, device, tag);
  } else {
    static_cast<void>(services(device));  // the device must be there
  }
  storage->bytes = bytes;
  memory::count_for_thread(*storage);
  if (LifetimeListener* listener = lifetime_listener()) listener->allocated(*storage);
  return storage;
}

void Storage::destroy(Storage* storage) noexcept {
  if (storage->table) storage->table->forget(storage->slot);
  if (storage->bytes > 0) {
    // A buffer from before a dry run that the dry step lets go of leaves the dry run's count as well as the real one.
    memory::Meters* dry = memory::dry_meters();
    if (dry && storage->counted && (!storage->dry || storage->dry_run == current_dry_run()))
      dry->of(storage->device).subtract(storage->bytes, storage->tag);
    if (!storage->dry) {
      memory::uncount_for_thread(*storage);
      services(storage->device).release(storage->data, storage->bytes);
      memory::real_meters().of(storage->device).subtract(storage->bytes, storage->tag);
    }
  }
  storage->~Storage();
  ObjectPool<Storage>::give(storage);
}

void retag(Storage& storage, memory::Tag tag) {
  if (storage.tag == tag) return;
  memory::Meters* dry = memory::dry_meters();
  if (dry && storage.counted && (!storage.dry || storage.dry_run == current_dry_run()))
    dry->of(storage.device).move(storage.bytes, storage.tag, tag);
  if (!storage.dry) {
    memory::real_meters().of(storage.device).move(storage.bytes, storage.tag, tag);
    memory::retag_for_thread(storage, tag);
  }
  storage.tag = tag;
}

}  // namespace reprise
