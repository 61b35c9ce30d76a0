#!/usr/bin/env python3
"""PyTorch's training step of the models that `reprise bench` times, for benchmarks/against_pytorch.py.

Reads lines from standard input, each a number of steps to time, and answers each with one line: the median seconds of
these steps, after two that are not counted. A step is zero_grad, forward, loss, backward and SGD with momentum (AdamW for
gpt); images are in PyTorch's channels_last layout, bf16 is autocast. The same shapes as nn/models/.

  echo 5 | benchmarks/torch_step.py --model lenet [--dtype bf16] [--batch 64] [--checkpoint none|block|sqrt] [--threads 2]
"""
import argparse
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., 2015)."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = shortcut(channels_in, channels, stride)

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the stride is the 3x3's."""

    def __init__(self, channels_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * width)
        self.shortcut = shortcut(channels_in, 4 * width, stride)

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)))
        y = functional.relu(self.norm2(self.conv2(y)))
        return functional.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


def shortcut(channels_in, channels, stride):
    if channels_in == channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


class Model(nn.Module):
    """stem, blocks, head; the blocks are what checkpointing works on."""

    def __init__(self, stem, blocks, head, policy):
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head
        self.policy = policy

    def forward(self, x):
        x = self.stem(x)
        for segment in self.segments():
            x = segment(x) if self.policy == "none" else checkpoint(segment, x, use_reentrant=False)
        return self.head(x)

    def segments(self):
        if self.policy != "sqrt":
            return list(self.blocks)
        count = max(round(len(self.blocks) ** 0.5), 1)
        edges = [round(i * len(self.blocks) / count) for i in range(count + 1)]
        return [nn.Sequential(*self.blocks[a:b]) for a, b in zip(edges, edges[1:])]


class MeanOfPixels(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class GptBlock(nn.Module):
    """A Transformer block that normalizes first, with causal attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GptStem(nn.Module):
    def __init__(self, vocabulary, context, width):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)

    def forward(self, ids):
        return self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))


def gpt(vocabulary, context, layers, width, heads, policy):
    blocks = [GptBlock(width, heads) for _ in range(layers)]
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False))
    return Model(GptStem(vocabulary, context, width), blocks, head, policy)


def residual_blocks(block, counts):
    blocks, channels = [], 64
    for i, count in enumerate(counts):
        for j in range(count):
            blocks.append(block(channels, 64 << i, 2 if i > 0 and j == 0 else 1))
            channels = (64 << i) * (4 if block is Bottleneck else 1)
    return blocks


def conv_block(channels_in, channels):
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2))


def make(name, policy):
    """The model, the shape of one input, the number of classes, the default batch."""
    if name == "mlp":
        head = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        return Model(nn.Identity(), [], head, policy), (1, 28, 28), 10, 64
    if name == "lenet":
        head = nn.Sequential(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
        return Model(nn.Identity(), [conv_block(1, 32), conv_block(32, 64)], head, policy), (1, 28, 28), 10, 64
    if name == "resnet18":
        stem = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        head = nn.Sequential(MeanOfPixels(), nn.Linear(512, 10))
        return Model(stem, residual_blocks(BasicBlock, (2, 2, 2, 2)), head, policy), (3, 32, 32), 10, 32
    if name in ("resnet50", "resnet152"):
        stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        counts = (3, 4, 6, 3) if name == "resnet50" else (3, 8, 36, 3)
        head = nn.Sequential(MeanOfPixels(), nn.Linear(2048, 1000))
        return Model(stem, residual_blocks(Bottleneck, counts), head, policy), (3, 224, 224), 1000, 8
    if name == "chain":
        blocks = [nn.Sequential(nn.Linear(256, 256), nn.Tanh()) for _ in range(100)]
        return Model(nn.Identity(), blocks, nn.Linear(256, 10), policy), (256,), 10, 4096
    if name == "gpt":
        return gpt(65, 256, 6, 384, 6, policy), (256,), 65, 16
    raise SystemExit(f"torch_step.py: no model {name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--checkpoint", choices=("none", "block", "sqrt"), default="none")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model, shape, classes, batch = make(options.model, options.checkpoint)
    batch = options.batch or batch
    x = torch.randn(batch, *shape)
    y = torch.randint(classes, (batch,))
    if len(shape) == 3:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    if options.model == "gpt":
        x, y = torch.randint(classes, (batch, *shape)), torch.randint(classes, (batch, *shape))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
            loss = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()

    for line in sys.stdin:
        step()
        step()
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        print(statistics.median(seconds), flush=True)


if __name__ == "__main__":
    main()
