// Weights in files: round trips, PyTorch's layout, and files that are not what they say.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/core/safetensors.h"
#include "reprise/nn/nn.h"
#include "reprise/tests/golden/nn.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;
using Catch::Contains;

namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string with_header(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

struct Net : nn::Module {
  nn::Conv2d conv{2, 4, {.kernel_size = 3}};
  nn::BatchNorm2d norm{4};
  nn::Linear fc{8, 3};
  Tensor tied;
  Net() : tied(fc.weight) {}
  void visit(nn::Visitor& visitor) override {
    visitor("conv", conv);
    visitor("norm", norm);
    visitor("fc", fc);
    visitor("tied", tied);
  }
};

std::vector<std::vector<double>> values(nn::Module& module) {
  std::vector<std::vector<double>> list;
  for (const nn::NamedState& state : nn::named_state(module)) list.push_back(state.tensor.to_vector());
  return list;
}

}  // namespace

TEST_CASE("Saved weights come back bit for bit, buffers too, into the same storages", "[nn]") {
  manual_seed(1);
  Net net, other;
  net.norm.running_mean = Tensor::randn({4});
  const TemporaryFile file("round_trip.safetensors");
  nn::save(net, file.path());
  const Tensor handle = other.fc.weight;
  const auto version = handle.impl()->storage->version;
  nn::load(other, file.path());
  CHECK(values(net) == values(other));
  CHECK(handle.impl() == other.tied.impl());
  CHECK(handle.impl()->storage->version == version + 1);
  nn::load(net, file.path());  // and again
  CHECK(values(net) == values(other));
}

TEST_CASE("A file of PyTorch's is read: to_pytorch and from_pytorch are inverse, shapes are PyTorch's",
          "[nn]") {
  manual_seed(2);
  Net net, other;
  const TemporaryFile file("pytorch.safetensors");
  nn::save(net, file.path(), {.to_pytorch = true, .flattened = {{"fc.weight", 2}}});
  for (const SafetensorsEntry& entry : read_safetensors_header(file.path()).entries) {
    if (entry.name == "conv.weight") {
      CHECK(entry.info.shape == Shape{4, 2, 3, 3});
      const Tensor weight = read_safetensors(file.path(), entry);
      CHECK(weight.at({3, 1, 2, 0}) == net.conv.weight.at({3, 2, 0, 1}));
    }
    if (entry.name ==
        "fc.weight")  // two channels of 2x2 images: ours place by place, PyTorch's channel by channel
      CHECK(read_safetensors(file.path(), entry).at({1, 4 + 3}) == net.fc.weight.at({1, 2 * 3 + 1}));
  }
  nn::load(other, file.path(), {.from_pytorch = true, .flattened = {{"tied", 2}}});
  CHECK(values(net) == values(other));
  CHECK_THROWS_WITH(nn::load(other, file.path()), Contains("[4, 2, 3, 3]") && Contains("from_pytorch"));
  nn::save(net, file.path());
  CHECK_THROWS_WITH(nn::load(other, file.path(), {.from_pytorch = true}), Contains("without from_pytorch"));
  CHECK_THROWS_WITH(nn::load(other, file.path(), {.flattened = {{"fc.wieght", 2}}}), Contains("fc.wieght"));
}

TEST_CASE("Names that are missing, unexpected or of another shape are all listed; nothing changes", "[nn]") {
  Net net;
  const TemporaryFile file("names.safetensors");
  write_safetensors(file.path(), {{"conv.weight", Tensor::zeros({4, 3, 3, 2})},
                                  {"conv.bias", Tensor::zeros({5})},
                                  {"norm.weight", Tensor::zeros({4}, {.dtype = DType::i64})},
                                  {"extra", Tensor::zeros({1})},
                                  {"norm.num_batches_tracked", Tensor::zeros({}, {.dtype = DType::i64})}});
  const auto before = values(net);
  CHECK_THROWS_WITH(nn::load(net, file.path()),
                    Contains("missing: fc.weight") && Contains("missing: norm.running_var") &&
                        Contains("unexpected: extra") &&
                        Contains("conv.bias: the file has shape [5], the module [4]") &&
                        Contains("norm.weight: the file has i64, the module f32") &&
                        !Contains("num_batches_tracked") && !Contains("missing: tied"));
  CHECK(values(net) == before);
  CHECK_THROWS_WITH(nn::load(net, file.path(), {.strict = false}), Contains("conv.bias"));
}

