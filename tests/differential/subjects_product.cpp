// Matrix products and attention.
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

DrawnCase draw_linear(Draw& draw, DType dtype) {
  const Shape x = draw.shape(1, 3);
  const std::int64_t out = draw.chance(0.02) ? 0 : draw.positive_extent(100);
  const bool bias = draw.chance(0.6);
  DrawnCase result{
      .inputs = {draw.input(x, dtype), draw.input({out, x[-1]}, dtype)},
      .function = [=](Inputs in) { return std::vector{linear(in[0], in[1], bias ? in[2] : Tensor())}; },
      .terms = true,
      .library = true};
  if (bias) result.inputs.push_back(draw.input({out}, dtype));
  return result;
}
DrawnCase draw_linear_backward_weight(Draw& draw, DType dtype) {
  const Shape leading = draw.shape(0, 2);
  return {.inputs = {draw.input(leading.append(draw.positive_extent(100)), dtype),
                     draw.input(leading.append(draw.positive_extent(100)), dtype)},
          .function = [](Inputs in) { return std::vector{linear_backward_weight(in[0], in[1])}; },
          .terms = true,
          .library = true};
}

DrawnCase draw_matmul(Draw& draw, DType dtype) {
  const std::int64_t m = draw.extent(), k = draw.extent(), n = draw.extent();
  const bool row = draw.chance(0.1), column = draw.chance(0.1);
  MatmulOptions options;
  if (!row && !column) options = {.transpose_a = draw.chance(0.3), .transpose_b = draw.chance(0.3)};
  const bool large = m * k * n > 20000;
  const Shape batch = large                           ? Shape()
                      : draw.shape(0, 2).numel() < 40 ? draw.positive_shape(0, 1)
                                                      : Shape({2, 3});
  const Shape other = draw.broadcastable(batch);
  const bool first = draw.chance(0.5);
  const auto matrix = [](const Shape& leading, std::int64_t rows, std::int64_t columns, bool transposed) {
    return leading.append(transposed ? columns : rows).append(transposed ? rows : columns);
  };
  const Shape a = row ? Shape({k}) : matrix(first ? batch : other, m, k, options.transpose_a);
  const Shape b = column ? Shape({k}) : matrix(first ? other : batch, k, n, options.transpose_b);
  const bool plain_form = row || column || draw.chance(0.3);
  if (plain_form && (options.transpose_a || options.transpose_b)) return draw_matmul(draw, dtype);
  return {.inputs = {draw.input(a, dtype), draw.input(b, dtype)},
          .function =
              [=](Inputs in) {
                return std::vector{plain_form ? matmul(in[0], in[1]) : matmul(in[0], in[1], options)};
              },
          .options = {{"transpose_a", options.transpose_a}, {"transpose_b", options.transpose_b}},
          .terms = true,
          .library = true};
}

// attention and attention_qkv share this: options, and the mask as the last input.
struct DrawnAttention {
  AttentionOptions options;
  std::optional<Tensor> mask;
  std::uint64_t seed = 0;
  nlohmann::json json;
};
DrawnAttention draw_attention_options(Draw& draw, DType dtype, std::int64_t batch, std::int64_t heads,
                                      std::int64_t queries, std::int64_t keys) {
  DrawnAttention drawn;
  drawn.options.causal = draw.chance(0.4);
  if (draw.chance(0.3)) drawn.options.scale = draw.number(0.1, 1.5);
  if (draw.chance(0.15)) drawn.options.dropout = 0.3;
  drawn.seed = static_cast<std::uint64_t>(draw.whole(1, 1000));
  if (draw.chance(0.4)) {
    const Shape mask(
        {draw.chance(0.5) ? batch : 1, draw.chance(0.5) ? heads : 1, draw.chance(0.7) ? queries : 1, keys});
    drawn.mask = draw.chance(0.5) ? draw.integers(mask, 0, 1, DType::boolean)
                                  : draw.ordinary(mask, dtype == DType::f64 ? DType::f64 : DType::f32);
  }
  drawn.json = {{"causal", drawn.options.causal},
                {"dropout", drawn.options.dropout},
                {"mask", drawn.mask.has_value()},
                {"scale", nullptr}};
  if (drawn.options.scale) drawn.json["scale"] = *drawn.options.scale;
  return drawn;
}

