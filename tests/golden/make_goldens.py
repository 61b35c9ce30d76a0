#!/usr/bin/env python3
"""Writes ops.json beside this file: what PyTorch computes, in float64, for ops whose formula can be misread.

Every case has inputs, the output, the gradient that backward begins with, and the gradients of the inputs. Images and
weights are stored as Reprise holds them: NHWC and [out, h, w, in]. Run: python3 tests/golden/make_goldens.py
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
cases = {}


def rounded(values, digits):
    return [float(f"{v:.{digits}g}") for v in values.detach().contiguous().flatten().tolist()]


def pack(tensor, digits):
    kind = "i64" if tensor.dtype == torch.int64 else "f64"
    data = tensor.flatten().tolist() if kind == "i64" else rounded(tensor, digits)
    return {"shape": list(tensor.shape), "dtype": kind, "data": data}


def random(*shape):
    return (torch.randn(shape, dtype=torch.float64) * 1000).round() / 1000


def nchw(image):
    return image.permute(0, 3, 1, 2)


def nhwc(image):
    return image.permute(0, 2, 3, 1)


def case(name, function, *inputs):
    inputs = [i.clone().requires_grad_() if i.is_floating_point() else i for i in inputs]
    output = function(*inputs)
    seed = random(*output.shape)
    output.backward(seed)
    cases[name] = {
        "inputs": [pack(i, 6) for i in inputs],
        "output": pack(output, 15),
        "seed": pack(seed, 6),
        "gradients": [pack(i.grad, 15) if i.grad is not None else None for i in inputs],
    }


def conv2d(**options):
    return lambda x, w, b: nhwc(F.conv2d(nchw(x), nchw(w), b, **options))


case("conv2d stride, padding, dilation, groups", conv2d(stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
     random(2, 6, 7, 4), random(6, 3, 2, 2), random(6))
case("conv2d 3x3", conv2d(padding=1), random(1, 5, 4, 3), random(2, 3, 3, 3), random(2))
case("max_pool2d padding", lambda x: nhwc(F.max_pool2d(nchw(x), (3, 2), (2, 1), (1, 1))), random(2, 7, 5, 2))
case("avg_pool2d padding", lambda x: nhwc(F.avg_pool2d(nchw(x), (3, 2), (2, 1), (1, 1))), random(2, 6, 5, 2))
case("adaptive_avg_pool2d", lambda x: nhwc(F.adaptive_avg_pool2d(nchw(x), (3, 2))), random(2, 7, 5, 2))
case("adaptive_avg_pool2d larger", lambda x: nhwc(F.adaptive_avg_pool2d(nchw(x), (4, 3))), random(1, 3, 2, 2))
case("batch_norm", lambda x, w, b: nhwc(F.batch_norm(nchw(x), None, None, w, b, training=True, eps=1e-3)),
     random(2, 3, 4, 3), random(3), random(3))
mean, variance = random(3), random(3).abs() + 0.5
case("batch_norm_inference", lambda x, w, b: nhwc(F.batch_norm(nchw(x), mean, variance, w, b, eps=1e-3)),
     random(2, 2, 2, 3), random(3), random(3))
cases["batch_norm_inference"]["statistics"] = [pack(mean, 6), pack(variance, 6)]
case("layer_norm", lambda x, w, b: F.layer_norm(x, (5,), w, b, eps=1e-4), random(2, 3, 5), random(5), random(5))
case("gelu", lambda x: F.gelu(x), random(12) * 2)
case("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), random(12) * 2)
case("softmax middle", lambda x: F.softmax(x, 1), random(2, 4, 3))
case("log_softmax first", lambda x: F.log_softmax(x, 0), random(4, 3))
targets = torch.tensor([2, 4, -1, 0, -1, 3])
case("cross_entropy", F.cross_entropy, random(6, 5), torch.tensor([2, 4, 1, 0, 1, 3]))
case("cross_entropy smoothing, ignored",
     lambda x, t: F.cross_entropy(x, t, ignore_index=-1, label_smoothing=0.1), random(6, 5), targets)
case("nll_loss", F.nll_loss, random(4, 3), torch.tensor([2, -100, 0, 1]))
case("mse_loss", F.mse_loss, random(3, 2), random(3, 2))
case("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, random(7) * 4, random(7).abs() / 4)
case("embedding", lambda ids, w: F.embedding(ids, w), torch.tensor([[1, 3], [1, 0]]), random(4, 3))


def attention(causal=False, **options):
    swap = lambda t: t.transpose(1, 2)
    return lambda q, k, v, mask=None: swap(F.scaled_dot_product_attention(
        swap(q), swap(k), swap(v), attn_mask=mask, is_causal=causal, **options))


case("attention", attention(False), random(2, 3, 2, 4), random(2, 5, 2, 4), random(2, 5, 2, 4))
case("attention causal", attention(True), random(2, 4, 2, 4), random(2, 4, 2, 4), random(2, 4, 2, 4))
case("attention causal, fewer queries", attention(True), random(1, 3, 1, 2), random(1, 5, 1, 2), random(1, 5, 1, 2))
case("matmul broadcast", torch.matmul, random(2, 1, 2, 3), random(4, 3, 2))
with_keys = (random(2, 3, 2, 4), random(2, 5, 2, 4), random(2, 5, 2, 4))
seen = (torch.rand(2, 1, 3, 5) < 0.6).long()
seen[1, 0, 2] = 0  # a query that sees no key
case("attention boolean mask", lambda q, k, v, mask: attention()(q, k, v, mask.bool()), *with_keys, seen)
case("attention added mask", lambda q, k, v, mask: attention()(q, k, v, mask.detach()), *with_keys, random(2, 3, 5))
case("attention grouped queries, scale", attention(enable_gqa=True, scale=0.7), random(2, 3, 4, 2), random(2, 5, 2, 2),
     random(2, 5, 2, 2))
case("attention_qkv causal", lambda qkv: attention(True)(*qkv.unbind(2)), random(2, 4, 3, 2, 4))
case("rms_norm", lambda x, w: F.rms_norm(x, (5,), w, eps=1e-4), random(2, 3, 5), random(5))


def rotary(x, base, first):  # as complex numbers, of which neighbours are the parts
    angles = torch.outer(torch.arange(first, first + x.shape[1], dtype=torch.float64),
                         base ** (-torch.arange(0, x.shape[3], 2, dtype=torch.float64) / x.shape[3]))
    turns = torch.polar(torch.ones_like(angles), angles)[:, None]
    return torch.view_as_real(torch.view_as_complex(x.unflatten(3, (-1, 2))) * turns).flatten(3)


case("rotary_embedding", lambda x: rotary(x, 10000.0, 0), random(2, 4, 2, 6))
case("rotary_embedding later, base", lambda x: rotary(x, 500.0, 7), random(1, 3, 2, 4))
case("geglu", lambda x: x.chunk(2, -1)[0] * F.gelu(x.chunk(2, -1)[1]), random(2, 3, 8) * 2)
case("swiglu", lambda x: x.chunk(2, -1)[0] * F.silu(x.chunk(2, -1)[1]), random(2, 3, 8) * 2)
case("linear_cross_entropy",
     lambda x, w, t: F.cross_entropy(x @ w.T, t, ignore_index=-1, label_smoothing=0.1), random(6, 3), random(5, 3), targets)

lines = ",\n".join(json.dumps(name) + ": " + json.dumps(entry, separators=(",", ":")) for name, entry in cases.items())
path = pathlib.Path(__file__).with_name("ops.json")
path.write_text("{\n" + lines + "\n}\n")
print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes, PyTorch {torch.__version__}")
