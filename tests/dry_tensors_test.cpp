// Tensors, modules and optimizers of a dry run that has ended, given to functions that are no ops.
#include <catch2/catch.hpp>
#include <memory>
#include <optional>

#include "reprise/core/dry_run.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Contains;

TEST_CASE("a gradient or a leaf of a dry run that has ended is refused by set_grad", "[engine]") {
  Tensor dry;
  {
    const DryRun run;
    dry = Tensor::ones({2});
  }
  const Tensor w = Tensor::ones({2}, {.requires_grad = true});
  CHECK_THROWS_WITH(w.set_grad(dry), Contains("set_grad") && Contains("dry run that has ended"));
  CHECK_FALSE(w.grad().defined());
  CHECK_THROWS_WITH(dry.set_grad(Tensor::ones({2})), Contains("dry run that has ended"));
  {
    const DryRun run;
    CHECK_THROWS_WITH(w.set_grad(dry), Contains("dry run that has ended"));
    CHECK_NOTHROW(w.set_grad(Tensor::ones({2})));
  }
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("an optimizer made in a dry run does not step, nor give or take its state outside", "[engine]") {
  const Tensor w = Tensor::ones({2}, {.requires_grad = true});
  std::optional<optim::SGD> sgd;
  std::optional<optim::AdamW> adam;
  {
    const DryRun run;
    sgd.emplace(std::vector<Tensor>{w}, optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
    adam.emplace(std::vector<Tensor>{w});
  }
  w.set_grad(Tensor::ones({2}));
  CHECK_THROWS_WITH(sgd->step(), Contains("SGD") && Contains("dry run that has ended"));
  CHECK_THROWS_WITH(adam->step(), Contains("dry run that has ended"));
  CHECK(w.to_vector() == std::vector<double>{1, 1});
  CHECK_THROWS_WITH(sgd->state(), Contains("dry run that has ended"));
  optim::SGD real({w}, {.lr = 0.1, .momentum = 0.9});
  CHECK_THROWS_WITH(sgd->load_state(real.state()), Contains("dry run that has ended"));
}

TEST_CASE("values are not copied from a module of a dry run, nor into one", "[engine]") {
  std::unique_ptr<nn::Linear> dry;
  {
    const DryRun run;
    dry = std::make_unique<nn::Linear>(2, 2);
  }
  nn::Linear real(2, 2);
  const auto before = real.weight.to_vector();
  CHECK_THROWS_WITH(nn::copy_parameters(*dry, real), Contains("dry run that has ended"));
  CHECK_THROWS_WITH(nn::copy_parameters(real, *dry), Contains("dry run that has ended"));
  CHECK(real.weight.to_vector() == before);
  CHECK_THROWS_AS((*dry)(Tensor::ones({1, 2})), UserError);
}
