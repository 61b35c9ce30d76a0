#pragma once
// What the cuda backend computes: explicit lists, one a file.
namespace reprise::cuda {

void fill_kernel_slots();

}  // namespace reprise::cuda
