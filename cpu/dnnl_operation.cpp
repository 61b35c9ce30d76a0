#include "reprise/cpu/dnnl_operation.h"

#include <algorithm>
#include <array>

#include "reprise/core/error.h"

namespace reprise::cpu {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

std::vector<DnnlPrimitive::Argument> DnnlOperation::arguments(const std::vector<Operand>& operands) {
  std::vector<DnnlPrimitive::Argument> theirs;
  for (const Operand& operand : operands) theirs.push_back({operand.number, operand.theirs});
  return theirs;
}

void DnnlOperation::place(const std::vector<Operand>& operands) {
  std::size_t scratchpad = primitive_.workspace();
  for (const Operand& operand : operands) {
    Place place{operand.written, scratchpad_, nullptr};
    if (operand.ours != operand.theirs) {
      copies_ = true;
      place.copy = operand.written ? make_reorder(operand.theirs, operand.ours)
                                   : make_reorder(operand.ours, operand.theirs);
      scratchpad_ += aligned(operand.theirs.get_size());
      scratchpad = std::max(scratchpad, place.copy->workspace());
    }
    places_.push_back(std::move(place));
  }
  workspace_ = scratchpad_ + scratchpad;
}

void DnnlOperation::run(std::initializer_list<const void*> pointers, std::byte* workspace) const {
  constexpr std::size_t kMostOperands = 4;
  if (pointers.size() < places_.size() || places_.size() > kMostOperands)
    throw InternalError("a oneDNN operation got another number of operands than it has");
  const std::span ours(pointers.begin(), places_.size());
  if (!copies_) return primitive_.run(ours, workspace);
  std::array<const void*, kMostOperands> theirs = {};
  std::copy(ours.begin(), ours.end(), theirs.begin());
  std::byte* scratchpad = workspace + scratchpad_;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    if (!place.copy) continue;
    theirs[i] = workspace + place.offset;
    if (!place.written) place.copy->run({ours[i], theirs[i]}, scratchpad);
  }
  primitive_.run(std::span(theirs.data(), places_.size()), scratchpad);
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (places_[i].copy && places_[i].written) places_[i].copy->run({theirs[i], ours[i]}, scratchpad);
}

namespace {

bool has(dnnl_cpu_isa_t isa) { return (dnnl_get_effective_cpu_isa() & isa) == isa; }

bool multiplies_bf16_faster() {
#if defined(__x86_64__)
  if (__builtin_cpu_is("intel")) return multiplies_bf16_by_tiles();
#endif
  return has(dnnl_cpu_isa_avx512_core_bf16);
}

}  // namespace

bool multiplies_bf16_by_tiles() {
  static const bool tiles = has(dnnl_cpu_isa_avx512_core_amx);
  return tiles;
}

DType computing_dtype(DType dtype) {
  static const bool native = multiplies_bf16_faster();
  return dtype == DType::bf16 && !native ? DType::f32 : dtype;
}

}  // namespace reprise::cpu
