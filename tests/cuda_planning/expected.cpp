#include "reprise/tests/cuda_planning/expected.h"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/cuda/convolution_graph.h"
#include "reprise/tests/cuda_planning/unused.h"

namespace reprise::planning {

namespace {

using cuda::AttentionProblem;
using cuda::Convolution;

constexpr std::array<bool, 3> kEverywhere = {true, true, true}, kNowhere = {false, false, false},
                              kOnH100 = {false, true, false};

struct Attention {
  std::string text;
  AttentionProblem problem;
  std::array<bool, 3> forward, backward;
};

AttentionProblem problem(DType dtype, std::int64_t queries, std::int64_t keys, std::int64_t heads,
                         std::int64_t key_heads, std::int64_t head_dim, bool causal) {
  return {
      dtype, {2, queries, keys, heads, key_heads, head_dim}, causal, heads * head_dim, key_heads * head_dim};
}

std::vector<Attention> attention_list() {
  const DType bf16 = DType::bf16, f16 = DType::f16, f32 = DType::f32;
  return {
      {"in f16, not causal", problem(f16, 200, 200, 6, 6, 64, false), kEverywhere, kEverywhere},
      {"fewer queries than keys", problem(bf16, 70, 133, 4, 4, 24, false), kEverywhere, kEverywhere},
      {"fewer keys than queries, causal", problem(bf16, 133, 70, 4, 4, 32, true), kEverywhere, kEverywhere},
      {"grouped queries", problem(bf16, 512, 512, 8, 2, 64, true), kEverywhere, kEverywhere},
      {"one query", problem(bf16, 1, 256, 4, 4, 64, false), kEverywhere, kEverywhere},
      {"one query and key", problem(bf16, 1, 1, 4, 4, 64, false), kEverywhere, kEverywhere},
      {"heads of 8", problem(bf16, 64, 64, 4, 4, 8, true), kEverywhere, kEverywhere},
      {"heads of 128", problem(bf16, 512, 512, 8, 8, 128, true), kEverywhere, kEverywhere},
      {"heads of 136", problem(bf16, 512, 512, 8, 8, 136, true), kEverywhere, kOnH100},
      {"heads of 256", problem(bf16, 512, 512, 8, 8, 256, true), kEverywhere, kOnH100},
      {"heads of 20", problem(bf16, 64, 64, 4, 4, 20, true), kNowhere, kNowhere},
      {"in f32", problem(f32, 512, 512, 8, 8, 64, true), kNowhere, kNowhere},
      {"too many scores for the gradient's workspace", problem(bf16, 8192, 8192, 2, 2, 64, true), kEverywhere,
       kNowhere},
  };
}

// With a bias in the same graph.
std::vector<Convolution> convolution_list() {
  std::vector<Convolution> result;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (Convolution c : std::initializer_list<Convolution>{
             {.x = {8, 28, 28, 1}, .weight = {6, 5, 5, 1}, .y = {8, 28, 28, 6}, .padding = 2},
             {.x = {8, 14, 14, 6}, .weight = {16, 5, 5, 6}, .y = {8, 10, 10, 16}},
             {.x = {8, 56, 56, 64}, .weight = {64, 3, 3, 64}, .y = {8, 56, 56, 64}, .padding = 1},
             {.x = {8, 56, 56, 64}, .weight = {256, 1, 1, 64}, .y = {8, 56, 56, 256}},
             {.x = {8, 224, 224, 3},
             .weight = {64, 7, 7, 3},
             .y = {8, 112, 112, 64},
             .stride = 2,
             .padding = 3},
             {.x = {8, 28, 28, 32}, .weight = {32, 3, 3, 8}, .y = {8, 24, 24, 32}, .dilation = 2},
             {.x = {8, 28, 28, 32}, .weight = {32, 3, 3, 1}, .y = {8, 28, 28, 32}, .padding = 1},
             {.x = {1, 7, 7, 512}, .weight = {1000, 7, 7, 512}, .y = {1, 1, 1, 1000}}}) {
      c.dtype = dtype;
      c.bias = true;
      result.push_back(c);
    }
  return result;
}

// Max pooling's engines that tell the places are marked as rounding f32, whatever the dtype.
void add_unused(std::vector<Expected>& list) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const std::string in = fmt::format(" in {}", to_string(dtype));
    for (const auto& [text, kind] : {std::pair(", forward", BatchNorm::forward),
                                     std::pair(", forward, with relu", BatchNorm::forward_relu),
                                     std::pair(", forward, with add and relu", BatchNorm::forward_add_relu),
                                     std::pair(", backward", BatchNorm::backward)})
      list.push_back({fmt::format("batch norm{}{}", text, in),
                      [kind, dtype] { return batch_norm_operations(kind, dtype); }, kEverywhere, true});
    list.push_back(
        {"max pooling" + in, [dtype] { return max_pool_operations(dtype, false); }, kEverywhere, true});
    const auto with_indices = [dtype] { return max_pool_operations(dtype, true); };
    list.push_back({"max pooling with indices, exact" + in, with_indices, kNowhere, true});
    list.push_back({"max pooling with indices" + in, with_indices, kEverywhere, false});
  }
}

}  // namespace

const std::vector<Expected>& expected_graphs() {
  static const std::vector<Expected> list = [] {
    std::vector<Expected> result;
    for (const Attention& a : attention_list()) {
      const bool exact = a.problem.dtype == DType::f32;
      const AttentionProblem p = a.problem;
      result.push_back({"attention, " + a.text, [p] { return attention_operations(p); }, a.forward, exact});
      result.push_back({"attention's gradient, " + a.text, [p] { return attention_backward_operations(p); },
                        a.backward, exact});
    }
    for (const Convolution& c : convolution_list())
      result.push_back({fmt::format("convolution with a bias in {}, x {} weight {}", to_string(c.dtype),
                                    to_string(c.x), to_string(c.weight)),
                        [c] { return convolution_operations(c); }, kEverywhere,
                        c.dtype == DType::f32 || c.dtype == DType::f64});
    add_unused(result);
    return result;
  }();
  return list;
}

cuda::PlanResult plan(const Expected& expected, const cuda::Descriptor& device) {
  try {
    return make_plan(expected.operations(), device, {.tf32 = !expected.exact_f32});
  } catch (const DeviceError& error) {
    return {{}, error.what()};
  }
}

}  // namespace reprise::planning
