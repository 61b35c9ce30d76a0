// One line a file, in alphabetical order.
#include "reprise/cuda/slots.h"

namespace reprise::cuda {

void fill_kernel_slots() {
  fill_activations();
  fill_arithmetic();
  fill_attention();
  fill_convolution();
  fill_dropout();
  fill_embedding();
  fill_linear_cross_entropy();
  fill_losses();
  fill_movement();
  fill_norms();
  fill_pooling();
  fill_products();
  fill_reductions();
  fill_softmax();
  fill_transformer();
  fill_updates();
}

}  // namespace reprise::cuda
