#include "reprise/nn/sequential.h"

#include <fmt/format.h>

namespace reprise::nn {
namespace {

void check_part(std::size_t part, std::size_t size) {
  if (part >= size) throw UserError(fmt::format("nn::Sequential: no part {}, there are {}", part, size));
}

}  // namespace

Tensor Sequential::call(std::size_t part, Tensor x) {
  check_part(part, size());
  return parts_[part]->call(std::move(x));
}

Module* Sequential::module(std::size_t part) {
  check_part(part, size());
  return parts_[part]->module();
}

}  // namespace reprise::nn
