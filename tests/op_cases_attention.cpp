// Attention, alone and from a packed projection.
#include <array>
#include <cmath>
#include <complex>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

using Index = std::size_t;

// What the formula is told beside its inputs.
struct Setting {
  Index batch = 1, queries, keys, heads = 1, key_heads = 1, head_dim;
  bool causal = false, packed = false;
  double dropout = 0;  // drawn from stream 5
  double scale = 0;    // 0: 1 / sqrt(head_dim)
  Shape mask = {0};    // of the last input where it is not empty
  bool boolean = false;
};

// Inputs q, k, v or qkv, then the mask.
Values attention_formula(const Setting& s, const std::vector<Values>& in) {
  const auto element = [&](Index which, Index positions, Index heads, Index b, Index i, Index h, Index d) {
    if (!s.packed) return in[which][((b * positions + i) * heads + h) * s.head_dim + d];
    return in[0][(((b * positions + i) * 3 + which) * heads + h) * s.head_dim + d];
  };
  const auto mask = [&](const std::array<Index, 4>& place) {  // a broadcast dimension is read at 0
    Index at = 0;
    for (int d = 0; d < s.mask.rank(); ++d) {
      const Index extent = static_cast<Index>(s.mask[d]);
      at = at * extent + (extent == 1 ? 0 : place[static_cast<Index>(4 - s.mask.rank() + d)]);
    }
    return in.back()[at];
  };
  const double scale = s.scale != 0 ? s.scale : 1 / std::sqrt(static_cast<double>(s.head_dim));
  Values y(s.batch * s.queries * s.heads * s.head_dim);
  for (Index b = 0; b < s.batch; ++b)
    for (Index h = 0; h < s.heads; ++h)
      for (Index i = 0; i < s.queries; ++i) {
        const Index key_head = h / (s.heads / s.key_heads);
        Values weights(s.keys);
        double sum = 0;
        for (Index j = 0; j < s.keys; ++j) {
          double score = 0;
          for (Index d = 0; d < s.head_dim; ++d)
            score += scale * element(0, s.queries, s.heads, b, i, h, d) *
                     element(1, s.keys, s.key_heads, b, j, key_head, d);
          bool seen = !s.causal || j <= i;
          if (s.mask.numel() != 0) {
            if (s.boolean)
              seen = seen && mask({b, h, i, j}) != 0;
            else
              score += mask({b, h, i, j});
          }
          weights[j] = seen ? std::exp(score) : 0;
          sum += weights[j];
        }
        for (Index j = 0; j < s.keys; ++j) {
          const Index word = ((b * s.heads + h) * s.queries + i) * ((s.keys + 3) / 4 * 4) + j;
          const bool kept = uniform_from_word(random_word(5, word)) >= static_cast<float>(s.dropout);
          const double weight = sum == 0 || !kept ? 0 : weights[j] / sum / (1 - s.dropout);
          for (Index d = 0; d < s.head_dim; ++d)
            y[((b * s.queries + i) * s.heads + h) * s.head_dim + d] +=
                weight * element(2, s.keys, s.key_heads, b, j, key_head, d);
        }
      }
  return y;
}

Shape shape(std::initializer_list<Index> extents) {
  std::vector<std::int64_t> result;
  for (const Index extent : extents) result.push_back(static_cast<std::int64_t>(extent));
  return {result};
}

