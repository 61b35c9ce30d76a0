#pragma once
// Named tensors in one file, in the safetensors format (https://huggingface.co/docs/safetensors), which PyTorch's
// safetensors.torch.save_file and load_file read and write:
//
//   u64 little-endian: bytes of the header
//   the header: JSON, {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//                      "__metadata__": {"key": "value", ...}}; padded with spaces to a multiple of 8 bytes
//   the data: little-endian, row-major, at [begin, end) from the end of the header, without gaps or overlaps
//
// Nothing in a file is trusted: lengths, offsets and shapes are checked against each other and against the file's
// size before anything is allocated. FileError names file and offset.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise {

struct SafetensorsEntry {
  std::string name;
  ValueInfo info;            // on the CPU
  std::uint64_t offset = 0;  // of its data, from the beginning of the file
};
// A tensor that Reprise cannot hold, because of its dtype or its rank. The others of the file can be read all the same.
struct SafetensorsUnreadable {
  std::string name;
  std::string reason;  // "has dtype \"I16\", which is not supported"
};
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::vector<SafetensorsUnreadable> unreadable;
  std::map<std::string, std::string> metadata;
};

SafetensorsHeader read_safetensors_header(const std::string& path);
// One tensor, by an entry of the file's header. FileError if the file does not contain the entry's bytes (any more).
// UserError for an entry of another device than the CPU, and in a dry run.
Tensor read_safetensors(const std::string& path, const SafetensorsEntry& entry);

// Written as OutputFile writes: a failure or a process that dies leaves the old file whole. Names are unique
// (UserError). UserError in a dry run.
void write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace reprise
