#pragma once
// Device memory: each allocation ends at a page that nobody may touch, is filled with 0xff (NaN in every floating type)
// when it is made and when it is released, and its addresses are never used again.
#include <cstddef>
#include <map>

namespace reprise::emulator {

class DeviceMemory {
 public:
  DeviceMemory();
  void* allocate(std::size_t bytes);  // null: none left
  // False where `data` is not the start of a live allocation, or where bytes behind its end were written.
  bool release(void* data);
  bool contains(const void* data, std::size_t bytes) const;  // inside one live allocation
  bool has_address(const void* data) const;                  // live, released or a guard
  std::size_t live() const { return live_bytes_; }
  std::size_t peak() const { return peak_bytes_; }

  // While the host is locked out, memory is open between these two.
  void lock_host_out(bool locked);
  void open();
  void close();

 private:
  struct Block {
    std::size_t bytes;  // as asked for
    std::byte* first_page;
    std::size_t page_bytes;  // without the guard
  };
  void protect(int rights);

  std::byte* base_;
  std::byte* next_;
  std::map<const std::byte*, Block> live_;
  std::size_t live_bytes_ = 0, peak_bytes_ = 0;
  bool locked_ = false;
  int opened_ = 0;
};

DeviceMemory& device_memory();

}  // namespace reprise::emulator
