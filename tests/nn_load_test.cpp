// Loading weights that are not quite the module's: other layouts, other names, dtypes that Reprise lacks, tied weights.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>

#include "reprise/core/random.h"
#include "reprise/core/safetensors.h"
#include "reprise/nn/nn.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

void write_file(const std::string& path, const std::string& header, const std::string& data) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const std::uint64_t length = header.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header << data;
}

// Three channels and a kernel of 3x3: the weight has one shape in both layouts.
struct Rgb : nn::Module {
  nn::Conv2d conv{3, 4, {.kernel_size = 3}};
  nn::Linear fc{4, 2};
  void visit(nn::Visitor& visitor) override {
    visitor("conv", conv);
    visitor("fc", fc);
  }
};

struct Tied : nn::Module {
  nn::Linear in{2, 2, {.bias = false}};
  Tensor out;
  Tied() : out(in.weight) {}
  void visit(nn::Visitor& visitor) override {
    visitor("in", in);
    visitor("out", out);
  }
};

std::string prefixed(std::string_view name) { return "module." + std::string(name); }

}  // namespace

TEST_CASE("A file in PyTorch's layout loads only with from_pytorch", "[nn]") {
  manual_seed(1);
  Rgb from, to;
  const TemporaryFile file("layout.safetensors");
  nn::save(from, file.path(), {.to_pytorch = true});
  const std::vector<double> before = to.conv.weight.to_vector();
  for (const bool strict : {true, false})
    CHECK_THROWS_WITH(nn::load(to, file.path(), {.strict = strict}),
                      Contains("conv.weight") && Contains(".from_pytorch = true"));
  CHECK(to.conv.weight.to_vector() == before);
  nn::load(to, file.path(), {.from_pytorch = true});
  CHECK(to.conv.weight.to_vector() == from.conv.weight.to_vector());
  // A file that says nothing is most likely PyTorch's too. One that says "reprise" is not.
  const std::vector<std::pair<std::string, Tensor>> weight = {{"conv.weight", from.conv.weight.detach()}};
  write_safetensors(file.path(), weight);
  CHECK_THROWS_WITH(nn::load(to, file.path(), {.strict = false}), Contains("\"layout\": \"reprise\""));
  write_safetensors(file.path(), weight, {{"layout", "reprise"}});
  CHECK(nn::load(to, file.path(), {.strict = false}).loaded == std::vector<std::string>{"conv.weight"});
  // Layouts differ for convolutions only.
  nn::save(from.fc, file.path(), {.to_pytorch = true});
  CHECK_NOTHROW(nn::load(to.fc, file.path()));
}

TEST_CASE("load says what it loaded, what is missing and what is unexpected", "[nn]") {
  Rgb net;
  const TemporaryFile file("result.safetensors");
  write_safetensors(file.path(), {{"fc.weight", Tensor::ones({2, 4})},
                                  {"fc.num_batches_tracked", Tensor::zeros({}, {.dtype = DType::i64})},
                                  {"head.bias", Tensor::ones({3})}});
  CHECK_THROWS_WITH(nn::load(net, file.path()), Contains("missing: conv.weight") &&
                                                    Contains("unexpected: head.bias") &&
                                                    Contains(".strict = false") && !Contains("from_pytorch"));
  const nn::LoadResult result = nn::load(net, file.path(), {.strict = false});
  CHECK(result.loaded == std::vector<std::string>{"fc.weight"});
  CHECK(result.missing == std::vector<std::string>{"conv.weight", "conv.bias", "fc.bias"});
  CHECK(result.unexpected == std::vector<std::string>{"head.bias"});
  nn::save(net, file.path());
  const nn::LoadResult whole = nn::load(net, file.path());
  CHECK(whole.loaded.size() == 4);
  CHECK(whole.missing.empty());
  CHECK(whole.unexpected.empty());
}

TEST_CASE("load that finds nothing is an error, whichever side has the other names", "[nn]") {
  nn::Linear net(2, 2);
  const TemporaryFile file("nothing.safetensors");
  nn::save(net, file.path());
  CHECK_THROWS_WITH(nn::load(net, file.path(), {.rename = prefixed, .strict = false}),
                    Contains("nothing was loaded") && Contains("\"module.") && Contains(".rename"));
  write_safetensors(file.path(), {{"module.weight", Tensor::ones({2, 2})}});
  CHECK_THROWS_WITH(nn::load(net, file.path(), {.strict = false}),
                    Contains("nothing was loaded") && Contains("\"module.weight\""));
  write_safetensors(file.path(), {});
  CHECK_THROWS_AS(nn::load(net, file.path(), {.strict = false}), UserError);
  // Nothing into nothing is what save wrote.
  nn::Dropout none;
  nn::save(none, file.path());
  CHECK(nn::load(none, file.path()).loaded.empty());
}

