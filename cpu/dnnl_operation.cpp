#include "reprise/cpu/dnnl_operation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/cpu/convert.h"
#include "reprise/cpu/thread_scratch.h"

namespace reprise::cpu {

std::vector<DnnlPrimitive::Argument> DnnlOperation::arguments(const std::vector<Operand>& operands) {
  std::vector<DnnlPrimitive::Argument> theirs;
  for (const Operand& operand : operands) theirs.push_back({operand.number, operand.theirs});
  return theirs;
}

void DnnlOperation::place(const std::vector<Operand>& operands) {
  std::size_t scratchpad = primitive_.workspace();
  const auto take = [this](std::size_t bytes) {
    copies_ = true;
    return std::exchange(scratchpad_, scratchpad_ + scratch_piece(bytes));
  };
  for (const Operand& operand : operands) {
    Place place{.written = operand.written};
    const dnnl::memory::desc ours = with_data_type(operand.ours, data_type(operand.theirs));
    if (ours != operand.ours) {
      place.converted_elements = static_cast<std::int64_t>(ours.get_size() / sizeof(float));
      place.converted = take(ours.get_size());
    }
    if (ours != operand.theirs) {
      place.reorder =
          operand.written ? make_reorder(operand.theirs, ours) : make_reorder(ours, operand.theirs);
      place.reordered = take(operand.theirs.get_size());
      scratchpad = std::max(scratchpad, place.reorder->workspace());
    }
    places_.push_back(std::move(place));
  }
  workspace_ = scratchpad_ + scratchpad;
}

const void* DnnlOperation::theirs(const Place& place, const void* ours, std::byte* workspace) const {
  if (place.reorder) return workspace + place.reordered;
  return place.converted_elements > 0 ? workspace + place.converted : ours;
}

void DnnlOperation::copy_in(const Place& place, const void* ours, std::byte* workspace) const {
  if (place.converted_elements > 0) {
    auto* converted = reinterpret_cast<float*>(workspace + place.converted);
    convert(static_cast<const BFloat16*>(ours), converted, place.converted_elements);
    ours = converted;
  }
  if (place.reorder) place.reorder->run({ours, workspace + place.reordered}, workspace + scratchpad_);
}

void DnnlOperation::copy_out(const Place& place, void* ours, std::byte* workspace) const {
  void* converted = place.converted_elements > 0 ? workspace + place.converted : ours;
  if (place.reorder) place.reorder->run({workspace + place.reordered, converted}, workspace + scratchpad_);
  if (place.converted_elements > 0)
    convert(static_cast<const float*>(converted), static_cast<BFloat16*>(ours), place.converted_elements);
}

void DnnlOperation::run(std::initializer_list<const void*> pointers, std::span<std::byte> given) const {
  constexpr std::size_t kMostOperands = 4;
  if (pointers.size() < places_.size() || places_.size() > kMostOperands)
    throw InternalError("a oneDNN operation got another number of operands than it has");
  require_scratch(given.size(), workspace_);
  std::byte* workspace = given.data();
  const std::span ours(pointers.begin(), places_.size());
  if (!copies_) return primitive_.run(ours, workspace);
  std::array<const void*, kMostOperands> used = {};
  for (std::size_t i = 0; i < places_.size(); ++i) {
    used[i] = theirs(places_[i], ours[i], workspace);
    if (!places_[i].written) copy_in(places_[i], ours[i], workspace);
  }
  primitive_.run(std::span(used.data(), places_.size()), workspace + scratchpad_);
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (places_[i].written) copy_out(places_[i], const_cast<void*>(ours[i]), workspace);
}

namespace {

bool multiplies_bf16_faster() {
#if defined(__x86_64__)
  if (__builtin_cpu_is("intel")) return multiplies_bf16_by_tiles();
#endif
  return has_instructions(dnnl_cpu_isa_avx512_core_bf16);
}

}  // namespace

bool has_instructions(dnnl_cpu_isa_t instructions) {
  return (dnnl_get_effective_cpu_isa() & instructions) == instructions;
}

bool multiplies_bf16_by_tiles() {
  static const bool tiles = has_instructions(dnnl_cpu_isa_avx512_core_amx);
  return tiles;
}

DType computing_dtype(DType dtype) {
  static const bool native = multiplies_bf16_faster();
  return dtype == DType::bf16 && !native ? DType::f32 : dtype;
}

}  // namespace reprise::cpu
