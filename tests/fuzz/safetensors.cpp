// Safetensors files: the header, every tensor, and weights loaded into a module in both layouts.
#include "reprise/core/safetensors.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {
namespace {

struct Net : nn::Module {
  nn::Conv2d conv{2, 2, {.kernel_size = 1}};
  nn::BatchNorm2d norm{2};
  nn::Linear fc{2, 2};
  void visit(nn::Visitor& visitor) override {
    visitor("conv", conv);
    visitor("norm", norm);
    visitor("fc", fc);
  }
};

void load(const std::string& path, nn::LoadOptions options) {
  static Net net;
  try {
    nn::load(net, path, std::move(options));
  } catch (const InternalError&) {
    throw;
  } catch (const Error&) {
    // The other way of loading is tried all the same.
  }
}

}  // namespace

void read_input(std::string_view bytes) {
  const InputFile file(bytes);
  load(file.path(), {});
  load(file.path(), {.strict = false});
  load(file.path(), {.strict = false, .from_pytorch = true, .flattened = {{"fc.weight", 2}}});
  const SafetensorsHeader header = read_safetensors_header(file.path());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const SafetensorsEntry& entry : header.entries)
    tensors.emplace_back(entry.name, read_safetensors(file.path(), entry));
  // The tensors can be written and read again.
  if (tensors.size() > 20) return;
  const std::string copy =
      written([&](const std::string& path) { write_safetensors(path, tensors, header.metadata); });
  const InputFile second(copy);
  const SafetensorsHeader same = read_safetensors_header(second.path());
  require(same.entries.size() == header.entries.size(), "a written file has other tensors");
  require(same.metadata == header.metadata, "a written file has other metadata");
}

std::vector<std::string> seeds() {
  manual_seed(1);
  Net net;
  return {written([&](const std::string& path) { nn::save(net, path); }),
          written([&](const std::string& path) { nn::save(net, path, {.to_pytorch = true}); }),
          written([](const std::string& path) {
            write_safetensors(path,
                              {{"a", Tensor::ones({2, 3}, {.dtype = DType::bf16})},
                               {"b", Tensor::zeros({0, 3})},
                               {"c", Tensor::full({}, 1, {.dtype = DType::boolean})},
                               {"d", Tensor::ones({3}, {.dtype = DType::i64})}},
                              {{"format", "pt"}});
          }),
          std::string("\x3c\0\0\0\0\0\0\0", 8) +
              R"({"w":{"dtype":"I16","shape":[2,1],"data_offsets":[0,4]}}    )" + "abcd"};
}

}  // namespace reprise::fuzz
