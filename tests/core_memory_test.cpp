// The meter's figures are exact; limits, tags and hooks do what memory.h says.
#include <catch2/catch.hpp>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/storage.h"
#include "reprise/core/tensor.h"

using namespace reprise;
using Catch::Contains;
using memory::Tag;

namespace {

const Device cpu = Device::cpu();

std::size_t tagged(const std::map<std::string, std::size_t>& bytes, Tag tag) {
  const auto found = bytes.find(std::string(to_string(tag)));
  return found == bytes.end() ? 0 : found->second;
}

struct Limit {
  explicit Limit(std::size_t bytes) { memory::set_limit(cpu, bytes); }
  ~Limit() { memory::set_limit(cpu, SIZE_MAX); }
};

}  // namespace

TEST_CASE("live and peak bytes are the bytes asked for", "[engine]") {
  const std::size_t before = memory::live(cpu);
  memory::reset_peak(cpu);
  {
    const Tensor a = Tensor::zeros({3}, {.dtype = DType::u8});
    CHECK(memory::live(cpu) == before + 3);
    const Tensor b = Tensor::zeros({1000, 1000});
    CHECK(memory::live(cpu) == before + 3 + 4000000);
    const Tensor same = b;
    CHECK(memory::live(cpu) == before + 3 + 4000000);
    const Tensor nothing = Tensor::zeros({0});
    CHECK(memory::live(cpu) == before + 3 + 4000000);
    CHECK(memory::reserved(cpu) >= memory::live(cpu));
  }
  CHECK(memory::live(cpu) == before);
  CHECK(memory::peak(cpu) == before + 3 + 4000000);
  memory::reset_peak(cpu);
  CHECK(memory::peak(cpu) == before);
}

TEST_CASE("bytes are counted under the innermost tag, and by tag at the peak", "[engine]") {
  memory::reset_peak(cpu);
  const auto before = memory::by_tag(cpu);
  CHECK(memory::current_tag() == Tag::activation);
  const Tensor plain = Tensor::zeros({10}, {.dtype = DType::u8});
  {
    const memory::TagScope outer(Tag::optimizer);
    const Tensor state = Tensor::zeros({100}, {.dtype = DType::u8});
    {
      const memory::TagScope inner(Tag::data);
      CHECK(memory::current_tag() == Tag::data);
      const Tensor batch = Tensor::zeros({1000}, {.dtype = DType::u8});
      CHECK(tagged(memory::by_tag(cpu), Tag::data) == tagged(before, Tag::data) + 1000);
    }
    CHECK(tagged(memory::by_tag(cpu), Tag::optimizer) == tagged(before, Tag::optimizer) + 100);
    CHECK(memory::current_tag() == Tag::optimizer);
  }
  CHECK(tagged(memory::by_tag(cpu), Tag::activation) == tagged(before, Tag::activation) + 10);
  const auto at_peak = memory::peak_by_tag(cpu);
  CHECK(tagged(at_peak, Tag::data) == tagged(before, Tag::data) + 1000);
  CHECK(tagged(at_peak, Tag::optimizer) == tagged(before, Tag::optimizer) + 100);
  std::size_t sum = 0;
  for (const auto& [name, bytes] : at_peak) sum += bytes;
  CHECK(sum == memory::peak(cpu));
  CHECK(memory::peak_without_data(cpu) == memory::peak(cpu) - tagged(at_peak, Tag::data));
}

TEST_CASE("a leaf that takes gradients moves to the tag parameter", "[engine]") {
  const auto before = memory::by_tag(cpu);
  const Tensor x = Tensor::zeros({50}, {.dtype = DType::f64, .requires_grad = true});
  CHECK(tagged(memory::by_tag(cpu), Tag::parameter) == tagged(before, Tag::parameter) + 400);
  CHECK(tagged(memory::by_tag(cpu), Tag::activation) == tagged(before, Tag::activation));
}

TEST_CASE("bytes that leave the tag data count towards the peak without it", "[engine]") {
  memory::reset_peak(cpu);
  const std::size_t before = memory::peak_without_data(cpu);
  const Ref<Storage> storage = allocate(1000, cpu, Tag::data);
  CHECK(memory::peak_without_data(cpu) == before);
  retag(*storage, Tag::activation);
  CHECK(memory::peak_without_data(cpu) == before + 1000);
}

TEST_CASE("a limit is exact, and what passes it says who holds what", "[failure]") {
  const std::size_t live = memory::live(cpu);
  const Tensor held = Tensor::zeros({1 << 20});  // 4 MiB
  const Tensor weight = Tensor::zeros({1 << 19}, {.requires_grad = true});
  memory::reset_peak(cpu);
  const Limit limit(live + (8 << 20));
  CHECK(memory::limit(cpu) == live + (8 << 20));
  CHECK_NOTHROW(Tensor::empty({2 << 20}, {.dtype = DType::u8}));
  CHECK_THROWS_AS(Tensor::empty({(2 << 20) + 1}, {.dtype = DType::u8}), OutOfMemory);
  CHECK_THROWS_WITH(Tensor::empty({3 << 20}, {.dtype = DType::u8}),
                    "out of memory on cpu: asked for 3.0 MiB (3145728 bytes), in use " +
                        memory::format_bytes(live + (6 << 20)) + ", limit " +
                        memory::format_bytes(live + (8 << 20)) + "; largest holders: activation " +
                        memory::format_bytes(tagged(memory::by_tag(cpu), Tag::activation)) + ", parameter " +
                        memory::format_bytes(tagged(memory::by_tag(cpu), Tag::parameter)));
  CHECK(memory::live(cpu) == live + (6 << 20));  // a failure changes nothing
  CHECK(memory::peak(cpu) == live + (8 << 20));
}

