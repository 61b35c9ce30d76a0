"""How far a result may be from the exact one.

A result `a` is right if it lies between round(exact - b) and round(exact + b), rounded to its dtype, with

    b = k u scale + 2 (smallest denormal number)

u is half a unit in the last place of the dtype that the kernels compute in: 2^-53 for f64, 2^-24 for f32,
bf16 and f16. `scale` is the size of the numbers that are added on the way: |exact| for one product, the sum
of the terms' magnitudes for a sum. k counts roundings; BOUNDS has k and scale of each op. A 16-bit result is
thus rounded once. A gradient of a 16-bit input that comes in f32 may be off by one more rounding to 16 bits.
"""
import math

import torch
import torch.nn.functional as F

ROUNDING = {"f64": 2.0**-53, "f32": 2.0**-24, "bf16": 2.0**-24, "f16": 2.0**-24}
ROUNDING_16 = {"bf16": 2.0**-8, "f16": 2.0**-11}
SMALLEST = {"f64": 2.0**-1074, "f32": 2.0**-149, "bf16": 2.0**-133, "f16": 2.0**-24}


def round_to(exact, dtype):
    """float64 rounded once to nearest even. PyTorch's own cast to 16 bits rounds to float32 first."""
    if dtype not in (torch.bfloat16, torch.float16):
        return exact.to(dtype)
    near = exact.float()
    wide = near.double()
    toward_zero = torch.where(wide.abs() > exact.abs(), torch.nextafter(near, torch.zeros_like(near)), near)
    odd = (toward_zero.view(torch.int32) | 1).view(torch.float32)
    return torch.where((wide == exact) | exact.isnan(), near, odd).to(dtype)


# ---- scales: (case, kind, index) -> float64 tensor; kind is "output", "gradient" or "second"


def own(case, kind, index):
    return case.exact[kind][index].abs()


def terms(case, kind, index):
    """The op on magnitudes: the sum of the terms' magnitudes, if the op is a sum of products."""
    found = case.terms()[kind][index]
    return own(case, kind, index) if found is None else torch.maximum(found, own(case, kind, index))


def added_in_double(case, kind, index):
    """Terms whose sum is kept in double also for smaller dtypes."""
    return terms(case, kind, index) * (1.0 if case.dtype == "f64" else 2.0**-29)


def peak(case, kind, index):
    """The greatest element, for what is mixed along rows."""
    exact = own(case, kind, index)
    finite = exact[exact.isfinite()]
    return torch.full_like(exact, finite.max().item() if finite.numel() else 0.0)


def derivative_near_1(case, kind, index):
    """For functions whose derivatives are at most about 1 and are made of terms of size 1."""
    if kind == "output":
        return own(case, kind, index)
    if kind == "gradient":
        return torch.maximum(case.dy.abs(), own(case, kind, index))
    directions = sum(d.abs() for d in case.directions if d is not None)
    if index == len(case.inputs):
        return torch.maximum(directions, own(case, kind, index))
    return torch.maximum(case.dy.abs() * directions, own(case, kind, index))


def with_argument(case, kind, index):
    """x times a distribution function, which is 1 + something near -1: off by rounding of |x|, up to |x| = 10."""
    if kind == "output":
        x = case.inputs[0].abs()
        return torch.where(x < 10, x, own(case, kind, index))
    scale = derivative_near_1(case, kind, index)
    x = case.inputs[0].abs().clamp(1, 10)
    return scale * x * x


def derivative_op(case, kind, index):
    """gradient times f'(saved) as an op of its own, with |f'| and its derivative near 1."""
    g, x = (t.abs() for t in case.inputs[:2])
    x = x.clamp(1, 10)
    if kind == "output":
        return torch.maximum(g * x, own(case, kind, index))
    size = case.dy.abs() * torch.maximum(g, torch.ones_like(g)) * x * x
    if kind == "second":
        directions = sum(d.abs() for d in case.directions if d is not None)
        size = size + directions * (case.dy.abs() + g + 1) * (1 + g) * x * x
    return torch.maximum(size, own(case, kind, index))


