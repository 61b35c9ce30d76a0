// Norms over a batch or a row.
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

std::vector<Tensor> to_list(BatchNormOutputs outputs) {
  return {std::move(outputs.y), std::move(outputs.mean), std::move(outputs.rstd)};
}
double drawn_eps(Draw& draw) { return draw.one_of<double>({1e-5, 1e-6, 1e-3, 0.1}); }
// Weights of a 16-bit input are of its dtype or f32.
DType drawn_weights(Draw& draw, DType dtype) {
  return is_half(dtype) && draw.chance(0.5) ? DType::f32 : dtype;
}

Shape drawn_batch(Draw& draw) {
  const Shape shape = draw.positive_shape(2, 4);
  return shape.numel() / shape[-1] >= 2 ? shape : shape.with(0, 2);
}
DrawnCase batch_norm_case(Draw& draw, DType dtype, bool residual) {
  const Shape shape = drawn_batch(draw);
  DrawnCase result{.inputs = {draw.input(shape, dtype)}, .double_backward = false, .tolerance = 1e-4};
  if (residual) result.inputs.push_back(draw.input(shape, dtype));
  const DType weights = drawn_weights(draw, dtype);
  for (int i = 0; i < 2; ++i) result.inputs.push_back(draw.input({shape[-1]}, weights));
  return result;
}
Subject batch_norm_subject(const char* op, BatchNormOutputs (*function)(Tensor, Tensor, Tensor, double)) {
  return {op, kFloating, [=](Draw& draw, DType dtype) {
            DrawnCase result = batch_norm_case(draw, dtype, false);
            const double eps = drawn_eps(draw);
            result.options = {{"eps", eps}};
            // A ReLU's input within rounding of 0 changes whole gradients.
            result.judged_in_f64 =
                function == batch_norm && result.inputs[0].numel() > 3 * result.inputs[1].numel();
            result.function = [=](Inputs in) { return to_list(function(in[0], in[1], in[2], eps)); };
            return result;
          }};
}
DrawnCase draw_batch_norm_add_relu(Draw& draw, DType dtype) {
  DrawnCase result = batch_norm_case(draw, dtype, true);
  result.judged_in_f64 = false;
  const double eps = drawn_eps(draw);
  result.options = {{"eps", eps}};
  result.function = [=](Inputs in) { return to_list(batch_norm_add_relu(in[0], in[1], in[2], in[3], eps)); };
  return result;
}
DrawnCase draw_batch_norm_inference(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(2, 4), channels({shape[-1]});
  const double eps = drawn_eps(draw);
  const DType weights = drawn_weights(draw, dtype);
  Tensor mean = draw.constant(channels, weights), variance = draw.positive(channels, weights);
  variance.set_requires_grad(false);
  return {.inputs = {draw.input(shape, dtype), draw.input(channels, weights), draw.input(channels, weights),
                     mean, variance},
          .function =
              [=](Inputs in) {
                return std::vector{batch_norm_inference(in[0], in[1], in[2], in[3], in[4], eps)};
              },
          .options = {{"eps", eps}},
          .terms = true,
          .tolerance = 1e-4};
}

// Gradients of rows of one to three elements are mostly rounding: the exact ones are 0 or close to it.
Shape drawn_rows(Draw& draw) {
  const Shape shape = draw.shape(1, 3);
  return shape[-1] >= 1 ? shape : shape.with(-1, 2);
}
DrawnCase draw_layer_norm(Draw& draw, DType dtype) {
  const Shape shape = drawn_rows(draw);
  const double eps = drawn_eps(draw);
  const DType weights = drawn_weights(draw, dtype);
  return {.inputs = {draw.input(shape, dtype), draw.input({shape[-1]}, weights),
                     draw.input({shape[-1]}, weights)},
          .function = [=](Inputs in) { return std::vector{layer_norm(in[0], in[1], in[2], eps)}; },
          .options = {{"eps", eps}},
          .double_backward = false,
          .judged_in_f64 = shape[-1] > 3,
          .tolerance = 1e-4};
}
DrawnCase draw_rms_norm(Draw& draw, DType dtype) {
  const Shape shape = drawn_rows(draw);
  const double eps = drawn_eps(draw);
  return {.inputs = {draw.input(shape, dtype), draw.input({shape[-1]}, drawn_weights(draw, dtype))},
          .function = [=](Inputs in) { return std::vector{rms_norm(in[0], in[1], eps)}; },
          .options = {{"eps", eps}},
          .double_backward = false,
          .judged_in_f64 = shape[-1] > 3,
          .tolerance = 1e-4};
}

}  // namespace

std::vector<Subject> normalization_subjects() {
  return {
      batch_norm_subject("batch_norm", batch_norm),
      batch_norm_subject("batch_norm_relu", batch_norm_relu),
      {"batch_norm_add_relu", kFloating, draw_batch_norm_add_relu},
      {"batch_norm_inference", kFloating, draw_batch_norm_inference},
      {"layer_norm", kFloating, draw_layer_norm},
      {"rms_norm", kFloating, draw_rms_norm},
  };
}

}  // namespace reprise::test::differential