TEST_CASE("byte counts are written in the largest unit", "[engine]") {
  CHECK(memory::format_bytes(0) == "0 bytes");
  CHECK(memory::format_bytes(1023) == "1023 bytes");
  CHECK(memory::format_bytes(1536) == "1.5 KiB");
  CHECK(memory::format_bytes((1 << 20) - 1) == "1.0 MiB");
  CHECK(memory::format_bytes(std::size_t{5} << 29) == "2.5 GiB");
}

TEST_CASE("an absurd size is out of memory, not a crash", "[failure]") {
  const std::size_t live = memory::live(cpu);
  CHECK_THROWS_AS(allocate(std::size_t{1} << 60, cpu), OutOfMemory);
  CHECK_THROWS_AS(allocate(SIZE_MAX, cpu), OutOfMemory);
  CHECK_THROWS_AS(allocate(SIZE_MAX - 100, cpu), OutOfMemory);
  CHECK(memory::live(cpu) == live);
}

TEST_CASE("the n-th allocation fails once when asked to, and changes nothing", "[failure]") {
  const std::size_t live = memory::live(cpu);
  memory::fail_after(2);
  const Tensor a = Tensor::zeros({4}), b = Tensor::zeros({4});
  CHECK_THROWS_WITH(Tensor::zeros({4}), Contains("injected"));
  CHECK(memory::live(cpu) == live + 32);
  CHECK_NOTHROW(Tensor::zeros({4}));
  memory::fail_after(0);
  memory::fail_after(-1);
  CHECK_NOTHROW(Tensor::zeros({4}));
}

TEST_CASE("the pressure hook is asked until it cannot help", "[failure]") {
  struct Context {
    std::vector<Tensor> held;
    std::vector<std::size_t> missing;
  } context;
  const std::size_t live = memory::live(cpu);
  for (int i = 0; i < 3; ++i) context.held.push_back(Tensor::zeros({1000}, {.dtype = DType::u8}));
  const Limit limit(live + 3000);
  memory::set_pressure_hook(
      [](void* pointer, Device, std::size_t missing) {
        Context& c = *static_cast<Context*>(pointer);
        c.missing.push_back(missing);
        if (c.held.empty()) return false;
        c.held.pop_back();
        return true;
      },
      &context);
  const Tensor fits = Tensor::zeros({1500}, {.dtype = DType::u8});
  CHECK(context.missing == std::vector<std::size_t>{1500, 500});
  CHECK_THROWS_AS(Tensor::zeros({1600}, {.dtype = DType::u8}), OutOfMemory);
  CHECK(context.missing == std::vector<std::size_t>{1500, 500, 1100, 100});
  memory::set_pressure_hook(nullptr, nullptr);
  CHECK_THROWS_AS(Tensor::zeros({1600}, {.dtype = DType::u8}), OutOfMemory);
  CHECK(context.missing.size() == 4);
}

TEST_CASE("the timeline has an entry for every allocation and release", "[engine]") {
  const std::size_t live = memory::live(cpu);
  memory::start_timeline(cpu);
  {
    const Tensor a = Tensor::zeros({10}, {.dtype = DType::u8});
    const memory::TagScope tag(Tag::workspace);
    const Tensor b = Tensor::zeros({5}, {.dtype = DType::u8});
  }
  const std::vector<memory::TimelineEntry> entries = memory::stop_timeline(cpu);
  REQUIRE(entries.size() == 4);
  CHECK(entries[0].change == 10);
  CHECK(entries[1].change == 5);
  CHECK(entries[1].tag == Tag::workspace);
  CHECK(entries[1].live == live + 15);
  CHECK(entries[2].change == -5);
  CHECK(entries[3].live == live);
  CHECK(entries[0].seconds <= entries[3].seconds);
  Tensor::zeros({10});
  CHECK(memory::stop_timeline(cpu).empty());
}

TEST_CASE("storages tell their tape when they end", "[engine]") {
  struct Table final : SlotTable {
    std::vector<std::int32_t> forgotten;
    void forget(std::int32_t slot) noexcept override { forgotten.push_back(slot); }
  } table;
  Ref<Storage> a = allocate(16, cpu);
  a->table = &table;
  a->slot = 7;
  Ref<Storage> b = a;
  a.reset();
  CHECK(table.forgotten.empty());
  b.reset();
  CHECK(table.forgotten == std::vector<std::int32_t>{7});
}

TEST_CASE("the meter adds up when many threads allocate and hand buffers over", "[engine][threads]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  const std::size_t live = memory::live(cpu);
  const auto tags = memory::by_tag(cpu);
  std::vector<std::vector<Tensor>> made(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < made.size(); ++t)
    threads.emplace_back([&made, t, seed] {
      std::mt19937 random(seed + static_cast<std::uint32_t>(t));
      for (int i = 0; i < 3000; ++i) {
        const std::int64_t bytes = static_cast<std::int64_t>(random() % (i % 50 ? 3000 : 100000));
        made[t].push_back(Tensor::full({bytes}, static_cast<double>(t), {.dtype = DType::u8}));
        if (random() % 3 == 0)
          made[t].erase(made[t].begin() + static_cast<std::ptrdiff_t>(random() % made[t].size()));
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::size_t bytes = 0;
  bool intact = true;
  for (std::size_t t = 0; t < made.size(); ++t)
    for (const Tensor& tensor : made[t]) {
      bytes += tensor.bytes();
      for (std::uint8_t value : tensor.read<std::uint8_t>()) intact = intact && value == t;
    }
  CHECK(intact);
  CHECK(memory::live(cpu) == live + bytes);
  made.clear();  // on another thread than the one that made them
  CHECK(memory::live(cpu) == live);
  CHECK(memory::by_tag(cpu) == tags);
}
