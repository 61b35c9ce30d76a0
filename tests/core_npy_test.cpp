// NumPy files: written ones read back, known ones read, broken ones refused by name and offset.
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <string>

#include "reprise/core/memory.h"
#include "reprise/core/tensor.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;
using Catch::Contains;

namespace {

// Its own file a test case, so that they may run at once.
class NpyFile : public TemporaryFile {
 public:
  explicit NpyFile(const std::string& name) : TemporaryFile(name + ".npy") {}
  void write(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
  std::string read() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

std::string npy(const std::string& header, const std::string& data) {
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

}  // namespace

TEST_CASE("every dtype that NumPy has is saved and loaded bit for bit", "[readers]") {
  const NpyFile file("dtypes");
  for (const DType dtype :
       {DType::f32, DType::f64, DType::f16, DType::i32, DType::i64, DType::u8, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{0}, Shape{2, 1, 3, 1, 1, 1, 2, 2}}) {
      INFO(to_string(dtype) << to_string(shape));
      const Tensor x = Tensor::empty(shape, {.dtype = dtype});
      for (std::size_t i = 0; i < x.bytes(); ++i)
        x.impl()->data()[i] = static_cast<std::byte>(dtype == DType::boolean ? i % 2 : 37 * i + 11);
      save_npy(x, file.path());
      const Tensor y = load_npy(file.path());
      REQUIRE(y.info() == x.info());
      CHECK(std::equal(x.impl()->data(), x.impl()->data() + x.bytes(), y.impl()->data()));
      CHECK(file.read().find('\n') % 64 == 63);  // the elements start on a multiple of 64
    }
  CHECK_THROWS_WITH(save_npy(Tensor::zeros({2}, {.dtype = DType::bf16}), file.path()),
                    Contains("NumPy has no bf16"));
}

TEST_CASE("a file that NumPy wrote is read", "[readers]") {
  // numpy.save("x.npy", numpy.array([[1, 2, 3], [4, 5, 6]], "<i4")), NumPy 1.24
  const NpyFile file("numpy");
  std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }";
  header += std::string(118 - header.size() - 1, ' ') + '\n';
  std::string data;
  for (char i = 1; i <= 6; ++i) data += std::string({i, 0, 0, 0});
  file.write(npy(header, data));
  const Tensor x = load_npy(file.path());
  CHECK(x.dtype() == DType::i32);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6});
  save_npy(x, file.path());
  CHECK(file.read() == npy(header, data));  // and ours is the same file
}

TEST_CASE(".npy files of versions 2.0 and 3.0 are read", "[readers]") {
  const NpyFile file("versions");
  const std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2L, 1), }";
  for (const char version : {'\2', '\3'})
    // Version 2.0 exists for headers of more than 65535 bytes.
    for (const std::size_t length : {header.size(), std::size_t{70000}}) {
      INFO(int{version} << " " << length);
      std::string bytes = "\x93NUMPY";
      bytes += version;
      bytes += '\0';
      for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(length >> shift & 0xFF);
      bytes +=
          header + std::string(length - header.size(), ' ') + std::string("\x07\0\0\0\xff\xff\xff\xff", 8);
      file.write(bytes);
      const Tensor x = load_npy(file.path());
      CHECK(x.shape() == Shape{2, 1});
      CHECK(x.to_vector() == std::vector<double>{7, -1});
    }
}

TEST_CASE("broken .npy files are refused, naming file and offset", "[readers]") {
  const NpyFile file("broken");
  const std::string data(24, '\1');
  const auto refused = [&](const std::string& bytes, const std::string& why) {
    file.write(bytes);
    INFO(bytes);
    CHECK_THROWS_AS(load_npy(file.path()), FileError);
    CHECK_THROWS_WITH(load_npy(file.path()), Contains(file.path()) && Contains("offset ") && Contains(why));
  };
  const auto with = [&](const std::string& header) { return npy(header + "\n", data); };
  refused("", "offset 0: the file ends");
  refused("\x93NUMP", "offset 5");
  refused(std::string(100, 'x'), "offset 0: not an .npy file");
  refused(std::string("\x93NUMPY\x04\x00\x10\x00\x00\x00", 12) + std::string(60, ' '), "version 4.0");
  refused(std::string("\x93NUMPY\x02\x01\x10\x00\x00\x00", 12) + std::string(60, ' '), "version 2.1");
  refused(std::string("\x93NUMPY\x02\x00\x10\x00\x00", 11), "first 12 bytes");
  refused(std::string("\x93NUMPY\x03\x00\xff\xff\xff\xff", 12) + std::string(60, ' '), "4294967295");
  refused(npy("{'descr': '', 'fortran_order': False, 'shape': (1,), }", "abcd"), "dtype ''");
  refused(std::string("\x93NUMPY\x01\x00\xFF\xFF", 10) + "{}", "a header of 65535 bytes");
  refused(with("{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }"), "big-endian");
  refused(with("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }"), "<c8");
  refused(with("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"), "Fortran order");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }"), "needs 7 elements");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }"), "24 bytes follow");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }"), "2^48");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,), }"), "2^48");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
          "an extent expected");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }"),
          "2^48");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (-6,), }"), "an extent expected");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 6), }"),
          "at most 8");
  refused(with("{'descr': '<f4', 'fortran_order': False, }"), "lacks");
  refused(with("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,), }"), "repeated key");
  refused(with("{'descr': '<f4, 'fortran_order': False, 'shape': (6,), }"), "offset");
  refused(with("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (6,), }"), "True or False");
  refused(with("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), } x"), "something follows");
  refused(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }\n", "\1\2"), "neither 0 nor 1");
  // 2^62 elements of 4 bytes are 2^64 bytes, which a careless product takes for none.
  refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }\n", ""), "2^48");
  CHECK_THROWS_WITH(load_npy(file.path() + ".missing"), Contains(".missing"));
  CHECK_THROWS_AS(save_npy(Tensor::zeros({1}), "/nonexistent/folder/x.npy"), FileError);
}

TEST_CASE("no .npy file, however damaged, does anything but load or be refused", "[readers]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const NpyFile file("damaged");
  save_npy(Tensor::randn({3, 5}), file.path());
  const std::string whole = file.read();
  int loaded = 0, refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    file.write(bytes);
    memory::reset_peak(Device::cpu());
    try {
      const Tensor x = load_npy(file.path());
      ++loaded;
      CHECK(x.bytes() <= bytes.size());
    } catch (const FileError&) {
      ++refused;
    }
    // Nothing large was allocated on the word of a header.
    CHECK(memory::peak(Device::cpu()) <= memory::live(Device::cpu()) + bytes.size());
  };
  for (std::size_t length = 0; length < whole.size(); ++length) attempt(whole.substr(0, length));
  CHECK(loaded == 0);
  const std::string alphabet = "0123456789,()'{}: <>|fiub\n";
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (std::uint32_t change = 0; change <= random() % 3; ++change) {
      const std::size_t place = random() % 128;
      const char letter = i % 2 ? alphabet[random() % alphabet.size()] : static_cast<char>(random());
      if (random() % 4 == 0)
        bytes.insert(place, 1, letter);
      else
        bytes[place] = letter;
    }
    attempt(bytes);
  }
  CHECK(loaded > 0);
  CHECK(refused > 0);
}
