#pragma once
// May products and convolutions in f32 round their operands to 10 bits of fraction on a GPU's tensor cores (TF32)? Off until
// asked for; per process. The CPU never does.
namespace reprise {

void set_allow_tf32(bool allow);
bool allow_tf32();

}  // namespace reprise
