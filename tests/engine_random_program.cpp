#include "reprise/tests/engine_random_program.h"

#include <memory>
#include <random>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

namespace reprise::test {
namespace {

constexpr int kOps = 40;
constexpr std::size_t kPool = 6;

checkpoint::Policy random_policy(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return checkpoint::Policy::save_only({"matmul", "squash", "layer_norm"});
    case 1:
      return checkpoint::Policy::custom([](const NodeInfo& node) {
        return node.op == "sincos" || node.op == "mul" ? Decision::offload : Decision::recompute;
      });
    default:
      return checkpoint::Policy::full();
  }
}

// Regions and further handles come and go between ops.
class Surroundings {
 public:
  explicit Surroundings(std::uint64_t seed) : on_(seed != 0), random_(seed) {}
  void between_ops(const std::vector<Tensor>& pool) {
    if (!on_) return;
    while (!regions_.empty() && random_() % 4 == 0) close();
    while (regions_.size() < 5 && random_() % 3 == 0)
      regions_.push_back(std::make_unique<checkpoint::Region>(random_policy(random_)));
    if (random_() % 4 == 0) held_.push_back(pool[random_() % pool.size()]);
    if (!held_.empty() && random_() % 4 == 0)
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(random_() % held_.size()));
  }
  void close_all() {
    while (!regions_.empty()) close();
  }

 private:
  void close() {
    regions_.back()->end();
    regions_.pop_back();
  }
  bool on_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<checkpoint::Region>> regions_;
  std::vector<Tensor> held_;
};

}  // namespace

RandomProgram::RandomProgram(std::uint64_t s, bool twice) : seed(s), twice_differentiable(twice) {
  const std::uint64_t at = 100 * seed;
  leaves = {random_leaf({6, 6}, at + 1), random_leaf({6, 6}, at + 2), random_leaf({4, 6}, at + 3),
            random_leaf({6}, at + 4), random_leaf({6}, at + 5)};
  data = random_constant({4, 6}, at + 6);
}

// Every value of the pool is [4, 6]. Squashed now and then, so that nothing grows without bound.
Tensor RandomProgram::loss(std::uint64_t regions_seed) const {
  manual_seed(seed);
  std::mt19937_64 random(seed);
  Surroundings surroundings(regions_seed);
  std::vector<Tensor> pool = {data, leaves[2], matmul(data, leaves[0])};
  const auto any = [&]() -> const Tensor& { return pool[random() % pool.size()]; };
  for (int i = 0; i < kOps; ++i) {
    surroundings.between_ops(pool);
    Tensor made;
    switch (random() % 18) {
      case 0:
      case 1:
        made = sine(any());
        break;
      case 2:
      case 3:
        made = squash(any());
        break;
      case 4:
        made = relu(any());
        break;
      case 5: {
        const Tensor& a = any();
        made = squash(a + any());
        break;
      }
      case 6: {
        const Tensor& a = any();
        made = a * any();
        break;
      }
      case 7:
        made = matmul(any(), leaves[random() % 2]);
        break;
      case 8:
        made = dropout(any(), 0.3);
        break;
      case 9:
        made = twice_differentiable ? sine(any() + leaves[3]) : layer_norm(any(), leaves[3], leaves[4]);
        break;
      case 10: {
        auto [s, c] = sincos(any());
        made = random() % 2 ? s : c;
        if (random() % 2) pool.push_back(random() % 2 ? s : c);
        break;
      }
      case 11: {  // two views of one buffer meet; one is a view of a view
        const Tensor a = any();
        const Tensor top = slice(a, 0, 2), rest = slice(slice(a, 1, 4), 1, 3);
        made = pad(top * rest, 0, 1, 1);
        break;
      }
      case 12:
        made = reshape(sine(reshape(any(), {6, 4})), {4, 6});
        break;
      case 13:  // a view that is saved
        made = reshape(squash(reshape(any(), {24})), {4, 6}) * any();
        break;
      case 14:  // untracked: replayed in a region like any other
        made = any() * relu(sine(any().detach()));
        break;
      case 15:  // data made within the step
        made = any() + Tensor::full({4, 6}, 0.25, {.dtype = DType::f64});
        break;
      case 16:
        made = squash(twice_never_replayed(any()));
        break;
      case 17:
        made = squash(square_and_largest(any()).first);
        break;
    }
    pool.push_back(std::move(made));
    while (pool.size() > kPool)
      pool.erase(pool.begin() + static_cast<std::ptrdiff_t>(random() % pool.size()));
  }
  surroundings.close_all();
  Tensor total = sum(matmul(pool.back(), leaves[1]));
  for (Tensor& value : pool) total = total + sum(value * value);
  return total;
}

}  // namespace reprise::test