TEST_CASE("rename, strict = false and a tied weight's other name", "[nn]") {
  Net net;
  const TemporaryFile file("rename.safetensors");
  write_safetensors(file.path(), {{"model.conv.bias", Tensor::full({4}, 7.0, {.dtype = DType::f64})},
                                  {"model.tied", Tensor::full({3, 8}, 5.0, {.dtype = DType::bf16})}});
  const std::vector<double> weight = net.conv.weight.to_vector();
  nn::load(net, file.path(),
           {.rename = [](std::string_view name) { return "model." + std::string(name); }, .strict = false});
  CHECK(net.conv.bias.to_vector() == std::vector<double>(4, 7.0));
  CHECK(net.fc.weight.to_vector() == std::vector<double>(24, 5.0));
  CHECK(net.conv.weight.to_vector() == weight);
}

TEST_CASE("A safetensors file as others write it is read", "[nn][readers]") {
  const TemporaryFile file("bytes.safetensors");
  write_all(file.path(),
            std::string(reinterpret_cast<const char*>(golden::kSafetensors), sizeof golden::kSafetensors));
  const SafetensorsHeader header = read_safetensors_header(file.path());
  REQUIRE(header.entries.size() == 2);
  CHECK(header.metadata.at("format") == "pt");
  CHECK(header.entries[0].name == "a");
  CHECK(read_safetensors(file.path(), header.entries[0]).to_vector() ==
        std::vector<double>{1, -2, 0.5, 4, 5, -0.25});
  CHECK(header.entries[1].info == ValueInfo{{2}, DType::bf16, Device::cpu()});
  CHECK(read_safetensors(file.path(), header.entries[1]).to_vector() == std::vector<double>{1, -2});
}

TEST_CASE("Every dtype, empty tensors and scalars make the round trip", "[nn]") {
  const TemporaryFile file("dtypes.safetensors");
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    tensors.emplace_back("t" + std::to_string(i), Tensor::from<double>({1, 0, 1}, {3}, {.dtype = dtype}));
  }
  tensors.emplace_back("none", Tensor::zeros({0, 3}));
  tensors.emplace_back("large_none", Tensor::zeros({1 << 20, 0, 1 << 20}));
  tensors.emplace_back("scalar", Tensor::full({}, 2.5));
  write_safetensors(file.path(), tensors);
  const SafetensorsHeader header = read_safetensors_header(file.path());
  REQUIRE(header.entries.size() == tensors.size());
  for (const SafetensorsEntry& entry : header.entries)
    for (const auto& [name, tensor] : tensors)
      if (name == entry.name) {
        CHECK(entry.info == tensor.info());
        CHECK(read_safetensors(file.path(), entry).to_vector() == tensor.to_vector());
      }
  CHECK_THROWS_WITH(write_safetensors(file.path(), {tensors[0], tensors[0]}), Contains("twice"));
  CHECK_THROWS_WITH(write_safetensors("/nowhere/at/all", tensors), Contains("/nowhere/at/all"));
  CHECK_THROWS_WITH(write_safetensors(file.path(), {{"w", Tensor::ones({2})}, {"bias", Tensor()}}),
                    Contains("\"bias\" is undefined"));
  CHECK(read_safetensors_header(file.path()).entries.size() == tensors.size());  // the older file
}

