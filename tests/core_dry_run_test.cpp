// A dry run counts as the real thing would, and leaves no trace.
#include <catch2/catch.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"

using namespace reprise;
using Catch::Contains;
using memory::Tag;

namespace {

const Device cpu = Device::cpu();

}  // namespace

TEST_CASE("a dry run counts without allocating, and the real figures stay", "[engine][threads]") {
  const Tensor real = Tensor::zeros({1000}, {.dtype = DType::u8});
  const std::size_t live = memory::live(cpu), peak = memory::peak(cpu), reserved = memory::reserved(cpu);
  const auto tags = memory::by_tag(cpu);
  CHECK_FALSE(is_dry_run());
  CHECK(current_dry_run() == 0);
  {
    const DryRun dry;
    CHECK(is_dry_run());
    CHECK(current_dry_run() != 0);
    CHECK(memory::live(cpu) == live);  // starts as a copy
    const Tensor huge = Tensor::zeros({std::int64_t{1} << 40}, {.dtype = DType::u8});
    CHECK(huge.impl()->storage->dry);
    CHECK(huge.impl()->storage->data == nullptr);
    CHECK(memory::live(cpu) == live + (std::size_t{1} << 40));
    CHECK(memory::peak(cpu) == live + (std::size_t{1} << 40));
    CHECK(real.at({3}) == 0);  // what is real can be read
    std::size_t elsewhere = 0;
    std::thread([&] { elsewhere = memory::live(cpu); }).join();
    CHECK(elsewhere == live);  // only this thread sees it
  }
  CHECK(memory::live(cpu) == live);
  CHECK(memory::peak(cpu) == peak);
  CHECK(memory::reserved(cpu) == reserved);
  CHECK(memory::by_tag(cpu) == tags);
}

TEST_CASE("no limit applies in a dry run, and it does not change the real one", "[engine]") {
  memory::set_limit(cpu, memory::live(cpu) + 1000);
  {
    const DryRun dry;
    CHECK_NOTHROW(Tensor::zeros({1 << 20}));
    memory::set_limit(cpu, 1);
    CHECK_NOTHROW(Tensor::zeros({1 << 20}));
  }
  CHECK(memory::limit(cpu) == memory::live(cpu) + 1000);
  memory::set_limit(cpu, SIZE_MAX);
}

TEST_CASE("values of a dry run cannot be read", "[engine]") {
  const std::uint32_t version = 0;
  const Tensor real = Tensor::ones({2});
  Tensor dry_tensor;
  {
    const DryRun dry;
    dry_tensor = Tensor::ones({1});
    CHECK_THROWS_WITH(dry_tensor.item(), Contains("f32[1] was made in a dry run: it has no values") &&
                                             Contains("checkpoint::plan"));
    CHECK_THROWS_AS(dry_tensor.read<float>(), UserError);
    CHECK_THROWS_AS(dry_tensor.to_vector(), UserError);
    CHECK_THROWS_AS(dry_tensor.at({0}), UserError);
    std::ostringstream out;
    CHECK_THROWS_AS(out << dry_tensor, UserError);
    CHECK_THROWS_AS(save_npy(dry_tensor, "unused.npy"), UserError);
    CHECK_THROWS_WITH(real.write<float>(), Contains("cannot be written in a dry run"));
    CHECK_THROWS_AS(DryRun(), UserError);
    CHECK(is_dry_run());
  }
  CHECK(real.impl()->storage->version == version);
  CHECK_THROWS_AS(dry_tensor.item(), UserError);  // nor afterwards
  const std::size_t live = memory::live(cpu);
  dry_tensor = {};
  CHECK(memory::live(cpu) == live);  // its end after the dry run touches no meter
  const DryRun next;
  CHECK(memory::live(cpu) == live);
}

TEST_CASE("a tensor of one dry run does not count in the next", "[engine]") {
  Tensor left;
  const Tensor held = Tensor::zeros({10000});  // bytes that a wrong count would take away, under both tags
  const Tensor parameter = Tensor::zeros({10000}, {.requires_grad = true});
  {
    const DryRun dry;
    left = Tensor::zeros({1000});
  }
  const DryRun dry;
  const std::size_t live = memory::live(cpu);
  retag(*left.impl()->storage, Tag::parameter);
  left = {};
  CHECK(memory::live(cpu) == live);
}