def gate(case, kind, index):
    x = case.inputs[0].abs()
    a, b = x.chunk(2, -1) if x.shape[-1] else (x, x)
    if kind == "output":
        return torch.maximum(torch.where(b < 10, a * b, torch.zeros_like(a)), own(case, kind, index))
    dy = case.dy.abs()
    size = torch.cat([torch.where(b < 10, dy * b, torch.zeros_like(b)),
                      torch.where(b < 10, dy * a * b.clamp(min=1) ** 2, torch.zeros_like(b))], -1)
    return torch.maximum(size, own(case, kind, index))


def with_number(case, kind, index):
    """A number is rounded to the dtype first."""
    if kind != "output":
        return own(case, kind, index)
    return case.inputs[0].abs() + abs(case.options["value"])


def softmax(case, kind, index):
    x = case.inputs[0].detach()
    dim = case.options.get("dim", -1)
    if case.op == "causal_softmax":
        x = x.masked_fill(~torch.ones(x.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    y = F.softmax(x, dim).nan_to_num(0.0)
    below = (x.amax(dim, keepdim=True) - x).nan_to_num(0.0, posinf=0.0) if x.shape[dim] else x
    scale = y * (1 + below)
    if kind == "output":
        return torch.maximum(scale, own(case, kind, index))
    dy = case.dy.abs()
    first = scale * (dy + (dy * scale).sum(dim, keepdim=True))
    if kind == "gradient":
        return torch.maximum(first, own(case, kind, index))
    v = sum(d.abs() for d in case.directions if d is not None)
    vs = v + (v * scale).sum(dim, keepdim=True)
    if index == len(case.inputs):
        return scale * vs
    ds = dy + (dy * scale).sum(dim, keepdim=True)
    each = vs * ds + (scale * vs * ds).sum(dim, keepdim=True)
    return 4 * scale * each


def log_softmax(case, kind, index):
    x = case.inputs[0].detach()
    dim = case.options["dim"]
    if x.shape[dim] == 0:
        return own(case, kind, index)
    y = F.log_softmax(x, dim)
    below = x.amax(dim, keepdim=True) - x
    scale = below + math.log(x.shape[dim]) + 1
    if kind == "output":
        return scale.nan_to_num(0.0)
    p = (y.exp() * scale).nan_to_num(0.0)
    dy = case.dy.abs()
    if kind == "gradient":
        return dy + p * dy.sum(dim, keepdim=True)
    v = sum(d.abs() for d in case.directions if d is not None)
    if index == len(case.inputs):
        return v + (p * v).sum(dim, keepdim=True)
    return 4 * (p * v + p * (p * v).sum(dim, keepdim=True)) * dy.sum(dim, keepdim=True)


def logits_of(case):
    """Logits, the rounding of each relative to u, and the targets, as rows."""
    if case.op == "cross_entropy":
        logits, targets = case.inputs
        logits = logits.detach().reshape(targets.numel(), logits.shape[-1])
        return logits, torch.zeros_like(logits), targets.reshape(-1)
    x, w, targets = (t.detach() for t in case.inputs)
    x = x.reshape(-1, x.shape[-1])
    return x @ w.t(), x.abs() @ w.abs().t(), targets.reshape(-1)


def cross_entropy(case, kind, index):
    logits, rounding, targets = logits_of(case)
    counts = targets != case.options["ignore"]
    classes = logits.shape[-1]
    below = logits.amax(-1, keepdim=True) - logits
    rounding = rounding + rounding.amax(-1, keepdim=True)
    scale = 1 + below + rounding + math.log(classes)
    count = max(1, int(counts.sum()))
    if kind == "output":
        smooth = case.options["smoothing"]
        at = scale.gather(1, targets.clamp(0, classes - 1)[:, None])[:, 0]
        rows = (1 - smooth) * at + smooth * scale.mean(-1)
        return torch.where(counts, rows, torch.zeros_like(rows)).sum() / count
    wanted = F.one_hot(targets.clamp(0, classes - 1), classes) + case.options["smoothing"] / classes
    d = F.softmax(logits, -1) * scale + wanted
    d = torch.where(counts[:, None], d, torch.zeros_like(d)) * (case.dy.abs() / count)
    if case.op == "cross_entropy":
        return d.reshape(case.inputs[0].shape)
    x, w = case.inputs[0].abs(), case.inputs[1].abs()
    return (d @ w).reshape(x.shape) if index == 0 else d.t() @ x.reshape(-1, x.shape[-1])


def binary_cross_entropy(case, kind, index):
    x, t = (i.abs() for i in case.inputs)
    count = max(1, x.numel())
    if kind == "output":
        return (x + 1).mean()
    if kind == "gradient":
        return case.dy.abs() / count * (1 + t if index == 0 else torch.maximum(x, torch.zeros_like(x)))
    seeded = [None if d is None else d.abs() for d in case.directions]
    size = sum(d * factor for d, factor in zip(seeded, (1 + t, x)) if d is not None) / count
    return size.sum() if index == len(case.inputs) else peak(case, kind, index) + own(case, kind, index)


def squares(case, kind, index):
    """A mean of squares of differences, each of which is rounded once."""
    return own(case, kind, index) if kind != "second" else peak(case, kind, index)


def norm(case, kind, index):
    x = case.inputs[0].detach()
    weights = case.inputs[2 if case.op == "batch_norm_add_relu" else 1].detach().abs()
    dims = [-1] if case.op in ("layer_norm", "rms_norm") else list(range(x.dim() - 1))
    mean = torch.zeros_like(x) if case.op == "rms_norm" else x.mean(dims, keepdim=True)
    rstd = ((x - mean).square().mean(dims, keepdim=True) + case.options["eps"]).rsqrt()
    size = (x.abs() + mean.abs()) * rstd
    condition = 1 + size.amax(dims, keepdim=True) if x.numel() else size
    hat = ((x - mean) * rstd).abs()
    if kind == "output":
        if index == 0:
            bias = case.inputs[-1].abs() if case.op != "rms_norm" else 0.0
            residual = case.inputs[1].abs() if case.op == "batch_norm_add_relu" else 0.0
            return hat * condition * weights + size * weights + bias + residual
        shape = case.exact[kind][index].shape
        if index == 1:
            return x.abs().mean(dims, keepdim=True).reshape(shape)
        return (rstd * condition * condition).reshape(shape)
    dy = case.dy.abs()
    scaled = dy * weights
    residual = case.op == "batch_norm_add_relu"
    if index == 0:
        along = (scaled * (hat + size)).mean(dims, keepdim=True)
        return rstd * (scaled + scaled.mean(dims, keepdim=True) + (hat + size) * along) * condition
    if residual and index == 1:
        return dy
    leading = list(range(x.dim() - 1))
    of_weight = index == (2 if residual else 1)
    rows = dy * (hat * condition + size) if of_weight else dy
    return rows.sum(leading) if leading else rows


def norm_with_statistics(case, kind, index):
    x, weight, bias, mean, variance = (t.detach().abs() for t in case.inputs)
    inverse = (variance + case.options["eps"]).rsqrt()
    size = (x + mean) * inverse
    if kind == "output":
        return size * weight + bias
    leading = list(range(x.dim() - 1))
    if kind == "gradient":
        dy = case.dy.abs()
        return [dy * inverse * weight, (dy * size).sum(leading), dy.sum(leading)][index]
    return peak(case, kind, index) * (1 + size.max().item() if size.numel() else 1)


def rotary_embedding(case, kind, index):
    source = case.inputs[0] if kind == "output" else case.dy if kind == "gradient" else case.directions[0]
    if kind == "second" and index == 0:
        return own(case, kind, index)
    x = source.detach().abs()
    pairs = (x[..., 0::2] + x[..., 1::2]).repeat_interleave(2, -1)
    angle = torch.arange(x.shape[1], dtype=torch.float64) + case.options["first"]
    return pairs * (1 + angle[:, None, None])


def attention(case, kind, index):
    from references import visible_keys

    o, masked = case.options, case.options["mask"]
    packed = case.op == "attention_qkv"
    inputs = [t.detach() for t in case.inputs]
    q, k, v = inputs[0].unbind(2) if packed else inputs[:3]
    kept, mask = inputs[1 if packed else 3], inputs[-1] if masked else None
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    heads, key_heads = q.shape[1], k.shape[1]
    k, v = k.repeat_interleave(heads // key_heads, 1), v.repeat_interleave(heads // key_heads, 1)
    scale = o["scale"] if o["scale"] is not None else 1 / math.sqrt(q.shape[-1])
    visible = visible_keys(o, mask, q.shape[2], k.shape[2]).expand(*q.shape[:3], k.shape[2])
    scores = q @ k.transpose(-1, -2) * scale
    rounding = q.abs() @ k.abs().transpose(-1, -2) * scale
    if masked and mask.dtype != torch.bool:
        scores, rounding = scores + mask, rounding + mask.abs()
    scores = torch.where(visible, scores, torch.full_like(scores, -math.inf))
    weights = F.softmax(scores, -1).nan_to_num(0.0)
    rounding = torch.where(visible, rounding, torch.zeros_like(rounding))
    w = weights * (1 + rounding + rounding.amax(-1, keepdim=True))
    factor = kept / (1 - o["dropout"]) if o["dropout"] > 0 else torch.ones_like(w)
    if kind == "output":
        return ((w * factor) @ v.abs()).transpose(1, 2)
    dy = case.dy.abs().transpose(1, 2)
    d = factor * (dy @ v.abs().transpose(-1, -2))
    ds = w * (d + (w * d).sum(-1, keepdim=True)) * scale

    def grouped(t):
        return t.reshape(t.shape[0], key_heads, heads // key_heads, *t.shape[2:]).sum(2).transpose(1, 2)

    gradients = [(ds @ k.abs()).transpose(1, 2), grouped(ds.transpose(-1, -2) @ q.abs()),
                 grouped((w * factor).transpose(-1, -2) @ dy)]
    return torch.stack(gradients, 2) if packed else gradients[index]


def is_winograd(case):
    """Fast kernels of 3x3 convolutions with stride 1 mix a tile of 6x6 pixels (cpu/winograd.h)."""
    shape = list(case.options["weight"])
    return (case.kernels == "fast" and case.dtype in ("f32", "bf16") and shape[1:3] == [3, 3]
            and case.options["stride"] == [1, 1] and case.options["dilation"] == [1, 1]
            and case.options["groups"] == 1)


def convolution(case, kind, index):
    scale = terms(case, kind, index)
    if is_winograd(case):
        finite = scale[scale.isfinite()]
        scale = torch.full_like(scale, finite.max().item() if finite.numel() else 0.0)
    return scale


def contraction(case, kind, index):
    """The number of terms of each element, for products of two operands: sqrt(|a| |b| / |y|) elements."""
    here = max(1, case.exact[kind][index].numel())
    sizes = sorted((t.numel() for t in case.inputs if t.is_floating_point()), reverse=True)[:2]
    if case.dy is not None:
        sizes.append(case.dy.numel())
    product = 1
    for size in sorted(sizes, reverse=True)[:2]:
        product *= max(1, size)
    return math.sqrt(product / here)


def repeats(case, index):
    """Does the op repeat this input? The gradients of the repetitions are rounded before they are added."""
    return case.op in BROADCASTS and case.inputs[index].shape[:-2] != case.dy.shape[:-2] or (
        case.op in BROADCASTS and case.op != "matmul" and case.inputs[index].shape != case.dy.shape)


def sum_factor(case, kind, index):
    """Roundings of a sum in blocks and vector lanes."""
    return 4 + 1.5 * math.sqrt(contraction(case, kind, index))


# Fast kernels in bf16 round the weights of attention, or the logits, to bf16 before they multiply again.
ROUNDS_WEIGHTS = ("attention", "attention_qkv", "linear_cross_entropy")
BROADCASTS = ("add", "sub", "mul", "div", "maximum", "minimum", "where", "matmul")
# The processor's bf16 instructions (AVX512_BF16, AMX) take a denormal number as 0, and give none.
BF16_INSTRUCTIONS = ("linear", "linear_backward_weight", "matmul", "conv2d", "conv2d_backward_input",
                     "conv2d_backward_weight", "conv2d_backward_weight_and_bias", "linear_cross_entropy",
                     "attention", "attention_qkv")
# Fast kernels may take a weight exp(x) below the smallest normal number as 0.
EXPONENTIALS = ("attention", "attention_qkv", "softmax", "log_softmax", "causal_softmax", "cross_entropy",
                "linear_cross_entropy")


def greatest_operand(case):
    """The greatest finite magnitude of the inputs and of the seed."""
    operands = [t for t in case.inputs + [case.dy] if t is not None and t.is_floating_point() and t.numel()]
    return max((t.detach().abs().nan_to_num(0.0, 0.0, 0.0).max().item() for t in operands), default=0.0)


def flushed(case, kind, index):
    """The greatest sum of products that have a denormal factor or result."""
    factors = 3 if case.op in ("attention", "attention_qkv") else 1
    return 2.0**-126 * max(1.0, greatest_operand(case)) ** factors * (2 + contraction(case, kind, index))


class Bound:
    """k and scale for outputs, gradients and second derivatives.

    sums: k grows with the number of terms. rounded: how often a gradient of a 16-bit input is rounded to 16 bits;
    twice if backward reads the output, or a gradient in f32, which is rounded first.
    """

    def __init__(self, output, gradient=None, second=None, sums=False, rounded=1):
        self.rounded = rounded
        gradient = gradient or output
        self.parts = {"output": output, "gradient": gradient, "second": second or gradient}
        self.sums = sums

    def width(self, case, kind, index):
        """b and the scale."""
        k, scale = self.parts[kind]
        if scale is norm:
            width = max(1, case.inputs[-1].numel())
            added = max(width, case.inputs[0].numel() / width)
            k += added / 4 if case.dtype == "f64" else 4 * math.sqrt(added)
        if case.dtype == "f64" and scale in (cross_entropy, squares, binary_cross_entropy):
            k += math.sqrt(case.inputs[0].numel())  # f64 has no wider dtype to add in
        if self.sums:
            k = max(k, sum_factor(case, kind, index))
        size = scale(case, kind, index).detach()
        result = k * ROUNDING.get(case.dtype, 0.0) * size + 2 * SMALLEST.get(case.dtype, 0.0)
        if case.dtype in ROUNDING_16 and (kind == "gradient" or case.op in ROUNDS_WEIGHTS):
            rounded = 2 if kind == "gradient" and repeats(case, index) else self.rounded
            result = result + rounded * ROUNDING_16[case.dtype] * size
        exponential = case.dtype != "f64" and case.op in EXPONENTIALS
        if exponential or (case.dtype == "bf16" and case.op in BF16_INSTRUCTIONS):
            result = result + flushed(case, kind, index)
        return result, size


EXACT = (0, own)
PRODUCT = Bound((4, terms), (4, terms), (8, terms), sums=True)
SUM = Bound((4, added_in_double), (4, terms), (4, terms), sums=True)
ACTIVATION = Bound((8, own), (12, derivative_near_1), (24, derivative_near_1))
ACTIVATION_BY_OUTPUT = Bound((8, own), (12, derivative_near_1), (24, derivative_near_1), rounded=2)
CONVOLUTION = Bound((8, convolution), (8, convolution), (16, convolution), sums=True)
WEIGHT_GRADIENT = Bound((8, convolution), (8, convolution), (16, convolution), sums=True, rounded=2)
ATTENTION = Bound((8, attention), (16, attention), rounded=2)

BOUNDS = {
    "abs": Bound(EXACT),
    "adaptive_avg_pool2d": PRODUCT,
    "add": Bound(EXACT, (4, terms), sums=True),
    "add_scalar": Bound((2, with_number), EXACT),
    "attention": ATTENTION,
    "attention_qkv": ATTENTION,
    "avg_pool2d": PRODUCT,
    "batch_norm": Bound((8, norm), (16, norm)),
    "batch_norm_add_relu": Bound((8, norm), (16, norm)),
    "batch_norm_inference": Bound((8, norm_with_statistics), (16, norm_with_statistics),
                                  (32, norm_with_statistics), sums=True),
    "batch_norm_relu": Bound((8, norm), (16, norm)),
    "binary_cross_entropy_with_logits": Bound((8, binary_cross_entropy), (12, binary_cross_entropy),
                                              (24, binary_cross_entropy)),
    "broadcast_to": Bound(EXACT, (4, terms), sums=True),
    "cast": Bound((2.0**-29, own)),
    "causal_softmax": Bound((8, softmax), (12, softmax), (16, softmax), rounded=2),
    "clamp": Bound((1, own), EXACT),
    "column_sum": PRODUCT,
    "conv2d": CONVOLUTION,
    "conv2d_backward_input": CONVOLUTION,
    "conv2d_backward_weight": WEIGHT_GRADIENT,
    "conv2d_backward_weight_and_bias": WEIGHT_GRADIENT,
    "cross_entropy": Bound((8, cross_entropy), (16, cross_entropy)),
    "div": Bound(EXACT, (4, terms), (8, terms), sums=True),
    "dropout": Bound((3, own)),
    "embedding": PRODUCT,
    "embedding_backward": PRODUCT,
    "exp": Bound((4, own), (6, own), (8, own), rounded=2),
    "gather": PRODUCT,
    "geglu": Bound((12, gate), (24, gate)),
    "gelu": Bound((12, with_argument), (24, with_argument), (48, with_argument)),
    "gelu_backward": Bound((24, derivative_op), (48, derivative_op)),
    "layer_norm": Bound((8, norm), (16, norm)),
    "leaky_relu": Bound((2, own)),
    "leaky_relu_backward": Bound((2, own)),
    "linear": PRODUCT,
    "linear_backward_weight": Bound((4, terms), (4, terms), (8, terms), sums=True, rounded=2),
    "linear_cross_entropy": Bound((8, cross_entropy), (16, cross_entropy), sums=True),
    "log": Bound((4, own)),
    "log_softmax": Bound((8, log_softmax), (12, log_softmax), (16, log_softmax), rounded=2),
    "matmul": PRODUCT,
    "max": Bound(EXACT, (2, own), (2, terms), sums=True),
    "max_pool2d": Bound(EXACT, (4, terms), sums=True),
    "max_pool2d_relu": Bound(EXACT, (4, terms), sums=True),
    "maximum": Bound(EXACT, (4, terms), sums=True),
    "mean": Bound((4, terms), sums=True),
    "min": Bound(EXACT, (2, own), (2, terms), sums=True),
    "minimum": Bound(EXACT, (4, terms), sums=True),
    "mse_loss": Bound((4, squares), (4, squares), (16, squares), sums=True),
    "mul": Bound(EXACT, (4, terms), sums=True),
    "mul_scalar": Bound((2, own)),
    "nll_loss": PRODUCT,
    "div_scalar": Bound((2, own)),
    "pow": Bound((8, own), (12, own), (16, own)),
    "rdiv": Bound((2, own), (6, own), (12, own)),
    "rms_norm": Bound((8, norm), (16, norm)),
    "rotary_embedding": Bound((8, rotary_embedding)),
    "rsub": Bound((2, with_number), EXACT),
    "scatter_add": PRODUCT,
    "sigmoid": ACTIVATION_BY_OUTPUT,
    "sigmoid_backward": Bound((4, derivative_op), (12, derivative_op)),
    "silu": ACTIVATION,
    "silu_backward": Bound((12, derivative_op), (24, derivative_op)),
    "softmax": Bound((8, softmax), (12, softmax), (16, softmax), rounded=2),
    "softplus": ACTIVATION,
    "sqrt": Bound((1, own), (4, own), (8, own), rounded=2),
    "sub": Bound(EXACT, (4, terms), sums=True),
    "sum": SUM,
    "sum_to": SUM,
    "swiglu": Bound((12, gate), (24, gate)),
    "tanh": ACTIVATION_BY_OUTPUT,
    "tanh_backward": Bound((4, derivative_op), (12, derivative_op)),
    "where": Bound(EXACT, (4, terms), sums=True),
}
# Ops that only move or choose elements.
MOVES = Bound(EXACT)
