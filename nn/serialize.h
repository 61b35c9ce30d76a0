#pragma once
// Weights in files: safetensors (core/safetensors.h), which PyTorch users read and write with safetensors.torch.
//
// PyTorch keeps convolution weights as [out, in / groups, h, w] and images as NCHW, Reprise as [out, h, w, in / groups]
// and NHWC. The options from_pytorch and to_pytorch convert: a parameter of rank 4 is taken for a convolution's weight,
// and a linear layer's that reads a flattened image has its columns reordered when `flattened` names it.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "reprise/nn/module.h"

namespace reprise::nn {

struct LoadOptions {
  // The name in the file of the module's `name`; without: the same.
  std::function<std::string(std::string_view name)> rename = {};
  // Every parameter and buffer must be in the file and everything in the file must be in the module (but PyTorch's
  // num_batches_tracked).
  bool strict = true;
  bool from_pytorch = false;
  // For from_pytorch: the module's name of a linear weight that reads a flattened image, and the image's channels.
  std::map<std::string, std::int64_t> flattened = {};
};

struct SaveOptions {
  bool to_pytorch = false;
  std::map<std::string, std::int64_t> flattened = {};  // as in LoadOptions
};

// Puts the file's values into the module's parameters and buffers, converting floating dtypes; a tied weight may be in
// the file under any or all of its names. FileError when the file is unreadable or not what it says; UserError that
// lists missing names, unexpected names and shapes that differ. When it throws, nothing has changed.
void load(Module& module, const std::string& path, LoadOptions options = {});

// Parameters and buffers; a tied weight once. The file is written aside and renamed.
void save(Module& module, const std::string& path, SaveOptions options = {});

}  // namespace reprise::nn