TEST_CASE("the random state is as before", "[engine]") {
  manual_seed(3);
  Tensor::rand({7});
  const RandomAddress before = random_state();
  {
    const DryRun dry;
    Tensor::randn({100});
    CHECK(random_state().offset > before.offset);  // as the real step would have it
    manual_seed(99);
  }
  CHECK(random_state().seed == before.seed);
  CHECK(random_state().offset == before.offset);
}

TEST_CASE("a real buffer that a dry step lets go of leaves both counts", "[engine]") {
  Tensor real = Tensor::zeros({1000}, {.dtype = DType::u8});
  const std::size_t live = memory::live(cpu);
  {
    const DryRun dry;
    real = {};
    CHECK(memory::live(cpu) == live - 1000);
  }
  CHECK(memory::live(cpu) == live - 1000);
}

TEST_CASE(
    "gradients set in a dry run are seen in it and forgotten after it, and count as the real ones would") {
  const Tensor leaf = Tensor::zeros({250}, {.requires_grad = true});
  leaf.set_grad(Tensor::ones({250}));
  const void* bytes = leaf.grad().impl()->data();
  const auto step = [&] {  // what it sees of the meter
    std::vector<std::size_t> live;
    const std::size_t start = memory::live(cpu);
    const auto note = [&] { live.push_back(memory::live(cpu) - start + 100000); };
    CHECK(leaf.grad().defined());
    note();
    leaf.set_grad({});  // zero_grad
    CHECK_FALSE(leaf.grad().defined());
    note();
    leaf.set_grad(Tensor::zeros({250}));
    note();
    {
      const Tensor old = leaf.grad();
      leaf.set_grad(Tensor::zeros({250}));
      note();
    }
    note();
    return live;
  };
  std::vector<std::size_t> predicted;
  {
    const DryRun dry;
    predicted = step();
  }
  REQUIRE(leaf.grad().defined());
  CHECK(leaf.grad().impl()->data() == bytes);
  CHECK(leaf.grad().at({249}) == 1);
  CHECK(predicted == step());
  CHECK(predicted == std::vector<std::size_t>{100000, 99000, 100000, 101000, 100000});
}

TEST_CASE("a gradient that is replaced unread leaves a dry run's count too", "[engine]") {
  const Tensor leaf = Tensor::zeros({250}, {.requires_grad = true});
  leaf.set_grad(Tensor::ones({250}));
  {
    const DryRun dry;
    const std::size_t live = memory::live(cpu);
    leaf.set_grad({});
    CHECK(memory::live(cpu) == live - 1000);
  }
  CHECK(leaf.grad().defined());
}

TEST_CASE("a gradient that the user holds stays in a dry run's count", "[engine]") {
  const Tensor leaf = Tensor::zeros({250}, {.requires_grad = true});
  leaf.set_grad(Tensor::ones({250}));
  const Tensor held = leaf.grad();
  const DryRun dry;
  const std::size_t live = memory::live(cpu);
  leaf.set_grad({});
  CHECK(memory::live(cpu) == live);
}

TEST_CASE("a leaf that ends in a dry run takes its gradient along, and a new one at its place has none",
          "[engine]") {
  const DryRun dry;
  const std::size_t live = memory::live(cpu);
  for (int i = 0; i < 3; ++i) {
    const Tensor leaf = Tensor::zeros({10}, {.requires_grad = true});
    CHECK_FALSE(leaf.grad().defined());
    leaf.set_grad(Tensor::zeros({10}));
  }
  CHECK(memory::live(cpu) == live);
}

TEST_CASE("state is not assigned in a dry run", "[engine]") {
  Tensor state = Tensor::zeros({4});
  {
    const DryRun dry;
    const std::size_t live = memory::live(cpu);
    assign_state(state, Tensor::ones({4}));
    CHECK(memory::live(cpu) == live);
    CHECK_THROWS_AS(assign_state(state, Tensor::ones({5})), UserError);
  }
  CHECK(state.to_vector() == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("threads may be in dry runs of their own", "[engine][threads]") {
  const std::size_t live = memory::live(cpu);
  const DryRun dry;
  const Tensor mine = Tensor::zeros({100});
  std::size_t theirs = 0;
  std::uint64_t number = 0;
  std::thread([&] {
    const DryRun other;
    number = current_dry_run();
    const Tensor x = Tensor::zeros({1});
    theirs = memory::live(cpu);
  }).join();
  CHECK(theirs == live + 4);
  CHECK(number != current_dry_run());
  CHECK(memory::live(cpu) == live + 400);
}
