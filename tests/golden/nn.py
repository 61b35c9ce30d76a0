"""PyTorch's results for small layers, in f64: python3 nn.py > nn.h

A convolution, a batch norm, ReLU, a pool, a flatten and a linear layer: three training steps of forward, so that the
running statistics move, then evaluation. Images are written as NHWC and weights as PyTorch keeps them: Reprise's
from_pytorch must make them its own. Also a safetensors file, byte by byte, as the format's document describes it."""
import json
import struct

import torch

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)


def array(name, tensor):
    values = ", ".join(repr(float(v)) for v in tensor.detach().reshape(-1))
    print(f"inline constexpr double {name}[] = {{{values}}};")


conv = torch.nn.Conv2d(2, 3, (3, 2), padding=(1, 0))
norm = torch.nn.BatchNorm2d(3)
torch.nn.init.normal_(norm.weight)
torch.nn.init.normal_(norm.bias)
linear = torch.nn.Linear(3 * 2 * 3, 2)
pool = torch.nn.MaxPool2d((2, 1))


def forward(x):
    return linear(torch.flatten(pool(torch.relu(norm(conv(x)))), 1))


print("#pragma once")
print(f"// Written by nn.py with PyTorch {torch.__version__.split('+')[0]}.\n")
print("namespace golden {\n")
for name, tensor in (("kConvWeight", conv.weight), ("kConvBias", conv.bias), ("kNormWeight", norm.weight),
                     ("kNormBias", norm.bias), ("kLinearWeight", linear.weight), ("kLinearBias", linear.bias)):
    array(name, tensor)
inputs = [torch.randn(2, 2, 4, 4) for _ in range(3)]
for i, x in enumerate(inputs):
    array(f"kInput{i}", x.permute(0, 2, 3, 1))
    array(f"kOutput{i}", forward(x))
array("kRunningMean", norm.running_mean)
array("kRunningVar", norm.running_var)
norm.eval()
array("kOutputEval", forward(inputs[0]))


def flat(module):  # all parameters by their names in state_dict
    return torch.cat([p.detach().reshape(-1) for _, p in sorted(module.state_dict().items())])


def transformer(name, layer, *inputs, **masks):
    """A layer, with parameters that all matter, and what it and its gradients are."""
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    inputs = [x.requires_grad_() for x in inputs]
    y = layer(*inputs, **masks)
    y.backward(torch.ones_like(y).cumsum(1))
    array(f"k{name}Parameters", flat(layer))
    for i, x in enumerate(inputs):
        array(f"k{name}Input{i}", x)
        array(f"k{name}Gradient{i}", x.grad)
    array(f"k{name}Output", y)


print()
options = {"dropout": 0.0, "batch_first": True}
causal = torch.nn.Transformer.generate_square_subsequent_mask(3)
transformer("Encoder", torch.nn.TransformerEncoderLayer(4, 2, 5, activation="gelu", **options), torch.randn(2, 3, 4))
transformer("EncoderNormFirst", torch.nn.TransformerEncoderLayer(4, 2, 5, norm_first=True, **options),
            torch.randn(2, 3, 4), src_mask=causal, is_causal=True)
transformer("Decoder", torch.nn.TransformerDecoderLayer(4, 2, 5, **options), torch.randn(2, 3, 4),
            torch.randn(2, 4, 4), tgt_mask=causal, tgt_is_causal=True)
norm = torch.nn.RMSNorm(4, eps=1e-4)
transformer("RMSNorm", norm, torch.randn(2, 3, 4))

header = {
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b.weight": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]},
    "__metadata__": {"format": "pt"},
}
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
data = struct.pack("<6f", 1, -2, 0.5, 4, 5, -0.25) + struct.pack("<2H", 0x3F80, 0xC000)
file = struct.pack("<Q", len(text)) + text + data
print("\n// a = f32[2, 3] {1, -2, 0.5, 4, 5, -0.25}, b.weight = bf16[2] {1, -2}")
print(f"inline constexpr unsigned char kSafetensors[] = {{{', '.join(str(b) for b in file)}}};")
print("\n}  // namespace golden")
