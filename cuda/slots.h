#pragma once
// What the cuda backend computes: explicit lists, one a file.
namespace reprise::cuda {

void fill_kernel_slots();

void fill_activations();
void fill_arithmetic();
void fill_attention();
void fill_convolution();
void fill_dropout();
void fill_embedding();
void fill_linear_cross_entropy();
void fill_losses();
void fill_movement();
void fill_norms();
void fill_pooling();
void fill_products();
void fill_reductions();
void fill_softmax();
void fill_transformer();
void fill_updates();

}  // namespace reprise::cuda
