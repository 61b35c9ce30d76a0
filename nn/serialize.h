#pragma once
// Weights in files: safetensors (core/safetensors.h), which PyTorch users read and write with safetensors.torch.
//
// PyTorch keeps convolution weights as [out, in / groups, h, w] and images as NCHW, Reprise as [out, h, w, in / groups]
// and NHWC. The options from_pytorch and to_pytorch convert. A parameter of rank 4 is taken for a convolution's weight. A
// linear weight that reads a flattened image has its columns reordered if `flattened` names it.
//
// The shapes cannot tell the layouts apart: the weight of a 3x3 convolution of 3 channels is [out, 3, 3, 3] in both. So a
// file says its layout in its metadata. nn::save writes "layout": "reprise", or "format": "pt" with to_pytorch. A parameter
// of rank 4 loads only from a file of "layout": "reprise" or with from_pytorch.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/nn/module.h"

namespace reprise::nn {

struct LoadOptions {
  // The name in the file of the module's `name`; without: the same.
  std::function<std::string(std::string_view name)> rename = {};
  // Every parameter and buffer must be in the file and everything in the file must be in the module (but PyTorch's
  // num_batches_tracked).
  bool strict = true;
  bool from_pytorch = false;
  // For from_pytorch: the module's name of a linear weight that reads a flattened image, and the image's channels, at
  // least 1.
  std::map<std::string, std::int64_t> flattened = {};
};

struct SaveOptions {
  bool to_pytorch = false;
  std::map<std::string, std::int64_t> flattened = {};  // for to_pytorch, as in LoadOptions
};

// The result of a load.
struct LoadResult {
  std::vector<std::string> loaded;   // the module's names
  std::vector<std::string> missing;  // the module's names that the file lacks: they keep their values
  std::vector<std::string>
      unexpected;  // the file's names that the module lacks, but PyTorch's num_batches_tracked
};

// Puts the file's values into the module's parameters and buffers, converting floating dtypes. A tied weight may be in
// the file under any or all of its names, with the same value. FileError when the file is unreadable or not what it says.
// UserError that lists missing names, unexpected names, shapes and dtypes that differ, and convolution weights of a file
// that does not say its layout. UserError if nothing was loaded, also with strict = false. When it throws, nothing has
// changed.
LoadResult load(Module& module, const std::string& path, LoadOptions options = {});

// Parameters and buffers; a tied weight once. The file is written aside and renamed.
void save(Module& module, const std::string& path, SaveOptions options = {});

}  // namespace reprise::nn
