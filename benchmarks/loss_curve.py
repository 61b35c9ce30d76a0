#!/usr/bin/env python3
"""Trains the same GPT here and in PyTorch, from the same weights on the same batches, and writes the two curves side by side.

  benchmarks/loss_curve.py --text FILE [--steps 300] [--dtype f32|bf16] [--csv curves.csv]

Reprise's half is the program benchmarks/loss_curve.cpp: 4 blocks of width 256, 16 windows of 128 characters a step, AdamW
at 1e-3. With bf16 the model is converted there (f32 masters in the optimizer) and runs under autocast here. The CSV has a
line a step: step, Reprise's loss, PyTorch's. tools/demo-text text FILE makes a text. Needs PyTorch."""
import argparse
import array
import json
import pathlib
import struct
import subprocess
import tempfile

import torch
from torch.nn import functional

from torch_step import gpt

BATCH, CONTEXT, LAYERS, WIDTH, HEADS = 16, 128, 4, 256, 4


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(entry["shape"])
    return tensors


def load(model, weights):
    renamed = {}
    for name, value in weights.items():
        if name.startswith(("tokens.", "positions.")):
            name = "stem." + name
        renamed[name.replace("norm.", "head.0.") if name.startswith("norm.") else
                name.replace("head.", "head.1.") if name.startswith("head.") else name] = value
    model.load_state_dict(renamed)


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--csv", default="curves.csv")
    parser.add_argument("--program", default=str(here.parent / "build" / "release" / "benchmarks" / "loss_curve"))
    options = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([options.program, options.text, name, str(options.steps), options.dtype], check=True)
        ours = [float(line.split(",")[1]) for line in (folder / "losses.csv").read_text().splitlines()]
        weights = read_safetensors(folder / "weights.safetensors")
        ids = torch.tensor(array.array("q", (folder / "batches.i64").read_bytes()))
    model = gpt(weights["tokens.weight"].shape[0], CONTEXT, LAYERS, WIDTH, HEADS, "none")
    load(model, weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    theirs = []
    for x, y in ids.view(options.steps, 2, BATCH, CONTEXT):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
            loss = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        theirs.append(float(loss.detach()))
    pathlib.Path(options.csv).write_text("step,reprise,pytorch\n" + "".join(
        f"{i},{a:.6f},{b:.6f}\n" for i, (a, b) in enumerate(zip(ours, theirs))))
    tail = max(options.steps // 10, 1)
    for i in sorted({0, 1, 9, options.steps // 4, options.steps // 2, options.steps - 1}):
        if i < options.steps:
            print(f"step {i:5}  reprise {ours[i]:.5f}  pytorch {theirs[i]:.5f}")
    means = [sum(curve[-tail:]) / tail for curve in (ours, theirs)]
    largest = max(abs(a - b) for a, b in zip(ours, theirs))
    print(f"mean of the last {tail}: reprise {means[0]:.5f}, pytorch {means[1]:.5f}; largest difference at a step {largest:.5f}")


if __name__ == "__main__":
    main()
