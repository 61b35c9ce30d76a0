#pragma once
// The lists of cpu/plain, one an op's file.
namespace reprise::cpu {

void fill_add();
void fill_broadcast_to();
void fill_cast();
void fill_div();
void fill_intrinsics();
void fill_mul();
void fill_neg();
void fill_relu();
void fill_slice();
void fill_sub();
void fill_sum();

}  // namespace reprise::cpu
