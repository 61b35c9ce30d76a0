// Losses.
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

// Class numbers, some of which are `ignored`.
Tensor drawn_targets(Draw& draw, const Shape& shape, std::int64_t classes, std::int64_t ignored) {
  std::vector<std::int64_t> list(static_cast<std::size_t>(shape.numel()));
  const double rarity = draw.chance(0.5) ? 0 : 0.2;
  for (std::int64_t& x : list) x = draw.chance(rarity) ? ignored : draw.whole(0, classes - 1);
  return Tensor::from(list, shape, {.dtype = DType::i64});
}

CrossEntropyOptions drawn_options(Draw& draw) {
  return {.ignore_index = draw.one_of<std::int64_t>({-100, 0, -1}),
          .label_smoothing = draw.one_of<double>({0.0, 0.0, 0.1, 0.5, 1.0})};
}
nlohmann::json to_json(const CrossEntropyOptions& options) {
  return {{"ignore", options.ignore_index}, {"smoothing", options.label_smoothing}};
}

DrawnCase draw_cross_entropy(Draw& draw, DType dtype) {
  const Shape leading = draw.shape(0, 2);
  const std::int64_t classes = draw.positive_extent(100);
  const CrossEntropyOptions options = drawn_options(draw);
  Tensor logits = draw.input(leading.append(classes), dtype);
  // Logits that lie far from 0 and close to each other.
  const double shift = draw.ordinary() && draw.chance(0.2) ? draw.one_of<double>({100.0, -1000.0, 1e4}) : 0;
  if (shift != 0) {
    const bool wanted = logits.requires_grad();
    logits = (logits.detach() + shift).detach();
    logits.set_requires_grad(wanted);
  }
  return {.inputs = {logits, drawn_targets(draw, leading, classes, options.ignore_index)},
          .function = [=](Inputs in) { return std::vector{cross_entropy(in[0], in[1], options)}; },
          .options = to_json(options),
          .double_backward = false,
          .judged_in_f64 = classes > 3 && draw.values() == Values::ordinary,
          .tolerance = 1e-5};
}

DrawnCase draw_linear_cross_entropy(Draw& draw, DType dtype) {
  const Shape x = draw.positive_shape(1, 3);
  const std::int64_t classes = draw.positive_extent(100);
  const CrossEntropyOptions options = drawn_options(draw);
  return {
      .inputs = {draw.input(x, dtype), draw.input({classes, x[-1]}, dtype),
                 drawn_targets(draw, x.without(-1), classes, options.ignore_index)},
      .function = [=](Inputs in) { return std::vector{linear_cross_entropy(in[0], in[1], in[2], options)}; },
      .options = to_json(options),
      .double_backward = false,
      .library = true,
      .tolerance = 3e-6};
}

DrawnCase draw_nll_loss(Draw& draw, DType dtype) {
  const Shape leading = draw.shape(0, 2);
  const std::int64_t classes = draw.positive_extent(100);
  return {.inputs = {draw.input(leading.append(classes), dtype), drawn_targets(draw, leading, classes, -100)},
          .function = [](Inputs in) { return std::vector{nll_loss(in[0], in[1])}; },
          .terms = true};
}

DrawnCase draw_mse_loss(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 3);
  return {.inputs = {draw.input(shape, dtype), draw.input(shape, dtype)},
          .function = [](Inputs in) { return std::vector{mse_loss(in[0], in[1])}; }};
}

DrawnCase draw_binary_cross_entropy(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 3);
  std::vector<double> targets(static_cast<std::size_t>(shape.numel()));
  for (double& t : targets) t = draw.chance(0.6) ? static_cast<double>(draw.whole(0, 1)) : draw.unit();
  return {.inputs = {draw.input(shape, dtype),
                     Tensor::from(targets, shape, {.dtype = dtype, .requires_grad = draw.chance(0.3)})},
          .function = [](Inputs in) { return std::vector{binary_cross_entropy_with_logits(in[0], in[1])}; },
          .tolerance = 1e-5};
}

}  // namespace

std::vector<Subject> loss_subjects() {
  return {
      {"cross_entropy", kFloating, draw_cross_entropy},
      {"linear_cross_entropy", kFloating, draw_linear_cross_entropy},
      {"nll_loss", kFloating, draw_nll_loss},
      {"mse_loss", kFloating, draw_mse_loss},
      {"binary_cross_entropy_with_logits", kFloating, draw_binary_cross_entropy},
  };
}

}  // namespace reprise::test::differential
