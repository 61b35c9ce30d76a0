#pragma once
// What the cpu backend computes: explicit lists, one line an op. plain/ holds readable loops for every slot and dtype,
// the oracle and the fallback; the files of this folder fill the same slots with faster kernels where they have one.
namespace reprise::cpu {

void fill_plain_kernels();  // cpu/plain/slots.cpp
void fill_fast_kernels();   // cpu/fast_slots.cpp

}  // namespace reprise::cpu
