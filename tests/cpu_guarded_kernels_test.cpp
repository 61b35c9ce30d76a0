// Convolutions and products between guard bytes. Kernels write their outputs and a workspace of exactly
// the declared size, and nothing beside them.
//
// ctest runs this file once for each instruction set that
// oneDNN can be held to (tests/CMakeLists.txt).
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// Bytes that begin on a cache line, with guard bytes on both sides.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes) : bytes_(bytes), storage_(bytes + 2 * kGuard + kLine, kMark) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data()) + kGuard;
    begin_ = kGuard + (kLine - address % kLine) % kLine;
  }
  std::span<std::byte> bytes() { return {storage_.data() + begin_, bytes_}; }
  bool only_inside_was_written() const {
    const auto marked = [](std::byte b) { return b == kMark; };
    const auto inside = storage_.begin() + static_cast<std::ptrdiff_t>(begin_);
    return std::all_of(storage_.begin(), inside, marked) &&
           std::all_of(inside + static_cast<std::ptrdiff_t>(bytes_), storage_.end(), marked);
  }

 private:
  static constexpr std::size_t kGuard = 8192, kLine = 64;
  static constexpr std::byte kMark{0xFF};  // as a number: NaN, so that reading it shows, too
  std::size_t bytes_, begin_;
  std::vector<std::byte> storage_;
};

struct GuardedValue {
  explicit GuardedValue(const ValueInfo& value) : info(value), memory(info.bytes()) {}
  ValueInfo info;
  Guarded memory;
  View view() { return {memory.bytes().data(), &info}; }
  Tensor tensor() {
    const Tensor copy = Tensor::zeros(info.shape, {.dtype = DType::f64});
    convert(memory.bytes().data(), info.dtype, copy.write<double>().data(), DType::f64, info.shape.numel());
    return copy;
  }
};

ConstView read(const Tensor& x) {
  const void* data = x.dtype() == DType::f32 ? static_cast<const void*>(x.read<float>().data())
                                             : static_cast<const void*>(x.read<BFloat16>().data());
  return {data, &x.info()};
}

ValueInfo value(const Shape& shape, DType dtype) { return {shape, dtype, Device::cpu()}; }