TEST_CASE("A file that is not what it says is refused by name and place", "[nn][readers]") {
  const TemporaryFile file("bad.safetensors");
  auto refused = [&](const std::string& bytes, const std::string& why) {
    INFO(bytes);
    write_all(file.path(), bytes);
    CHECK_THROWS_AS(read_safetensors_header(file.path()), FileError);
    CHECK_THROWS_WITH(read_safetensors_header(file.path()), Contains(file.path()) && Contains(why));
  };
  auto tensor = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  refused("", "0 bytes");
  refused("abc", "3 bytes");
  refused(std::string("PK\3\4 torch.save's zip"), "safetensors.torch.save_file");
  refused(std::string(8, '\xff') + "{}", "does not fit");
  refused(with_header("{", ""), "not JSON");
  refused(with_header("[]", ""), "not a JSON object");
  refused(with_header(std::string(100'000, '['), ""), "not JSON");
  refused(with_header(R"({"x":1})", ""), "needs dtype");
  refused(with_header(tensor("F32", "[1]", "[0,4]"), "abc"), "do not lie in the file's 3 bytes");
  refused(with_header(tensor("F32", "[1]", "[0,4]"), "abcde"), "1 bytes belong to no tensor");
  refused(with_header(tensor("F32", "[1]", "[1,5]"), "abcde"), "gap");
  refused(with_header(tensor("F32", "[1]", "[4,0]"), "abcd"), "do not lie");
  refused(with_header(tensor("F32", "[2]", "[0,4]"), "abcd"), "needs more bytes");
  refused(with_header(tensor("F32", "[1]", "[0,8]"), "abcdefgh"), "needs 4 bytes");
  refused(with_header(tensor("F32", "[-1]", "[0,4]"), "abcd"), "list of counts");
  refused(with_header(tensor("F32", "[1.5]", "[0,4]"), "abcd"), "list of counts");
  refused(with_header(tensor("F32", "[4611686018427387904,4]", "[0,0]"), "abcd"), "more bytes");
  refused(with_header(tensor("F32", "[4294967296,4294967296]", "[0,4]"), "abcd"), "more bytes");
  refused(with_header(tensor("F32", "[1e999]", "[0,0]"), ""), "number overflow");
  refused(with_header(tensor("F32", "[1]", "[0,1e999]"), "abcd"), "number overflow");
  refused(with_header(R"({"__metadata__":{"a":1e999}})", ""), "number overflow");
  refused(with_header(tensor("F32", "[18446744073709551616]", "[0,0]"), ""), "list of counts");
  refused(with_header(tensor("F32", "[0,9223372036854775808]", "[0,0]"), ""), "9223372036854775808");
  refused(with_header(tensor("F32", "[0,4611686018427387904,4]", "[0,0]"), ""), "2^48");
  refused(with_header(tensor("I16", "[1]", "[0,5]"), "abcd"), "do not lie");
  refused(with_header(tensor("I16", "[1]", "[0,2]"), "abcd"), "2 bytes belong to no tensor");
  refused(with_header(R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                      R"("x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                      ""),
          "\"x\" twice");
  refused(with_header(R"({"__metadata__":{"a":1}})", ""), "__metadata__");
  CHECK_THROWS_WITH(read_safetensors_header("/nowhere"), Contains("/nowhere"));
  write_all(file.path(), with_header(tensor("BOOL", "[2]", "[0,2]"), std::string("\1\2")));
  CHECK_THROWS_WITH(read_safetensors(file.path(), read_safetensors_header(file.path()).entries[0]),
                    Contains("neither 0 nor 1"));
}

TEST_CASE("Fuzzed files are read or refused, never worse, and the module is changed only when read",
          "[nn][readers]") {
  Net net;
  const TemporaryFile file("fuzz.safetensors");
  nn::save(net, file.path());
  const std::string whole = read_all(file.path());
  const auto before = values(net);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, whole.data(), 8);
  const auto header_end = static_cast<unsigned>(8 + header_bytes);
  const unsigned seed = 20;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bytes = whole;
    switch (random() % 3) {
      case 0:  // cut
        bytes.resize(random() % bytes.size());
        break;
      case 1:  // bits in the header
        for (unsigned k = 0; k <= random() % 3; ++k)
          bytes[random() % header_end] ^= static_cast<char>(1 << (random() % 8));
        break;
      default: {  // digits in the header: other lengths and offsets, still JSON
        for (int k = 0; k < 2000; ++k) {
          char& c = bytes[8 + random() % (header_end - 8)];
          if (c >= '0' && c <= '9') {
            c = static_cast<char>('0' + random() % 10);
            break;
          }
        }
      }
    }
    write_all(file.path(), bytes);
    try {
      nn::load(net, file.path());
    } catch (const UserError&) {
      ++refused;
    }
    // What was read are the same data: only names and shapes were tampered with.
    if (round % 20 == 0) CHECK((values(net) == before));
  }
  CHECK(refused > 400);
}

TEST_CASE("Weights are neither loaded nor saved in a dry run", "[nn]") {
  Net net;
  const TemporaryFile file("dry.safetensors");
  nn::save(net, file.path());
  const DryRun dry_run;
  CHECK_THROWS_WITH(nn::load(net, file.path()), Contains("dry run"));
  CHECK_THROWS_WITH(nn::save(net, file.path()), Contains("dry run"));
}
