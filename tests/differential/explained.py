"""Differences from PyTorch that are decisions of Reprise, or PyTorch's own faults.

Each entry: the ops, a reason, and a test on one tensor of a case that gives the elements it explains, as a
mask or True. The run prints how many cases each one explains.
"""
from dataclasses import dataclass
from typing import Callable

import torch

from bounds import BOUNDS, SMALLEST, greatest_operand, is_winograd
from references import batch_norm


EVERY = ("every op",)


@dataclass
class Explained:
    ops: tuple
    reason: str
    when: Callable  # (case, kind, index, actual, exact) -> mask


def in_gradient(mask):
    return lambda case, kind, index, actual, exact: mask(case, actual, exact) if kind != "output" else False


def at_limits(case):
    x = case.inputs[0]
    dtype = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16}[case.dtype]
    low, high = (torch.tensor(case.options[name]).double().to(dtype).double() for name in ("min", "max"))
    return (x == low) | (x == high)


GREATEST = {"f64": 1.797e308, "f32": 3.402e38, "bf16": 3.389e38, "f16": 65504.0}


def overflows(case, kind, index, actual, exact):
    """The terms of a sum pass the range, so a partial sum may be infinite in one order and not in another."""
    return ~actual.isfinite() & (case.scale >= 0.5 * GREATEST.get(case.dtype, float("inf")))


def nothing_wider(case, kind, index, actual, exact):
    return (case.dtype == "f64") & (~actual.isfinite() | ~exact.isfinite()) & case.far_from_1


def touches(case, exact, test):
    """Elements of which an operand passes the test; an operand of another shape counts as a whole."""
    mask = torch.zeros(exact.shape, dtype=torch.bool)
    for operand in case.inputs + [case.dy] + case.directions:
        if operand is None or not operand.is_floating_point():
            continue
        hit = test(operand.detach())
        try:
            mask = mask | hit.broadcast_to(exact.shape)
        except RuntimeError:
            mask = mask | hit.any()
    return mask


def infinity_anywhere(case, kind, index, actual, exact):
    return exact.isnan() & bool(touches(case, exact, torch.isinf).any())


def infinite_operands(case, kind, index, actual, exact):
    return exact.isnan() & touches(case, exact, torch.isinf)


def poles(case, kind, index, actual, exact):
    return exact.isnan() & touches(case, exact, lambda t: t == 0)


def nan_anywhere(case, kind, index, actual, exact):
    return kind != "output" and bool(case.inputs[0].isnan().any())


def nan_before_relu(case, kind, index, actual, exact):
    return kind != "output" and bool(case.exact["output"][0].isnan().any())


def infinite_input(case, kind, index, actual, exact):
    return case.inputs[0].isinf() if case.inputs[0].shape == exact.shape else False


def fades(case, kind, index, actual, exact):
    """x of a function with sigmoid(x), or of one with erf(x), below which f32 has only denormal numbers or 0."""
    limit = -5 if case.op in ("gelu", "geglu") else -86
    below = touches(case, exact, lambda t: t < limit)
    narrow = case.dtype != "f64" or limit == -5
    return (kind == "output") & narrow & (actual.abs() <= exact.abs()) & below


def near_kink(case, kind, index, actual, exact):
    """ReLU's input is within rounding of 0, or is rounded to 0."""
    if kind == "output":
        return False
    inputs = [t.detach() for t in case.inputs]
    residual = case.op == "batch_norm_add_relu"
    y = batch_norm(inputs[0], inputs[-2], inputs[-1], case.options)[0] + (inputs[1] if residual else 0.0)
    width, _ = BOUNDS[case.op].width(case, "output", 0)
    return bool((y.abs() <= width + SMALLEST[case.dtype]).any())


def variance_overflows(case, kind, index, actual, exact):
    """The sum of squares passes the range, or dy times weight does."""
    return case.values in ("huge", "special") and greatest_operand(case) >= 1e18


NORMS = ("batch_norm", "batch_norm_relu", "batch_norm_add_relu", "layer_norm", "rms_norm", "batch_norm_inference")
ELEMENTWISE = (
    "abs", "abs_backward", "add", "add_scalar", "div", "exp", "gelu", "gelu_backward", "leaky_relu",
    "leaky_relu_backward", "log", "mul", "mul_scalar", "div_scalar", "pow", "rdiv", "rsub", "sigmoid",
    "sigmoid_backward", "silu", "silu_backward", "softplus", "sqrt", "sub", "tanh", "tanh_backward")
