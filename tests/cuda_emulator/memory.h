#pragma once
// Device memory, and page-locked memory of the host: each allocation ends at a page that nobody may touch, is filled with 0xff (NaN in every floating type)
// when it is made and when it is released, and its addresses are never used again.
#include <cstddef>
#include <map>
#include <optional>

namespace reprise::emulator {

class GuardedMemory {
 public:
  GuardedMemory();
  // Of one of the devices; null: none left.
  void* allocate(std::size_t bytes, int device = 0);
  // False where `data` is not the start of a live allocation, or where bytes behind its end were written.
  bool release(void* data);
  bool contains(const void* data, std::size_t bytes) const;  // inside one live allocation
  bool has_address(const void* data) const;                  // live, released or a guard
  std::optional<int> device_of(const void* data) const;      // none: not live
  std::size_t live() const { return live_bytes_; }
  std::size_t live(int device) const;
  std::size_t peak() const { return peak_bytes_; }

  // While the host is locked out, a device's memory is open between these two.
  void lock_host_out(bool locked);
  void open(int device);
  void close(int device);

 private:
  struct Block {
    std::size_t bytes;  // as asked for
    std::byte* first_page;
    std::size_t page_bytes;  // without the guard
    int device;
  };
  using Live = std::map<const std::byte*, Block>;
  Live::const_iterator find(const void* data) const;  // the allocation that begins at or before it
  void protect(int device, int rights);

  std::byte* base_;
  std::byte* next_;
  Live live_;
  std::size_t live_bytes_ = 0, peak_bytes_ = 0;
  bool locked_ = false;
  std::map<int, int> opened_;  // how many times, by device
};

GuardedMemory& device_memory();
GuardedMemory& page_locked_memory();

}  // namespace reprise::emulator