TEST_CASE("A tensor of a dtype or rank that Reprise lacks leaves the others readable", "[nn][readers]") {
  const TemporaryFile file("beside.safetensors");
  const std::string one("\0\0\x80\x3f", 4);
  for (const std::string type :
       {"I8", "I16", "U16", "U32", "U64", "F8_E4M3", "F8_E5M2", "C64", "F4", "new"}) {
    INFO(type);
    write_file(file.path(),
               R"({"a":{"dtype":")" + type + R"(","shape":[1],"data_offsets":[0,4]},)" +
                   R"("deep":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[4,8]},)" +
                   R"("weight":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}})",
               one + one + one);
    const SafetensorsHeader header = read_safetensors_header(file.path());
    REQUIRE(header.entries.size() == 1);
    CHECK(read_safetensors(file.path(), header.entries[0]).item() == 1.0);
    REQUIRE(header.unreadable.size() == 2);
    CHECK_THAT(header.unreadable[0].reason, Contains("\"" + type + "\""));
    CHECK_THAT(header.unreadable[1].reason, Contains("9 dimensions"));
    nn::Linear net(1, 1, {.bias = false});
    const nn::LoadResult result = nn::load(net, file.path(), {.strict = false});
    CHECK(net.weight.item() == 1.0);
    CHECK(result.unexpected == std::vector<std::string>{"a", "deep"});
    // It is a problem only where the module asks for it.
    const auto swapped = [](std::string_view) { return std::string("a"); };
    CHECK_THROWS_WITH(nn::load(net, file.path(), {.rename = swapped, .strict = false}),
                      Contains("a: has dtype \"" + type + "\""));
  }
}

TEST_CASE("An entry is checked against the file as it is now", "[nn][readers]") {
  const TemporaryFile file("entry.safetensors");
  write_safetensors(file.path(), {{"w", Tensor::ones({1000})}});
  SafetensorsEntry entry = read_safetensors_header(file.path()).entries[0];
  write_safetensors(file.path(), {{"w", Tensor::ones({10})}});
  CHECK_THROWS_AS(read_safetensors(file.path(), entry), FileError);
  entry.offset = std::uint64_t{1} << 63;
  CHECK_THROWS_AS(read_safetensors(file.path(), entry), FileError);
  entry.info.shape = {std::int64_t{1} << 40};
  CHECK_THROWS_AS(read_safetensors(file.path(), entry), FileError);
  entry = read_safetensors_header(file.path()).entries[0];
  entry.info.device = Device::cuda();
  CHECK_THROWS_WITH(read_safetensors(file.path(), entry), Contains("CPU"));
}

TEST_CASE("A tied weight with two values is an error, in files and in copies", "[nn]") {
  manual_seed(2);
  Tied net;
  const TemporaryFile file("tied.safetensors");
  const Tensor value = Tensor::randn({2, 2}), other = Tensor::randn({2, 2});
  write_safetensors(file.path(), {{"in.weight", value}, {"out", other}});
  const std::vector<double> before = net.in.weight.to_vector();
  CHECK_THROWS_WITH(nn::load(net, file.path()), Contains("\"in.weight\"") && Contains("\"out\""));
  CHECK(net.in.weight.to_vector() == before);
  write_safetensors(file.path(), {{"in.weight", value}, {"out", value.to(DType::f64)}});
  CHECK_NOTHROW(nn::load(net, file.path()));
  CHECK(net.out.to_vector() == value.to_vector());
  // Two values of which the second is NaN as well.
  const Tensor nan = Tensor::full({2, 2}, std::nan(""));
  write_safetensors(file.path(), {{"in.weight", nan}, {"out", nan}});
  CHECK_NOTHROW(nn::load(net, file.path()));

  Tied untied;
  untied.out = nn::init::normal({2, 2}, 0, 1);
  CHECK_THROWS_WITH(nn::copy_parameters(untied, net), Contains("\"in.weight\"") && Contains("\"out\""));
  std::memcpy(untied.out.impl()->data(), untied.in.weight.impl()->data(), 16);
  CHECK_NOTHROW(nn::copy_parameters(untied, net));
  CHECK(net.out.to_vector() == untied.out.to_vector());
}

TEST_CASE("flattened names a linear weight with at least one channel, in load and save", "[nn]") {
  Rgb net;
  const TemporaryFile file("flattened.safetensors");
  nn::save(net, file.path(), {.to_pytorch = true, .flattened = {{"fc.weight", 2}}});
  const auto load = [&](const std::string& name, std::int64_t channels) {
    nn::load(net, file.path(), {.from_pytorch = true, .flattened = {{name, channels}}});
  };
  const auto save = [&](const std::string& name, std::int64_t channels) {
    nn::save(net, file.path(), {.to_pytorch = true, .flattened = {{name, channels}}});
  };
  for (const std::int64_t channels : {0, -1, -2, 3}) {
    CHECK_THROWS_WITH(load("fc.weight", channels), Contains("fc.weight") && Contains("channels"));
    CHECK_THROWS_WITH(save("fc.weight", channels), Contains("fc.weight") && Contains("channels"));
  }
  for (const std::string name : {"conv.weight", "fc.bias"}) {
    CHECK_THROWS_WITH(load(name, 1), Contains(name));
    CHECK_THROWS_WITH(save(name, 1), Contains(name));
  }
  load("fc.weight", 2);
  // Without the conversion it would be ignored.
  CHECK_THROWS_WITH(nn::save(net, file.path(), {.flattened = {{"fc.weight", 2}}}), Contains("to_pytorch"));
  nn::save(net, file.path());
  CHECK_THROWS_WITH(nn::load(net, file.path(), {.flattened = {{"fc.weight", 2}}}), Contains("from_pytorch"));
  Tied tied;
  CHECK_THROWS_WITH(
      nn::save(tied, file.path(), {.to_pytorch = true, .flattened = {{"in.weight", 1}, {"out", 2}}}),
      Contains("tied"));
}
