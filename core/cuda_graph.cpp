#include "reprise/core/cuda_graph.h"

#include <fmt/format.h>

#include <utility>

#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/random.h"

namespace reprise {

namespace {

DeviceServices& services_of(const std::vector<Tensor>& leaves) {
  if (leaves.empty()) throw UserError("CUDAGraph: there are no leaves; list the parameters");
  for (const Tensor& leaf : leaves) {
    if (!leaf.defined() || !leaf.is_leaf())
      throw UserError("CUDAGraph: a leaf is undefined or the result of an op; list the parameters");
    if (leaf.device() != leaves[0].device())
      throw UserError(fmt::format("CUDAGraph: leaves {} and {} lie on different devices; a graph is of one",
                                  to_string(leaves[0].info()), to_string(leaf.info())));
  }
  return services(leaves[0].device());
}

void note_write(const Tensor& tensor) {
  if (tensor.defined()) ++tensor.impl()->storage->version;
}

}  // namespace

CUDAGraph::CUDAGraph(std::vector<Tensor> leaves, const std::function<Tensor()>& step) {
  if (is_dry_run()) throw UserError("CUDAGraph: in a dry run no kernel runs that could be captured");
  DeviceServices& backend = services_of(leaves);
  const auto release_gradients = [&] {
    for (const Tensor& leaf : leaves) leaf.set_grad({});
  };
  const RandomAddress start = random_state();
  const RandomScope kept_random(start);
  release_gradients();
  const auto warm_up = [&] {
    step();
    release_gradients();
    set_random_state(start);
  };
  const auto captured = [&] {
    if (const Tensor result = step(); result.defined()) result_ = untracked(result);
    for (const Tensor& leaf : leaves) {
      if (leaf.grad().defined()) gradients_.push_back({leaf, leaf.grad()});
      leaf.set_grad({});
    }
  };
  try {
    captured_ = backend.capture(warm_up, captured);
  } catch (...) {
    release_gradients();
    throw;
  }
  const RandomAddress end = random_state();
  if (end.seed != start.seed || end.offset < start.offset)
    throw UserError("CUDAGraph: the step seeds the random generator; seed it before a replay instead");
  random_words_ = end.offset - start.offset;
}

CUDAGraph::~CUDAGraph() = default;

const Tensor& CUDAGraph::replay() {
  if (is_dry_run()) throw UserError("CUDAGraph: a replay in a dry run, which leaves no trace");
  RandomDraw draw(random_words_);
  captured_->launch(draw.address());
  draw.keep();
  for (const Gradient& of : gradients_) {
    note_write(of.gradient);
    of.leaf.set_grad(of.gradient);
  }
  note_write(result_);
  return result_;
}

std::size_t CUDAGraph::bytes() const { return captured_->bytes(); }

void copy_into(const Tensor& to, const Tensor& from) {
  if (is_dry_run()) throw UserError("copy_into: in a dry run, which leaves no trace");
  if (to.shape() != from.shape() || to.dtype() != from.dtype())
    throw UserError(fmt::format("copy_into: {} cannot become {}; shape and dtype must be equal",
                                to_string(to.info()), to_string(from.info())));
  if (to.bytes() == 0 || to.impl()->data() == from.impl()->data()) return;
  const Device device = to.device().kind == Device::CPU ? from.device() : to.device();
  services(device).copy(to.impl()->data(), from.impl()->data(), to.bytes());
  ++to.impl()->storage->version;
}

}  // namespace reprise
