#pragma once
// A oneDNN primitive on operands as the ops keep them. Where it works on f32 in the place of bf16, or on another layout,
// they are copied there and back inside the workspace. We convert ourselves: without AVX-512, oneDNN copies bf16 element
// by element, and a step spends nearly all its time there.
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <vector>

#include "reprise/cpu/dnnl_primitive.h"

namespace reprise::cpu {

class DnnlOperation {
 public:
  struct Operand {
    int number;  // DNNL_ARG_*
    bool written;
    dnnl::memory::desc ours, theirs;  // equal: oneDNN works on the caller's buffer
  };
  // `description` was made with dnnl_attributes().
  template <class Description>
  DnnlOperation(const Description& description, const dnnl::primitive& primitive,
                const std::vector<Operand>& operands)
      : primitive_(description, primitive, arguments(operands)) {
    place(operands);
  }

  // Of the copies and of the scratchpad, which are 64-byte aligned.
  std::size_t workspace() const { return workspace_; }
  const char* implementation() const { return primitive_.implementation(); }

  // One pointer an operand, in their order. A last one that there is not, a bias, may be given as null.
  // UserError if the workspace is too small, because set_num_threads was called after workspace().
  void run(std::initializer_list<const void*> pointers, std::span<std::byte> workspace) const;

 private:
  static std::vector<DnnlPrimitive::Argument> arguments(const std::vector<Operand>& operands);
  void place(const std::vector<Operand>& operands);
  // Of an operand, on the way from ours to theirs or back: first the dtype, then the layout.
  struct Place {
    bool written;
    std::int64_t converted_elements = 0;                     // 0: in the same dtype
    std::unique_ptr<const DnnlPrimitive> reorder = nullptr;  // null: in the same layout
    std::size_t converted = 0, reordered = 0;                // where in the workspace, if it is
  };
  // What oneDNN reads or writes.
  const void* theirs(const Place& place, const void* ours, std::byte* workspace) const;
  void copy_in(const Place& place, const void* ours, std::byte* workspace) const;
  void copy_out(const Place& place, void* ours, std::byte* workspace) const;

  DnnlPrimitive primitive_;
  std::vector<Place> places_;
  bool copies_ = false;
  std::size_t scratchpad_ = 0;  // its offset
  std::size_t workspace_ = 0;
};

// The dtype in which oneDNN computes with values of this one: f32 for bf16 on a processor without instructions for it, whose
// emulation takes four times as long as f32, and on Intel's without AMX, whose AVX-512 instructions for it are slower than
// f32's (a large product ran at 168 GFLOP/s, in f32 at 250).
DType computing_dtype(DType dtype);

// Whether oneDNN uses these instructions: the processor has them, and ONEDNN_MAX_CPU_ISA does not keep it from them.
bool has_instructions(dnnl_cpu_isa_t instructions);

// Whether oneDNN multiplies bf16 with tiles (AMX), at several times the rate of f32.
bool multiplies_bf16_by_tiles();

}  // namespace reprise::cpu
