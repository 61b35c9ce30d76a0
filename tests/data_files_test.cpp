// The file readers: what is written is read, and a file that is truncated, corrupt or mislabeled gives an
// error that says where, never a crash, a wrong answer or a great allocation.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/data/fashion_mnist.h"
#include "reprise/data/idx.h"
#include "reprise/data/input_file.h"
#include "reprise/tests/temporary_folder.h"

using namespace reprise;
using Bytes = std::vector<unsigned char>;

namespace {

struct Folder : TemporaryFolder {
  std::string write(const std::string& name, const Bytes& bytes) const {
    std::string file = *this / name;
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return file;
  }
};

Bytes idx(const std::vector<std::uint32_t>& extents, const Bytes& elements) {
  Bytes bytes = {0, 0, 8, static_cast<unsigned char>(extents.size())};
  for (std::uint32_t extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<unsigned char>(extent >> shift));
  bytes.insert(bytes.end(), elements.begin(), elements.end());
  return bytes;
}

Bytes gzip(const Bytes& content) {
  z_stream stream = {};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, content.size()) + 64);
  stream.next_in = const_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes noise(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  Bytes bytes(count);
  for (auto& b : bytes) b = static_cast<unsigned char>(engine());
  return bytes;
}

Bytes elements_of(const Tensor& tensor) {
  const auto elements = tensor.read<std::uint8_t>();
  return {elements.begin(), elements.end()};
}