// Runs the fast kernel between guard bytes and compares its results with the plain kernel's. `arguments` makes
// the slot's arguments on these results.
template <class Args, class Make>
void check(const KernelSlot<Args>& slot, DType dtype, const std::vector<ValueInfo>& results, Make arguments) {
  const auto run = [&](bool plain) {
    const PlainKernels kernels(plain);
    std::vector<GuardedValue> values(results.begin(), results.end());
    const Args args = arguments(values);
    Guarded workspace(slot.workspace(args, Device::cpu(), dtype));
    slot.run(args, workspace.bytes(), Device::cpu(), dtype);
    INFO((plain ? "plain" : "fast") << " kernel, workspace of " << workspace.bytes().size() << " bytes");
    CHECK(workspace.only_inside_was_written());
    std::vector<Tensor> tensors;
    for (GuardedValue& result : values) {
      CHECK(result.memory.only_inside_was_written());
      tensors.push_back(result.tensor());
    }
    return tensors;
  };
  const std::vector<Tensor> fast = run(false), plain = run(true);
  for (std::size_t i = 0; i < fast.size(); ++i)
    CHECK(relative_rms_error(fast[i], plain[i]) < (dtype == DType::f32 ? 1e-5 : 1e-2));
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::int64_t number(std::int64_t low, std::int64_t high) {  // both included
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool flag() { return number(0, 1) == 1; }
  Pair pair(std::int64_t low, std::int64_t high) { return {number(low, high), number(low, high)}; }
  // Often few channels, where kernels work on parts of vectors; sometimes whole vectors of them.
  std::int64_t channels() {
    const std::int64_t kind = number(0, 3);
    return kind == 0 ? 16 * number(1, 4) : number(1, kind == 1 ? 40 : 9);
  }
  Tensor values(const Shape& shape, DType dtype) {
    return cast(Tensor::rand(shape), dtype);  // of one sign: sums do not cancel
  }

 private:
  std::mt19937_64 engine_;
};

struct ConvolutionCase {
  Shape x, weight, y;
  Conv2dFunctionOptions options;
};

ConvolutionCase random_convolution(Random& random) {
  for (;;) {
    const bool pointwise = random.number(0, 2) == 0;
    const std::int64_t groups = random.number(0, 3) == 0 ? random.number(2, 4) : 1;
    const std::int64_t in = groups * random.channels(), out = groups * random.channels();
    const Pair kernel = pointwise ? Pair(1) : random.pair(1, 5);
    const Conv2dFunctionOptions o = {.stride = random.pair(1, 3),
                                     .padding = pointwise ? Pair(0) : random.pair(0, 2),
                                     .dilation = random.number(0, 3) == 0 ? random.pair(1, 2) : Pair(1),
                                     .groups = groups};
    const std::int64_t n = random.number(1, 3), h = random.number(1, 20), w = random.number(1, 20);
    const std::int64_t p = h + 2 * o.padding.h - o.dilation.h * (kernel.h - 1) - 1;
    const std::int64_t q = w + 2 * o.padding.w - o.dilation.w * (kernel.w - 1) - 1;
    if (p >= 0 && q >= 0)
      return {{n, h, w, in},
              {out, kernel.h, kernel.w, in / groups},
              {n, p / o.stride.h + 1, q / o.stride.w + 1, out},
              o};
  }
}

std::string text(const ConvolutionCase& c) {
  const Conv2dFunctionOptions& o = c.options;
  return to_string(c.x) + " by " + to_string(c.weight) + ", stride " + std::to_string(o.stride.h) + "x" +
         std::to_string(o.stride.w) + ", padding " + std::to_string(o.padding.h) + "x" +
         std::to_string(o.padding.w) + ", dilation " + std::to_string(o.dilation.h) + "x" +
         std::to_string(o.dilation.w) + ", groups " + std::to_string(o.groups);
}

void check_convolution(const ConvolutionCase& c, DType dtype, bool bias, Random& random) {
  INFO(text(c) << ", " << to_string(dtype) << (bias ? ", bias, " : ", ") << num_threads() << " threads");
  const Tensor x = random.values(c.x, dtype), weight = random.values(c.weight, dtype);
  const Tensor b = random.values({c.weight[0]}, dtype), dy = random.values(c.y, dtype);
  using Values = std::vector<GuardedValue>;
  {
    INFO("forward");
    check(conv2d_slot, dtype, {value(c.y, dtype)}, [&](Values& to) {
      return Conv2dArgs{read(x), read(weight), bias ? read(b) : ConstView{}, to[0].view(), c.options};
    });
  }
  {
    INFO("gradient of x");
    check(conv2d_backward_input_slot, dtype, {value(c.x, dtype)}, [&](Values& to) {
      return Conv2dBackwardInputArgs{read(dy), read(weight), to[0].view(), c.options};
    });
  }
  INFO("gradient of the weight");
  std::vector<ValueInfo> gradients = {value(c.weight, DType::f32)};
  if (bias) gradients.push_back(value({c.weight[0]}, DType::f32));
  check(conv2d_backward_weight_slot, dtype, gradients, [&](Values& to) {
    return Conv2dBackwardWeightArgs{read(dy), read(x), to[0].view(), bias ? to[1].view() : View{}, c.options};
  });
}

void check_products(Random& random, DType dtype) {
  using Values = std::vector<GuardedValue>;
  const std::int64_t m = random.number(1, 70), n = random.number(1, 70), k = random.number(1, 300);
  const std::int64_t batch = random.number(1, 4);
  const bool transpose_a = random.flag(), transpose_b = random.flag();
  INFO("m " << m << ", n " << n << ", k " << k << ", batch " << batch << (transpose_a ? ", a transposed" : "")
            << (transpose_b ? ", b transposed, " : ", ") << to_string(dtype) << ", " << num_threads()
            << " threads");
  const Tensor x = random.values({m, k}, dtype), w = random.values({n, k}, dtype);
  const Tensor b = random.values({n}, dtype), dy = random.values({m, n}, dtype);
  check(linear_slot, dtype, {value({m, n}, dtype)}, [&](Values& to) {
    return LinearArgs{read(x), read(w), transpose_a ? read(b) : ConstView{}, to[0].view()};
  });
  check(linear_backward_weight_slot, dtype, {value({n, k}, DType::f32)}, [&](Values& to) {
    return LinearBackwardWeightArgs{read(dy), read(x), to[0].view()};
  });
  const std::int64_t a_matrices = random.flag() ? batch : 1;
  const std::int64_t b_matrices = a_matrices == 1 || random.flag() ? batch : 1;
  const Tensor left = random.values({a_matrices, m, k}, dtype),
               right = random.values({b_matrices, k, n}, dtype);
  check(matmul_slot, dtype, {value({batch, m, n}, dtype)}, [&](Values& to) {
    MatmulArgs args{read(left), read(right), to[0].view(), transpose_a, transpose_b, m, n, k, batch};
    args.a_matrices = a_matrices;
    args.b_matrices = b_matrices;
    return args;
  });
}

}  // namespace

TEST_CASE("convolutions write nothing outside their outputs and workspace", "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (unsigned seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    manual_seed(seed);
    const ThreadCount threads(static_cast<int>(random.number(1, 3)));
    check_convolution(random_convolution(random), dtype, random.flag(), random);
  }
}