OpCase make(std::string name, const Setting& s, std::vector<ExpectedSaves> saves = {}) {
  OpCase result;
  result.name = std::move(name);
  result.saves = std::move(saves);
  result.double_backward = false;
  // dy v^T - sum(dy y) cancels where a query sees few keys, and y has been rounded.
  result.fast_tolerance = 3e-6;
  result.bf16_tolerance = 2e-2;
  result.function = [s](Inputs in) {
    AttentionOptions options{.causal = s.causal, .dropout = s.dropout};
    if (s.mask.numel() != 0) options.mask = in.back();
    if (s.scale != 0) options.scale = s.scale;
    manual_seed(5);
    return s.packed ? attention_qkv(in[0], options) : attention(in[0], in[1], in[2], options);
  };
  result.reference = [s](const std::vector<Values>& in) { return attention_formula(s, in); };
  if (s.packed) {
    result.inputs = {uniform(shape({s.batch, s.queries, 3, s.heads, s.head_dim}), -2, 2)};
  } else {
    const OpInput key = uniform(shape({s.batch, s.keys, s.key_heads, s.head_dim}), -2, 2);
    result.inputs = {uniform(shape({s.batch, s.queries, s.heads, s.head_dim}), -2, 2), key, key};
  }
  if (s.mask.numel() != 0)
    result.inputs.push_back(s.boolean ? mask(s.mask) : exact(frozen(uniform(s.mask, -2, 2))));
  result.large = s.batch * s.heads * s.queries * s.head_dim > 100;
  return result;
}

// With some of q, k and v frozen.
OpCase with_frozen(OpCase op_case, std::initializer_list<Index> inputs) {
  for (const Index i : inputs) op_case.inputs[i].differentiable = false;
  return op_case;
}

OpCase with_bf16_tolerance(OpCase op_case, double tolerance) {
  op_case.bf16_tolerance = tolerance;
  return op_case;
}

// Of x [batch, sequence, heads, head_dim]: each pair of neighbours as a complex number, times exp(i angle).
std::function<Values(const std::vector<Values>&)> rotary_formula(std::size_t sequence, std::size_t heads,
                                                                 std::size_t head_dim, double base,
                                                                 std::size_t first) {
  return [=](const std::vector<Values>& in) {
    Values y;
    for (std::size_t i = 0; i < in[0].size(); i += 2) {
      const std::size_t position = first + i / (heads * head_dim) % sequence;
      const double exponent = static_cast<double>(i % head_dim) / static_cast<double>(head_dim);
      const std::complex<double> turned =
          std::complex(in[0][i], in[0][i + 1]) *
          std::polar(1.0, static_cast<double>(position) / std::pow(base, exponent));
      y.push_back(turned.real());
      y.push_back(turned.imag());
    }
    return y;
  };
}

}  // namespace