std::string error_of(const std::string& path, int rank) {
  try {
    data::read_idx(path, rank);
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

using Catch::Contains;

}  // namespace

TEST_CASE("data: an IDX file is read as it was written, plain, gzip and gzip in several members",
          "[data][readers]") {
  const Folder folder;
  const Bytes elements = noise(3 * 5 * 7, 1), plain = idx({3, 5, 7}, elements);
  Bytes members = gzip(Bytes(plain.begin(), plain.begin() + 40));
  const Bytes second = gzip(Bytes(plain.begin() + 40, plain.end()));
  members.insert(members.end(), second.begin(), second.end());
  for (const Bytes& file : {plain, gzip(plain), members}) {
    const Tensor tensor = data::read_idx(folder.write("images", file), 3);
    CHECK(tensor.shape() == Shape{3, 5, 7});
    CHECK(tensor.dtype() == DType::u8);
    CHECK(elements_of(tensor) == elements);
  }
  CHECK(data::read_idx(folder.write("empty", idx({0, 28, 28}, {})), 3).numel() == 0);
}

TEST_CASE("data: a file cut off anywhere is an error that names it", "[data][readers]") {
  const Folder folder;
  const Bytes plain = idx({4, 6, 6}, noise(4 * 36, 2)), packed = gzip(plain);
  for (const Bytes* whole : {&plain, &packed})
    for (std::size_t length = 0; length < whole->size(); ++length) {
      INFO("cut at " << length << " of " << whole->size());
      const std::string path =
          folder.write("cut", Bytes(whole->begin(), whole->begin() + static_cast<std::ptrdiff_t>(length)));
      const std::string message = error_of(path, 3);
      CHECK_THAT(message, Contains(path));
      CHECK_THAT(message, Contains("byte"));
    }
}

TEST_CASE("data: zeros after gzip data are padding, anything else is an error", "[data][readers]") {
  const Folder folder;
  const Bytes elements = noise(300, 8), plain = idx({300}, elements), packed = gzip(plain);
  const auto padded = [&](std::size_t zeros, const Bytes& after) {
    Bytes file = packed;
    file.resize(file.size() + zeros);
    file.insert(file.end(), after.begin(), after.end());
    return folder.write("padded.gz", file);
  };
  // The reader's buffer has 65,536 bytes: its end falls before, among and after the zeros.
  for (const std::size_t zeros : {std::size_t{1}, std::size_t{512}, 65536 - packed.size(),
                                  65537 - packed.size(), std::size_t{200'000}}) {
    INFO(zeros);
    CHECK(elements_of(data::read_idx(padded(zeros, {}), 1)) == elements);
    CHECK_THAT(error_of(padded(zeros, {'x'}), 1), Contains("follow the zeros"));
    CHECK_THAT(error_of(padded(zeros, packed), 1), Contains("follow the zeros"));
  }
  CHECK_THAT(error_of(padded(0, {'x', 'y'}), 1), Contains("corrupt gzip data"));
}

TEST_CASE("data: a rank that no tensor has, and extents beyond any shape", "[data][readers]") {
  const Folder folder;
  const std::string path = folder.write("none", idx({0, 0xffffffff, 0xffffffff, 0xffffffff}, {}));
  CHECK_THAT(error_of(path, 4), Contains(path) && Contains("2^48"));
  CHECK_THROWS_WITH(data::read_idx(path, 9), Contains("rank 9"));
  CHECK_THROWS_WITH(data::read_idx(path, -1), Contains("rank -1"));
}

TEST_CASE("data: random damage never crashes and never passes for other contents of a gzip file",
          "[data][readers]") {
  const Folder folder;
  const auto seed = static_cast<std::uint32_t>(Catch::rngSeed() + 11);
  INFO("seed " << seed);
  std::mt19937 engine(seed);
  const Bytes elements = noise(9 * 16, 3), plain = idx({9, 4, 4}, elements), packed = gzip(plain);
  for (int round = 0; round < 600; ++round) {
    const bool is_packed = round % 2 == 0;
    Bytes bytes = is_packed ? packed : plain;
    std::string changes;
    for (std::uint32_t n = engine() % 4 + 1; n > 0; --n) {
      const std::size_t at = engine() % bytes.size();
      bytes[at] = static_cast<unsigned char>(bytes[at] ^ (1U << engine() % 8));
      changes += std::to_string(at) + " ";
    }
    INFO("round " << round << ", bytes " << changes);
    const std::string path = folder.write("damaged", bytes);
    try {
      const Tensor tensor = data::read_idx(path, 3);
      CHECK(tensor.shape() == Shape{9, 4, 4});  // another product of extents would not fit the file
      if (is_packed) CHECK(elements_of(tensor) == elements);
    } catch (const FileError& error) {
      CHECK_THAT(std::string(error.what()), Contains(path));
    }
  }
}

TEST_CASE("data: lengths in a header are not trusted: nothing is allocated for them", "[data][readers]") {
  const Folder folder;
  const Bytes few = noise(16, 4);
  const std::vector<std::vector<std::uint32_t>> claims = {{0xffffffff, 0xffffffff, 0xffffffff},
                                                          {1, 1, 0x7fffffff},
                                                          {0x10000, 0x10000, 0x10000},
                                                          {1, 1, 1u << 20}};
  for (const auto& claim : claims) {
    const std::size_t before = memory::live(Device::cpu());
    memory::reset_peak(Device::cpu());
    const std::string path = folder.write("huge", idx(claim, few));
    CHECK_THAT(error_of(path, 3), Contains("byte 4: the header claims") && Contains(path));
    CHECK_THAT(error_of(folder.write("huge.gz", gzip(idx(claim, few))), 3),
               Contains("byte 4: the header claims"));
    CHECK(memory::peak(Device::cpu()) == before);
  }
}

TEST_CASE("data: corrupt, mislabeled and foreign files are told apart", "[data][readers]") {
  const Folder folder;
  const Bytes labels = idx({6}, {0, 1, 2, 3, 4, 5});
  CHECK_THAT(
      error_of(folder.write("a", labels), 3),
      Contains("byte 3: the file has rank 1 (a file of labels), rank 3 (a file of images) was expected"));
  CHECK_THAT(error_of(folder.write("b", idx({1, 2, 2}, {1, 2, 3, 4})), 1),
             Contains("byte 3") && Contains("images"));
  CHECK_THAT(error_of(folder.write("c", {'P', 'N', 'G', '!'}), 1), Contains("byte 0: not an IDX file"));
  CHECK_THAT(error_of(folder.write("d", {0, 0, 0x0d, 1, 0, 0, 0, 0}), 1),
             Contains("byte 2: IDX element type 0x0d"));
  Bytes longer = labels;
  longer.push_back(9);
  CHECK_THAT(error_of(folder.write("e", longer), 1), Contains("byte 14") && Contains("more follows"));
  CHECK_THAT(error_of(folder.write("f", gzip(longer)), 1), Contains("byte 14") && Contains("more follows"));
  Bytes crc = gzip(labels);
  crc[crc.size() - 8] ^= 1;  // the CRC is the four bytes before the length
  CHECK_THAT(error_of(folder.write("g", crc), 1),
             Contains("corrupt gzip data at byte") && Contains("data check"));
  CHECK_THAT(error_of(folder.path() + "/nothing", 1), Contains("no such file"));
  CHECK_THAT(error_of(folder.path(), 1), Contains("is a folder, not a file"));
}

TEST_CASE("data: Fashion-MNIST's errors say what to do", "[data][readers]") {
  const auto error_of_folder = [](const std::string& folder) -> std::string {
    try {
      const data::FashionMnist set(data::Split::test, folder);
    } catch (const FileError& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK_THAT(error_of_folder("/no/such/folder"),
             Contains("dataset-fashion-mnist") && Contains("--data-dir") && Contains("/no/such/folder"));
  const Folder folder;
  folder.write("t10k-images-idx3-ubyte", idx({3, 28, 28}, noise(3 * 784, 5)));
  CHECK_THAT(error_of_folder(folder.path()), Contains("t10k-labels-idx1-ubyte.gz is missing"));
  folder.write("t10k-labels-idx1-ubyte", idx({3}, {1, 2, 9}));
  CHECK(error_of_folder(folder.path()) == "no error");
  folder.write("t10k-labels-idx1-ubyte", idx({2}, {1, 2}));
  CHECK_THAT(error_of_folder(folder.path()), Contains("2 labels") && Contains("3 images"));
  folder.write("t10k-labels-idx1-ubyte", idx({3}, {1, 10, 9}));
  CHECK_THAT(error_of_folder(folder.path()), Contains("byte 9: label 10"));
  folder.write("t10k-images-idx3-ubyte", idx({3, 14, 56}, noise(3 * 784, 5)));
  CHECK_THAT(error_of_folder(folder.path()), Contains("14 x 56"));
}

TEST_CASE("data: the real Fashion-MNIST", "[data]") {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    WARN("skipped: the package dataset-fashion-mnist is not installed");
    return;
  }
  const data::FashionMnist train(data::Split::train), test(data::Split::test);
  CHECK(train.size() == 60000);
  CHECK(test.size() == 10000);
  // The first labels, as they stand in the files (od -An -tu1).
  const std::vector<std::int64_t> first = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  CHECK(train.get(first).targets.to_vector() == std::vector<double>{9, 0, 0, 3, 0, 2, 7, 2, 5, 5});
  CHECK(test.get(first).targets.to_vector() == std::vector<double>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7});

  std::vector<std::int64_t> many(6000);
  std::iota(many.begin(), many.end(), 0);
  const data::Batch batch = train.get(many);
  CHECK(batch.inputs.shape() == Shape{6000, 28, 28, 1});
  CHECK(batch.inputs.dtype() == DType::f32);
  CHECK(batch.targets.dtype() == DType::i64);
  double sum = 0, squares = 0;
  for (float x : batch.inputs.read<float>()) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto count = static_cast<double>(batch.inputs.numel());
  CHECK(sum / count == Approx(0).margin(0.01));
  CHECK(squares / count == Approx(1).margin(0.01));
  // One pixel by hand: (pixel / 255 - 0.2860) / 0.3530.
  const auto pixel = static_cast<double>(train.images().read<std::uint8_t>()[784 * 3 + 400]);
  CHECK(batch.inputs.read<float>()[784 * 3 + 400] == static_cast<float>((pixel / 255 - 0.2860) / 0.3530));
  const std::vector<std::int64_t> outside = {60000};
  CHECK_THROWS_WITH(train.get(outside), "FashionMnist: sample 60000 asked for; there are 60000");
}