// The factors of dropout's mask, [batch, heads, queries, keys], by the addresses that attention.h states.
Tensor kept_weights(const DrawnAttention& drawn, std::int64_t batch, std::int64_t heads, std::int64_t queries,
                    std::int64_t keys) {
  const std::int64_t row = (keys + 3) / 4 * 4;
  std::vector<double> kept;
  for (std::int64_t i = 0; i < batch * heads * queries; ++i)
    for (std::int64_t j = 0; j < keys; ++j)
      kept.push_back(uniform_from_word(random_word(drawn.seed, static_cast<std::uint64_t>(i * row + j))) >=
                             static_cast<float>(drawn.options.dropout)
                         ? 1
                         : 0);
  return Tensor::from(kept, {batch, heads, queries, keys}, {.dtype = DType::boolean});
}

// The function of the case: the tensors of the projection, then dropout's mask (for the judge only), then the mask.
DrawnCase attention_case(std::vector<Tensor> tensors, const DrawnAttention& drawn, const Tensor& kept) {
  DrawnCase result{.inputs = std::move(tensors),
                   .options = drawn.json,
                   .double_backward = false,
                   // Gradients of the scores of a few keys are mostly rounding.
                   .judged_in_f64 = kept.size(-1) > 3 && !drawn.mask,
                   .tolerance = 3e-6};
  const bool packed = result.inputs.size() == 1, masked = drawn.mask.has_value();
  result.inputs.push_back(kept);
  if (masked) result.inputs.push_back(*drawn.mask);
  result.function = [=](Inputs in) {
    manual_seed(drawn.seed);
    AttentionOptions options = drawn.options;
    if (masked) {
      options.mask = in.back();
      if (is_floating(options.mask.dtype()) && in[0].dtype() == DType::f64)
        options.mask = options.mask.to(DType::f64);
    }
    return std::vector{packed ? attention_qkv(in[0], options) : attention(in[0], in[1], in[2], options)};
  };
  return result;
}

DrawnCase draw_attention(Draw& draw, DType dtype) {
  const std::int64_t batch = draw.chance(0.02) ? 0 : draw.whole(1, 3), key_heads = draw.whole(1, 3);
  const std::int64_t heads = key_heads * draw.whole(1, 3), width = draw.positive_extent(72);
  const std::int64_t queries = draw.positive_extent(90),
                     keys = draw.chance(0.6) ? queries : draw.positive_extent(90);
  const DrawnAttention drawn = draw_attention_options(draw, dtype, batch, heads, queries, keys);
  return attention_case(
      {draw.input({batch, queries, heads, width}, dtype), draw.input({batch, keys, key_heads, width}, dtype),
       draw.input({batch, keys, key_heads, width}, dtype)},
      drawn, kept_weights(drawn, batch, heads, queries, keys));
}
DrawnCase draw_attention_qkv(Draw& draw, DType dtype) {
  const std::int64_t batch = draw.whole(1, 3), heads = draw.whole(1, 3), width = draw.positive_extent(72);
  const std::int64_t length = draw.positive_extent(90);
  const DrawnAttention drawn = draw_attention_options(draw, dtype, batch, heads, length, length);
  return attention_case({draw.input({batch, length, 3, heads, width}, dtype)}, drawn,
                        kept_weights(drawn, batch, heads, length, length));
}

DrawnCase draw_rotary_embedding(Draw& draw, DType dtype) {
  const Shape shape({draw.whole(1, 3), draw.extent(), draw.whole(1, 3), 2 * draw.positive_extent(32)});
  const RotaryEmbeddingOptions options{.base = draw.one_of<double>({10000.0, 100.0, 500000.0}),
                                       .first = draw.one_of<std::int64_t>({0, 1, 17, 1000})};
  return {.inputs = {draw.input(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{rotary_embedding(in[0], options)}; },
          .options = {{"base", options.base}, {"first", options.first}},
          .tolerance = 3e-6};
}

}  // namespace

std::vector<Subject> product_subjects() {
  return {
      {"linear", kFloating, draw_linear},
      {"linear_backward_weight", kFloating, draw_linear_backward_weight},
      {"matmul", kFloating, draw_matmul},
      {"attention", kFloating, draw_attention},
      {"attention_qkv", kFloating, draw_attention_qkv},
      {"rotary_embedding", kFloating, draw_rotary_embedding},
  };
}

}  // namespace reprise::test::differential