std::vector<OpCase> attention_cases() {
  const std::vector<ExpectedSaves> everything = {{.inputs = {0, 1, 2}, .outputs = {0, 1}},
                                                 {.frozen = 1, .inputs = {0, 1, 2}, .outputs = {0, 1}}};
  const Setting small = {.queries = 2, .keys = 3, .head_dim = 3};
  return {
      {.name = "rotary_embedding",
       .function = [](Inputs in) { return rotary_embedding(in[0]); },
       .inputs = {uniform({2, 3, 2, 4})},
       .reference = rotary_formula(3, 2, 4, 10000, 0),
       .saves = {{}}},
      {.name = "rotary_embedding, large, of later positions",
       .function = [](Inputs in) { return rotary_embedding(in[0], {.base = 500, .first = 9}); },
       .inputs = {uniform({2, 65, 3, 34})},
       .reference = rotary_formula(65, 3, 34, 500, 9),
       .large = true},
      make("attention", small, everything),
      make("attention, causal", {.queries = 3, .keys = 3, .head_dim = 2, .causal = true}),
      // Its two queries see one key and two: the gradient of the scores is what rounding leaves of a difference.
      with_bf16_tolerance(
          make("attention, causal, fewer queries", {.queries = 2, .keys = 4, .head_dim = 2, .causal = true}),
          0.2),
      make("attention, causal, fewer keys", {.queries = 4, .keys = 2, .head_dim = 2, .causal = true}),
      make("attention of several heads, causal",
           {.batch = 2, .queries = 3, .keys = 3, .heads = 2, .key_heads = 2, .head_dim = 2, .causal = true}),
      make("attention of grouped queries",
           {.batch = 2, .queries = 2, .keys = 3, .heads = 4, .key_heads = 2, .head_dim = 2}),
      make("attention, one query", {.queries = 1, .keys = 5, .heads = 2, .key_heads = 1, .head_dim = 2}),
      make("attention, a scale", {.queries = 2, .keys = 3, .head_dim = 3, .scale = 0.3}),
      // Rounded weights differ from those that y was summed with, and here too little is seen for that to average out.
      with_bf16_tolerance(make("attention, boolean mask",
                               {.batch = 2,
                                .queries = 2,
                                .keys = 3,
                                .heads = 2,
                                .key_heads = 2,
                                .head_dim = 2,
                                .mask = {2, 1, 2, 3},
                                .boolean = true},
                               {{.inputs = {0, 1, 2, 3}, .outputs = {0, 1}}}),
                          3e-2),
      make("attention, mask of keys, causal", {.batch = 2,
                                               .queries = 6,
                                               .keys = 6,
                                               .head_dim = 2,
                                               .causal = true,
                                               .mask = {2, 1, 1, 6},
                                               .boolean = true}),
      make("attention, added mask", {.batch = 2,
                                     .queries = 2,
                                     .keys = 3,
                                     .heads = 2,
                                     .key_heads = 2,
                                     .head_dim = 2,
                                     .mask = {2, 2, 3}}),
      with_bf16_tolerance(
          make("attention, added mask of queries", {.queries = 2, .keys = 3, .head_dim = 2, .mask = {2, 1}}),
          3e-2),
      make("attention, dropout",
           {.batch = 2, .queries = 2, .keys = 3, .heads = 2, .key_heads = 1, .head_dim = 2, .dropout = 0.4}),
      with_frozen(make("attention, frozen q", small), {0}),
      with_frozen(make("attention, frozen k", small), {1}),
      with_frozen(make("attention, frozen k and v", small), {1, 2}),
      make("attention_qkv",
           {.batch = 2, .queries = 3, .keys = 3, .heads = 2, .key_heads = 2, .head_dim = 2, .packed = true},
           {{.inputs = {0}, .outputs = {0, 1}}}),
      make("attention_qkv, causal, dropout, mask", {.batch = 2,
                                                    .queries = 4,
                                                    .keys = 4,
                                                    .heads = 2,
                                                    .key_heads = 2,
                                                    .head_dim = 2,
                                                    .causal = true,
                                                    .packed = true,
                                                    .dropout = 0.3,
                                                    .mask = {2, 1, 4, 4},
                                                    .boolean = true}),
      // Beyond a tile in every direction, and no multiple of a vector.
      make("attention, large",
           {.batch = 2, .queries = 70, .keys = 133, .heads = 3, .key_heads = 3, .head_dim = 21}),
      make("attention, large, causal, added mask", {.queries = 150,
                                                    .keys = 130,
                                                    .heads = 2,
                                                    .key_heads = 2,
                                                    .head_dim = 40,
                                                    .causal = true,
                                                    .mask = {130}}),
      make("attention, large, dropout, grouped queries", {.batch = 2,
                                                          .queries = 67,
                                                          .keys = 130,
                                                          .heads = 4,
                                                          .key_heads = 2,
                                                          .head_dim = 16,
                                                          .causal = true,
                                                          .dropout = 0.2}),
      make("attention, large, boolean mask", {.batch = 2,
                                              .queries = 65,
                                              .keys = 65,
                                              .heads = 2,
                                              .key_heads = 2,
                                              .head_dim = 80,
                                              .mask = {2, 1, 65, 65},
                                              .boolean = true}),
      make("attention, large, one query",
           {.batch = 3, .queries = 1, .keys = 200, .heads = 4, .key_heads = 4, .head_dim = 64}),
      make("attention_qkv, large, causal", {.batch = 2,
                                            .queries = 130,
                                            .keys = 130,
                                            .heads = 3,
                                            .key_heads = 3,
                                            .head_dim = 64,
                                            .causal = true,
                                            .packed = true}),
      make("attention_qkv, large, causal, dropout", {.queries = 97,
                                                     .keys = 97,
                                                     .heads = 3,
                                                     .key_heads = 3,
                                                     .head_dim = 32,
                                                     .causal = true,
                                                     .packed = true,
                                                     .dropout = 0.1}),
  };
}

}  // namespace reprise::test
