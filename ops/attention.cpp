#include "reprise/ops/attention.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<AttentionArgs> attention_slot{"attention"};
constinit KernelSlot<AttentionBackwardArgs> attention_backward_slot{"attention_backward"};

namespace {

// The inputs of both ops, separate (q, k, v) or packed (qkv), and the mask where there is one.
struct Form {
  bool packed = false;
  AttentionSettings settings;

  std::size_t count() const { return packed ? 1 : 3; }  // of the inputs before the mask
  const char* name() const { return packed ? "attention_qkv" : "attention"; }

  AttentionShape shape(const Shape& q, const Shape& k) const {
    if (packed) return {q[0], q[1], q[1], q[3], q[3], q[4]};
    return {q[0], q[1], k[1], q[2], k[2], q[3]};
  }
  // Number `which` of q, k, v, or of their gradients.
  template <class V>
  HeadRows<V> rows(std::span<const V> views, const AttentionShape& shape, std::size_t which) const {
    const std::int64_t width = (which == 0 ? shape.heads : shape.key_heads) * shape.head_dim;
    if (!packed) return {views[which], 0, width};
    return {views[0], static_cast<std::int64_t>(which) * width, 3 * width};
  }
  // Without the random address: it differs from step to step and is no part of a plan's fingerprint.
  std::string attributes() const {
    return fmt::format("causal={} dropout={} scale={}", settings.causal, settings.dropout, settings.scale);
  }
};

double flops_of_product(const AttentionShape& s, bool causal) {
  const double pairs = static_cast<double>(s.queries) * static_cast<double>(s.keys) * (causal ? 0.5 : 1.0);
  return 2.0 * pairs * static_cast<double>(s.batch * s.heads * s.head_dim);
}

// Inputs dy, y, lse, then those of the op; outputs the gradients of q, k and v that are wanted, or of qkv.
struct AttentionBackward final : KernelOp<AttentionBackwardArgs> {
  Form form;
  std::array<bool, 3> wanted;
  AttentionBackward(const Form& f, const std::array<bool, 3>& w)
      : KernelOp(f.packed ? "attention_qkv_backward" : "attention_backward", attention_backward_slot, 3),
        form(f),
        wanted(w) {}

  std::string attributes() const override {
    return fmt::format("{} gradients={:d}{:d}{:d}", form.attributes(), wanted[0], wanted[1], wanted[2]);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape(name(), in[0], in[1]);
    if (form.packed) return {in[3]};
    std::vector<ValueInfo> out;
    for (std::size_t i = 0; i < 3; ++i)
      if (wanted[i]) out.push_back(in[3 + i]);
    return out;
  }
  AttentionBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    const std::span<const ConstView> operands = in.subspan(3, form.count());
    const AttentionShape shape =
        form.shape(operands.front().info->shape, operands[form.packed ? 0 : 1].info->shape);
    AttentionBackwardArgs args{.shape = shape,
                               .settings = form.settings,
                               .q = form.rows(operands, shape, 0),
                               .k = form.rows(operands, shape, 1),
                               .v = form.rows(operands, shape, 2),
                               .mask = in.size() > 3 + form.count() ? in[3 + form.count()] : ConstView{},
                               .dy = in[0],
                               .y = in[1],
                               .lse = in[2],
                               .dq = {},
                               .dk = {},
                               .dv = {}};
    std::array<View, 3> gradients;
    std::size_t next = 0;
    for (std::size_t i = 0; i < 3; ++i)
      if (wanted[i]) gradients[i] = form.packed ? out[0] : out[next++];
    const std::span<const View> views(gradients);
    args.dq = form.rows(views, shape, 0);
    args.dk = form.rows(views, shape, 1);
    args.dv = form.rows(views, shape, 2);
    return args;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 5 * flops_of_product(form.shape(in[3].shape, in[form.packed ? 3 : 4].shape), form.settings.causal);
  }
};

// Inputs q, k, v or qkv, then the mask; outputs y, lse.
struct Attention final : KernelOp<AttentionArgs> {
  Form form;
  explicit Attention(const Form& f) : KernelOp(f.name(), attention_slot), form(f) {}