CONVOLUTIONS = ("conv2d", "conv2d_backward_input", "conv2d_backward_weight", "conv2d_backward_weight_and_bias")
ATTENTION = ("attention", "attention_qkv")
CROSS_ENTROPY = ("cross_entropy", "linear_cross_entropy")
MEANS = ("mean", "mse_loss", "binary_cross_entropy_with_logits")
FADING = ("sigmoid", "silu", "swiglu", "softplus", "gelu", "geglu", "exp")


def padding_of_infinity(case, kind, index, actual, exact):
    either = exact.isnan() | actual.isnan()
    o = case.options
    mixed = case.kernels == "fast" and (case.dtype == "bf16" or is_winograd(case))
    zeros = mixed or max(o["padding"]) > 0 or max(o["stride"] + o["dilation"]) > 1
    return either & zeros & bool(touches(case, exact, lambda t: ~t.isfinite()).any())


def ignored(case, kind, index, actual, exact):
    return exact.isnan() & (actual == 0) & bool((case.inputs[-1] == case.options["ignore"]).any())


def nan_operand(case, kind, index, actual, exact):
    return touches(case, exact, torch.isnan) & (actual == 0)


def of_nothing(case, kind, index, actual, exact):
    return kind == "second" and case.inputs[0].numel() == 0


EXPLAINED = [
    Explained(EVERY, "partial sums pass the dtype's range, as the sum of the terms' magnitudes does", overflows),
    Explained(EVERY, "f64 near its greatest number: no wider dtype says where overflow begins", nothing_wider),
    Explained(ELEMENTWISE, "infinity minus infinity, or times 0: the order of the operations decides",
              infinite_operands),
    Explained(("div", "rdiv", "pow", "sqrt", "log", "div_scalar"),
              "infinity minus infinity at a pole: the order of the operations decides", poles),
    Explained(FADING, "a result below the smallest normal number may be 0", fades),
    Explained(NORMS, "the variance, or dy times weight, passes the dtype's range", variance_overflows),
    Explained(("batch_norm_relu", "batch_norm_add_relu"), "ReLU's input is within rounding of 0", near_kink),
    Explained(("batch_norm_relu", "batch_norm_add_relu"),
              "if ReLU's input is NaN the gradient is 0 (ops/relu.h); PyTorch's is g", nan_before_relu),
    Explained(("relu", "leaky_relu"), "at NaN the gradient is 0, or slope times g (ops/relu.h); PyTorch's is g",
              in_gradient(lambda case, actual, exact: case.inputs[0].isnan())),
    Explained(ATTENTION, "scores pass the dtype's range", variance_overflows),
    Explained(ATTENTION, "a weight of 0 skips its value, and a row of scores that are all -infinity gives 0; "
              "PyTorch gives NaN", infinity_anywhere),
    Explained(("abs", "abs_backward"), "at NaN the gradient is 0; PyTorch's is NaN", nan_operand),
    Explained(("abs",), "an infinite gradient at 0 gives 0; PyTorch gives NaN",
              in_gradient(lambda case, actual, exact: (case.inputs[0] == 0) & exact.isnan())),
    Explained(("geglu", "swiglu"), "a gate of -infinity gives its limit, 0; PyTorch gives NaN", infinity_anywhere),
    Explained(("max", "min"), "a NaN gets the gradient of its NaN result; PyTorch divides 0 by 0 ties",
              lambda case, kind, index, actual, exact: exact.isnan() & nan_anywhere(case, kind, index, actual, exact)),
    Explained(("clamp",), "at min and max the gradient is g (ops/clamp.h); PyTorch 2.15 gives 0 there",
              in_gradient(lambda case, actual, exact: at_limits(case))),
    Explained(("max_pool2d", "max_pool2d_relu"),
              "the first NaN of a window wins (ops/max_pool2d.h); PyTorch's the last", nan_anywhere),
    Explained(CONVOLUTIONS,
              "a kernel may skip the zeros of padding, strides and blocks or multiply them with an infinity",
              padding_of_infinity),
    Explained(CROSS_ENTROPY, "an ignored target gives 0, also if its logits are not finite; PyTorch gives NaN",
              ignored),
    Explained(MEANS, "second derivatives of the mean of nothing are NaN; PyTorch gives 0", of_nothing),
]


def explain(case, kind, index, actual, exact, wrong):
    """The reasons that apply, and the elements that stay unexplained."""
    reasons, left = [], wrong.clone()
    for entry in EXPLAINED:
        if entry.ops is not EVERY and case.op not in entry.ops:
            continue
        hit = left & entry.when(case, kind, index, actual, exact)
        if hit.any():
            reasons.append(entry.reason)
            left &= ~hit
    return reasons, left
