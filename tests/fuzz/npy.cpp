// NumPy's files, versions 1.0 to 3.0.
#include "reprise/core/tensor.h"
#include "reprise/tests/fuzz/fuzz_target.h"

namespace reprise::fuzz {

void read_input(std::string_view bytes) {
  const InputFile file(bytes);
  const Tensor tensor = load_npy(file.path());
  const std::string copy = written([&](const std::string& path) { save_npy(tensor, path); });
  const InputFile second(copy);
  require(load_npy(second.path()).info() == tensor.info(), "a written array is another one");
}

std::vector<std::string> seeds() {
  std::vector<std::string> list;
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::i64, DType::u8, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 4}})
      list.push_back(
          written([&](const std::string& path) { save_npy(Tensor::ones(shape, {.dtype = dtype}), path); }));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }";
  for (const char version : {'\2', '\3'})
    list.push_back(std::string("\x93NUMPY") + version + std::string(1, '\0') +
                   std::string({static_cast<char>(header.size()), 0, 0, 0}) + header + "abcd");
  return list;
}

}  // namespace reprise::fuzz
