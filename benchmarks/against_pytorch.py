#!/usr/bin/env python3
"""Times training steps of Reprise and of PyTorch in turn, and prints the ratio of each pair.

  benchmarks/against_pytorch.py [--models mlp,resnet50:bf16,...] [--pairs 7] [--checkpoint none]
                                [--reprise build/release/bin/reprise]

A pair is `reprise bench` and then the same model in PyTorch (benchmarks/torch_step.py), each the median of some steps
after two that are not counted; the figure is the median over the pairs of ours / PyTorch's, so that slow changes of the
machine cancel. With :bf16 a model is converted here (f32 masters in the optimizer) and runs under autocast there. Where
other processes took more than 5 % of a core meanwhile, the load is printed: measure again.
Needs PyTorch (pip install torch --index-url https://download.pytorch.org/whl/cpu)."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

STEPS = {"mlp": 500, "lenet": 40, "resnet18": 3, "resnet50": 2, "resnet152": 1, "chain": 2, "gpt": 2}
TICK = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Of all cores, since the machine started, in everything but idle and waiting for disks."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def process_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Load:
    """How much of a core others take while something of ours runs."""

    def __init__(self, pids=()):
        self.pids = list(pids)
        self.start = self.now()

    def now(self):
        own = os.times()
        ours = own.user + own.system + own.children_user + own.children_system
        return time.monotonic(), busy_seconds(), ours + sum(process_seconds(pid) for pid in self.pids)

    def others(self):
        wall, busy, ours = (b - a for a, b in zip(self.start, self.now()))
        return max(busy - ours, 0) / wall


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="mlp,lenet,resnet18,resnet50,resnet50:bf16,chain,gpt,gpt:bf16")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, help="timed in each half of a pair")
    parser.add_argument("--checkpoint", choices=("none", "block", "sqrt"), default="none")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reprise", default=str(here.parent / "build" / "release" / "bin" / "reprise"))
    options = parser.parse_args()
    try:
        import torch  # noqa: F401  only to say clearly that it is missing
    except ImportError:
        sys.exit("against_pytorch.py: PyTorch is not installed (see --help)")
    ratios = {}
    for model in options.models.split(","):
        name, _, dtype = model.partition(":")
        steps = options.steps or STEPS.get(name, 3)
        common = ["--model", name, "--dtype", dtype or "f32", "--checkpoint", options.checkpoint,
                  "--threads", str(options.threads)]
        peer = subprocess.Popen([sys.executable, str(here / "torch_step.py"), *common], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

        def theirs():
            peer.stdin.write(f"{steps}\n")
            peer.stdin.flush()
            return float(peer.stdout.readline())

        def ours():
            command = [options.reprise, "bench", *common, "--steps", str(steps)]
            return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["median_s"]

        theirs()  # imports, first allocations
        pairs = []
        for _ in range(options.pairs):
            load = Load([peer.pid])
            pair = ours(), theirs()
            others = load.others()
            pairs.append(pair)
            note = f"   others took {others:.0%} of a core" if others > 0.05 else ""
            print(f"{model:13} reprise {pair[0]:9.6f} s   pytorch {pair[1]:9.6f} s   {pair[0] / pair[1]:.3f}{note}",
                  flush=True)
        peer.stdin.close()
        peer.wait()
        ratios[model] = statistics.median(a / b for a, b in pairs)
        print(f"{model:13} median ratio {ratios[model]:.3f}\n", flush=True)
    if len(ratios) > 1:
        print(f"geometric mean of the ratios {statistics.geometric_mean(ratios.values()):.3f}")


if __name__ == "__main__":
    main()
