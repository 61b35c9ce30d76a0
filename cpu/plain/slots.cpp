// One line an op, in alphabetical order of the file that holds its kernels.
#include "reprise/cpu/plain/slots.h"

#include "reprise/cpu/slots.h"

namespace reprise::cpu {

void fill_plain_kernels() {
  fill_add();
  fill_broadcast_to();
  fill_cast();
  fill_div();
  fill_intrinsics();
  fill_mul();
  fill_neg();
  fill_relu();
  fill_slice();
  fill_sub();
  fill_sum();
}

}  // namespace reprise::cpu
