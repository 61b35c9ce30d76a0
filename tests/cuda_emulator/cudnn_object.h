#pragma once
// What the stand-in for cuDNN keeps of descriptors.
#include <cudnn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "reprise/tests/cuda_emulator/elements.h"

namespace reprise::emulator {

// Of the process, for Statistics.
extern std::int64_t cudnn_plans, cudnn_runs;

struct Attribute {
  cudnnBackendAttributeType_t type;
  std::int64_t count;
  std::vector<std::byte> bytes;
};

struct Object {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes = {};
  // Copies of the descriptors that were set: the caller may destroy his.
  std::map<int, std::vector<std::shared_ptr<Object>>> parts = {};

  template <class T>
  std::vector<T> values(int name) const {
    const Attribute& attribute = attributes.at(name);
    std::vector<T> result(attribute.bytes.size() / sizeof(T));
    std::memcpy(result.data(), attribute.bytes.data(), attribute.bytes.size());
    return result;
  }
  template <class T>
  T value(int name) const {
    return values<T>(name).at(0);
  }
  bool is(int name) const {
    return attributes.contains(name) && attributes.at(name).bytes.at(0) != std::byte{0};
  }
  const Object& part(int name) const { return *parts.at(name).at(0); }
};

// What an attribute says; integers and truth values, which lie nowhere, are held in f32.
cudaDataType element_type(const Object& object, int name);

// A tensor of rank 4 as cuDNN sees it.
struct Tensor {
  cudaDataType type;
  std::int64_t id;
  std::array<std::int64_t, 4> extents, strides;
  std::int64_t alignment;  // of where it begins, in bytes
  bool is_virtual, by_value;
  void* data = nullptr;

  explicit Tensor(const Object& object);
  std::int64_t elements() const;  // from the first to the last
  std::int64_t numel() const { return extents[0] * extents[1] * extents[2] * extents[3]; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of_element(type); }
  std::int64_t at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
    return a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3];
  }
};

}  // namespace reprise::emulator