  std::string attributes() const override { return form.attributes(); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo& q = in[0];
    require_floating(name(), q);
    if (form.packed)
      require_packed(q.shape);
    else
      require_separate(q, in[1], in[2]);
    const AttentionShape s = form.shape(q.shape, in[form.packed ? 0 : 1].shape);
    if (in.size() > form.count()) require_mask(q, s, in[form.count()]);
    return {{{s.batch, s.queries, s.heads, s.head_dim}, q.dtype, q.device},
            {{s.batch, s.heads, s.queries}, statistics_dtype(q.dtype), q.device}};
  }
  AttentionArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    const std::span<const ConstView> operands = in.first(form.count());
    const AttentionShape shape =
        form.shape(operands.front().info->shape, operands[form.packed ? 0 : 1].info->shape);
    return {.shape = shape,
            .settings = form.settings,
            .q = form.rows(operands, shape, 0),
            .k = form.rows(operands, shape, 1),
            .v = form.rows(operands, shape, 2),
            .mask = in.size() > form.count() ? in[form.count()] : ConstView{},
            .y = out[0],
            .lse = out[1]};
  }
  Saved saves(Needs needs) const override {
    Saved saved{.inputs = {}, .outputs = {0, 1}};
    for (std::size_t i = 0; i < needs.inputs.size(); ++i) saved.inputs.push_back(static_cast<int>(i));
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    // Detached: lse carries no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> inputs =
        tensors(gradients[0], context.outputs[0].detach(), context.outputs[1].detach());
    inputs.insert(inputs.end(), context.inputs.begin(), context.inputs.end());
    std::array<bool, 3> wanted;
    for (std::size_t i = 0; i < 3; ++i) wanted[i] = form.packed || context.needs(static_cast<int>(i));
    std::vector<Tensor> out =
        record(std::make_shared<const AttentionBackward>(form, wanted), std::move(inputs));
    std::vector<Tensor> result(context.inputs.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < form.count(); ++i)
      if (wanted[i]) result[i] = std::move(out[next++]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 2 * flops_of_product(form.shape(in[0].shape, in[form.packed ? 0 : 1].shape), form.settings.causal);
  }

 private:
  void require_packed(const Shape& qkv) const {
    if (qkv.rank() != 5 || qkv[2] != 3 || qkv[3] < 1 || qkv[4] < 1)
      throw UserError(
          fmt::format("attention_qkv: qkv {} must be [batch, sequence, 3, heads, head_dim] with at least one "
                      "head and head_dim 1",
                      to_string(qkv)));
  }
  void require_separate(const ValueInfo& q, const ValueInfo& k, const ValueInfo& v) const {
    const Shape &sq = q.shape, &sk = k.shape, &sv = v.shape;
    const bool fits = sq.rank() == 4 && sk == sv && sk.rank() == 4 && sq[0] == sk[0] && sq[3] == sk[3];
    if (!fits)
      throw UserError(fmt::format(
          "attention: q {}, k {} and v {} do not fit: q is [batch, queries, heads, head_dim], k and v are "
          "[batch, keys, heads, head_dim]",
          to_string(sq), to_string(sk), to_string(sv)));
    if (sk[2] < 1 || sq[2] < 1 || sq[2] % sk[2] != 0)
      throw UserError(
          fmt::format("attention: the {} heads of q {} are no multiple of the {} of k {}: each head of k and "
                      "v serves as many of q",
                      sq[2], to_string(sq), sk[2], to_string(sk)));
    if (sq[3] < 1) throw UserError(fmt::format("attention: q {} has no head_dim", to_string(sq)));
    require_same_dtype("attention", q, k);
    require_same_dtype("attention", q, v);
  }
  void require_mask(const ValueInfo& q, const AttentionShape& s, const ValueInfo& mask) const {
    const Shape scores = {s.batch, s.heads, s.queries, s.keys};
    bool fits = mask.shape.rank() <= 4;
    for (int d = 1; fits && d <= mask.shape.rank(); ++d)
      fits = mask.shape[-d] == 1 || mask.shape[-d] == scores[-d];
    if (!fits)
      throw UserError(fmt::format("{}: mask {} does not broadcast to [batch, heads, queries, keys] = {}",
                                  name(), to_string(mask.shape), to_string(scores)));
    const DType added = statistics_dtype(q.dtype);
    if (mask.dtype != DType::boolean && mask.dtype != added)
      throw UserError(
          fmt::format("{}: the mask is {} but must be bool (true where a query sees a key) or {} (added to "
                      "the scores): convert "
                      "with .to(DType)",
                      name(), to_string(mask.dtype), to_string(added)));
  }
};

Tensor run(bool packed, std::vector<Tensor> inputs, AttentionOptions options) {
  Form form{.packed = packed,
            .settings = {.causal = options.causal, .dropout = options.dropout, .random = {}}};
  if (!(options.dropout >= 0 && options.dropout <= 1))
    throw UserError(fmt::format("{}: dropout probability {} is not in [0, 1]", form.name(), options.dropout));
  if (options.mask.requires_grad())
    throw UserError(fmt::format("{}: the mask carries no gradient: detach() it", form.name()));
  if (options.mask.defined()) inputs.push_back(std::move(options.mask));

  // What shapes decide stands in the op; infer refuses those that do not fit, here too, before anything is drawn.
  std::vector<ValueInfo> infos;
  for (const Tensor& input : inputs) infos.push_back(input.info());
  const std::vector<ValueInfo> results = Attention(form).infer(infos);
  const AttentionShape s = form.shape(infos[0].shape, infos[packed ? 0 : 1].shape);
  form.settings.scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(s.head_dim)));
  RandomDraw draw(options.dropout > 0
                      ? static_cast<std::uint64_t>(results[1].shape.numel() * ((s.keys + 3) / 4 * 4))
                      : 0);
  if (options.dropout > 0) form.settings.random = draw.address();
  Tensor result = std::move(record(std::make_shared<const Attention>(form), std::move(inputs)).front());
  draw.keep();
  return result;
}

}  // namespace

Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
  return run(false, tensors(std::move(q), std::move(k), std::move(v)), std::move(options));
}

Tensor attention_qkv(Tensor qkv, AttentionOptions options) {
  return run(true, tensors(std::move(qkv)), std::move(options));
}

}  // namespace reprise