TEST_CASE("strided 1x1 convolutions of few channels write nothing outside their workspace",
          "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const int threads_of_case = GENERATE(1, 2);
  const ThreadCount threads(threads_of_case);
  Random random(1);
  for (const std::int64_t in : {1, 2, 3, 5, 7, 8, 9, 15, 17})
    for (const Pair stride : {Pair(1, 2), Pair(2, 1), Pair(2), Pair(3)}) {
      const Shape y = {3, 13 / stride.h + 1, 15 / stride.w + 1, 128};
      check_convolution({{3, 14, 16, in}, {128, 1, 1, in}, y, {.stride = stride}}, dtype, false, random);
    }
}

TEST_CASE("strided 1x1 convolutions with groups write nothing outside their workspace",
          "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const int threads_of_case = GENERATE(1, 2);
  const ThreadCount threads(threads_of_case);
  Random random(1);
  for (const std::int64_t groups : {2, 4, 5})
    for (const std::int64_t in : {1, 3, 7, 8, 9, 12, 15, 16, 17})
      for (const Pair stride : {Pair(1, 2), Pair(3, 2)}) {
        const Shape y = {3, 3 / stride.h + 1, 4 / stride.w + 1, 9 * groups};
        check_convolution(
            {{3, 4, 5, in * groups}, {9 * groups, 1, 1, in}, y, {.stride = stride, .groups = groups}}, dtype,
            false, random);
      }
}

// The gradients start as NaN, so that a place that is not written shows.
TEST_CASE("the gradient of a convolution's weight is right for dilated kernels and places outside the image",
          "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  const int threads_of_case = GENERATE(1, 3);
  const ThreadCount threads(threads_of_case);
  Random random(1);
  for (const ConvolutionCase& c : std::vector<ConvolutionCase>{
           {{1, 7, 8, 40}, {40, 2, 2, 40}, {1, 5, 6, 40}, {.dilation = 2}},
           {{3, 2, 8, 40}, {40, 1, 1, 40}, {3, 2, 8, 40}, {.dilation = 2}},
           {{1, 14, 4, 40}, {1, 3, 3, 40}, {1, 12, 2, 1}, {.padding = 1, .dilation = 2}},
           {{3, 13, 15, 33}, {40, 5, 5, 33}, {3, 9, 11, 40}, {.padding = 2, .dilation = 2}},
           {{3, 8, 1, 1}, {6, 3, 3, 1}, {3, 4, 1, 6}, {.stride = 2, .padding = 1}},
           {{3, 8, 2, 7}, {40, 2, 2, 7}, {3, 3, 1, 40}, {.stride = 3, .padding = 1}},
           {{2, 9, 1, 160}, {8, 3, 3, 40}, {2, 3, 1, 8}, {.stride = 3, .padding = {0, 1}, .groups = 4}},
           {{1, 13, 1, 35}, {35, 4, 4, 1}, {1, 5, 1, 35}, {.stride = 2, .padding = {0, 2}, .groups = 35}}})
    check_convolution(c, dtype, false, random);
}

TEST_CASE("products write nothing outside their outputs and workspace", "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (unsigned seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    manual_seed(seed);
    const ThreadCount threads(static_cast<int>(random.number(1, 3)));
    check_products(random, dtype);
  }
}

TEST_CASE("a kernel stays inside a workspace that was computed for another number of threads",
          "[cpu][instructions][guarded]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (const ConvolutionCase& c :
       std::vector<ConvolutionCase>{{{4, 16, 16, 32}, {64, 3, 3, 32}, {4, 16, 16, 64}, {.padding = 1}},
                                    {{4, 16, 16, 24}, {40, 5, 5, 24}, {4, 16, 16, 40}, {.padding = 2}},
                                    {{8, 16, 16, 256}, {160, 1, 1, 256}, {8, 16, 16, 160}, {}}})
    for (const int before : {1, 2, 3})
      for (const int after : {1, 2, 3}) {
        INFO(text(c) << ", " << to_string(dtype) << ", " << before << " threads, then " << after);
        const Tensor x = cast(Tensor::rand(c.x), dtype), dy = cast(Tensor::rand(c.y), dtype);
        GuardedValue gradient(value(c.weight, DType::f32));
        const Conv2dBackwardWeightArgs args = {read(dy), read(x), gradient.view(), View{}, c.options};
        const auto bytes_for = [&](int count) {
          const ThreadCount threads(count);
          return conv2d_backward_weight_slot.workspace(args, Device::cpu(), dtype);
        };
        Guarded workspace(bytes_for(before));
        const ThreadCount threads(after);
        try {
          conv2d_backward_weight_slot.run(args, workspace.bytes(), Device::cpu(), dtype);
        } catch (const UserError& error) {
          CHECK(bytes_for(before) < bytes_for(after));
        }
        CHECK(workspace.only_inside_was_written());
        CHECK(gradient.memory.only_inside_was_written());
      }
}
