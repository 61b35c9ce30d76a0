#!/usr/bin/env python3
"""Random cases of every op, judged by PyTorch.

    against_pytorch.py --program build/release/tests/differential/differential_ops [--count N] [--seed S]
                       [--first N] [--op NAME] [--show N]

Runs the program, which draws cases and runs them in Reprise, and computes each case with PyTorch in float64.
bounds.py says how far a result may be from that; explained.py lists the differences that are decisions.
Exits with 77 if PyTorch is not installed, with 1 if a difference is not explained. The line of a difference
has the options that repeat its case alone.
"""
import argparse
import collections
import json
import subprocess
import sys

try:
    import torch
except ImportError:
    print("against_pytorch: PyTorch is not installed: nothing is compared")
    sys.exit(77)

import warnings

from bounds import BOUNDS, MOVES, round_to
from explained import explain
from references import DTYPES, REFERENCES


def read_case(stream):
    """One case of the program's stream: its header and its tensors by name; None at the end."""
    line = stream.readline()
    if not line:
        return None
    header = json.loads(line)
    tensors = {}
    for name, dtype, shape in header["tensors"]:
        count = 1
        for extent in shape:
            count *= extent
        size = count * torch.empty(0, dtype=DTYPES[dtype]).element_size()
        data = bytearray(stream.read(size))
        if len(data) < size:
            print("the program died inside a case: the counts below lack the rest", flush=True)
            return None
        flat = torch.frombuffer(data, dtype=DTYPES[dtype]) if count else torch.empty(0, dtype=DTYPES[dtype])
        tensors[name] = flat.reshape(shape)
    return header, tensors


def differentiate(function, inputs, options, dy, directions, differentiated, second):
    """Outputs, gradients and second derivatives of one op in PyTorch. None is a gradient that is 0."""
    outputs = function(inputs, options)
    result = {"output": [y.detach() for y in outputs], "gradient": [], "second": []}
    wanted = [x for x in inputs if x.requires_grad]
    if differentiated < 0 or not wanted:
        return result

    def spread(found, with_dy):
        found = list(found)
        spread = [found.pop(0) if x.requires_grad else None for x in inputs]
        return spread + found if with_dy else spread

    y = outputs[differentiated]
    if not y.requires_grad:
        found = [None] * len(wanted)
    else:
        found = torch.autograd.grad(y, wanted, dy, create_graph=second, allow_unused=True)
    gradients = spread(found, False)
    result["gradient"] = [None if g is None else g.detach() for g in gradients]
    if not second:
        return result
    total = (dy * 0.0).nan_to_num(0.0).sum()
    for gradient, direction in zip(gradients, directions):
        if gradient is not None and direction is not None and gradient.requires_grad:
            total = total + (gradient * direction).sum()
    result["second"] = spread(torch.autograd.grad(total, wanted + [dy], allow_unused=True), True)
    return result


class Case:
    """A case in float64, as bounds.py and explained.py see it."""

    def __init__(self, header, tensors):
        self.header, self.tensors = header, tensors
        self.op, self.dtype, self.options = header["op"], header["dtype"], header["options"]
        self.kernels, self.values = header["kernels"], header["values"]
        self.stored = [tensors[f"input{i}"] for i in range(len(header["requires_grad"]))]
        self.far_from_1 = self.values in ("huge", "wide", "tiny", "special")
        self.has_second = "second_dy" in tensors
        self.inputs, self.dy, self.directions = self.operands(lambda t: t.double())
        self.exact = self.compute(self.inputs, self.dy, self.directions)
        self._terms = None

    def operands(self, convert):
        def leaf(tensor, requires_grad):
            result = convert(tensor.clone()) if tensor.is_floating_point() else tensor
            return result.requires_grad_() if requires_grad else result

        inputs = [leaf(t, wanted) for t, wanted in zip(self.stored, self.header["requires_grad"])]
        dy = leaf(self.tensors["dy"], self.has_second) if "dy" in self.tensors else None
        directions = [self.tensors.get(f"direction{i}") for i in range(len(inputs))]
        return inputs, dy, [None if d is None else convert(d) for d in directions]

    def compute(self, inputs, dy, directions):
        return differentiate(REFERENCES[self.op], inputs, self.options, dy, directions,
                             self.header["differentiated"], self.has_second)

    def in_own_dtype(self):
        """What PyTorch gives in the case's dtype; None if it cannot."""
        try:
            return self.compute(*self.operands(lambda t: t))
        except (RuntimeError, NotImplementedError, TypeError):
            return None

    def terms(self):
        """Results of magnitudes. Each direction alone, as their terms may cancel."""
        if self._terms is not None:
            return self._terms
        inputs, dy, directions = self.operands(lambda t: t.double().abs())
        if not self.has_second:
            self._terms = self.compute(inputs, dy, directions)
        for i, direction in enumerate(directions if self.has_second else []):
            if direction is None:
                continue
            only = [direction if j == i else None for j in range(len(directions))]
            found = self.compute(inputs, dy, only)
            if self._terms is None:
                self._terms = found
                self._terms["second"] = [None if t is None else t.abs() for t in found["second"]]
            else:
                for k, more in enumerate(found["second"]):
                    old = self._terms["second"][k]
                    if more is not None:
                        self._terms["second"][k] = more.abs() if old is None else old + more.abs()
        if self._terms is None:
            self._terms = self.compute(inputs, dy, directions)
        for kind in ("output", "gradient"):
            self._terms[kind] = [None if t is None else t.abs() for t in self._terms[kind]]
        return self._terms

    def actual(self, kind, index):
        if kind == "second" and index == len(self.inputs):
            return self.tensors.get("second_dy")
        return self.tensors.get(f"{kind}{index}")

    def line(self):
        return f"{self.op} {self.dtype}, {self.kernels} kernels, {self.values} values, {json.dumps(self.options)}"


def same(actual, expected):
    return (actual == expected) | (actual.isnan() & expected.isnan())


def within(actual, exact, width):
    """Is each element between round(exact - width) and round(exact + width)?"""
    low, high = (round_to(exact + sign * width, actual.dtype).double() for sign in (-1, 1))
    value = actual.double()
    unbounded = width.isinf() | width.isnan()
    return ((value >= low) & (value <= high)) | same(value, exact) | (unbounded & ~exact.isnan())


class Judge:
    def __init__(self, shown):
        self.shown = shown
        self.cases = collections.Counter()
        self.wrong = collections.Counter()
        self.explained = collections.Counter()
        self.as_pytorch = collections.Counter()
        self.failures = collections.Counter()
        self.widest = {}  # (op, kind) -> the greatest error in units of the bound

    def pytorch_fails(self, op, error):
        self.failures[op, error] += 1

    def judge(self, case, how):
        self.cases[case.op] += 1
        lines = []
        reasons = set()
        for kind in ("output", "gradient", "second"):
            for index, exact in enumerate(case.exact[kind]):
                actual = case.actual(kind, index)
                if actual is None and exact is None:
                    continue
                if exact is None:
                    exact = torch.zeros(actual.shape, dtype=torch.float64)
                    case.exact[kind][index] = exact
                if actual is None:
                    actual = torch.zeros_like(exact)
                if tuple(actual.shape) != tuple(exact.shape):
                    lines.append(f"{kind} {index}: shape {list(actual.shape)}, PyTorch {list(exact.shape)}")
                    continue
                line = self.judge_tensor(case, kind, index, actual, exact.detach(), reasons)
                if line:
                    lines.append(line)
        for reason in reasons:
            self.explained[reason] += 1
        if lines:
            self.wrong[case.op] += 1
            if self.wrong[case.op] <= self.shown:
                print(f"{case.line()}: {how}")
                for line in lines:
                    print(f"    {line}", flush=True)

    def judge_tensor(self, case, kind, index, actual, exact, reasons):
        """Empty if the tensor is right or explained, else a line that says what is wrong."""
        if not actual.is_floating_point():
            wrong = actual.long() != exact.long()
            return self.describe(kind, index, actual, exact, wrong) if wrong.any() else ""
        exact = exact.double()
        if bool(same(actual, round_to(exact, actual.dtype)).all()):
            return ""
        width, case.scale = BOUNDS.get(case.op, MOVES).width(case, kind, index)
        width = width.expand(exact.shape) if width.shape != exact.shape else width
        wrong = ~within(actual, exact, width)
        self.note_width(case, kind, actual, exact, width)
        if not wrong.any():
            return ""
        why, wrong = explain(case, kind, index, actual.double(), exact, wrong)
        if wrong.any() and (own := case.in_own_dtype()) is not None and own[kind][index] is not None:
            as_pytorch = wrong & within(actual, own[kind][index].double(), width)
            if as_pytorch.any():
                wrong &= ~as_pytorch
                self.as_pytorch[case.op, case.dtype, kind] += 1
        if wrong.any():
            return self.describe(kind, index, actual, exact, wrong, width)
        reasons.update(why)
        return ""

    def note_width(self, case, kind, actual, exact, width):
        error = (actual.double() - round_to(exact, actual.dtype).double()).abs() / width
        error = error[error.isfinite()]
        if error.numel():
            key = (case.op, kind, case.dtype)
            self.widest[key] = max(self.widest.get(key, 0.0), error.max().item())

    def describe(self, kind, index, actual, exact, wrong, width=None):
        place = int(wrong.reshape(-1).nonzero()[0])
        text = (f"{kind} {index}: {int(wrong.sum())} of {wrong.numel()} elements; element {place} is "
                f"{actual.reshape(-1)[place].item()!r}, exact {exact.reshape(-1)[place].item()!r}")
        return text if width is None else text + f", allowed {width.reshape(-1)[place].item():.3g}"

    def report(self, widths):
        for op, count in sorted(self.wrong.items()):
            print(f"{op}: {count} of {self.cases[op]} cases differ")
        for reason, count in sorted(self.explained.items()):
            print(f"explained, {count} cases: {reason}")
        for (op, dtype, kind), count in sorted(self.as_pytorch.items()):
            print(f"not exact, but as PyTorch in {dtype}, {count} cases: {op}, {kind}")
        for (op, error), count in sorted(self.failures.items()):
            print(f"PyTorch itself fails, {count} cases: {op}: {error}")
        if widths:
            for key, value in sorted(self.widest.items()):
                print(f"greatest error {value:.3f} of the bound: {' '.join(key)}")
        print(f"{sum(self.cases.values())} cases of {len(self.cases)} ops: {sum(self.wrong.values())} differ from "
              f"PyTorch {torch.__version__} without an explanation", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", default="0")
    parser.add_argument("--count", default="2000")
    parser.add_argument("--op", default="")
    parser.add_argument("--show", type=int, default=3, help="differences shown per op")
    parser.add_argument("--widths", action="store_true", help="print the greatest error of each op")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    command = [arguments.program, "--write", "yes"]
    for name in ("seed", "first", "count", "op"):
        command += [f"--{name}", getattr(arguments, name)]
    judge = Judge(arguments.show)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        while (read := read_case(program.stdout)) is not None:
            header, tensors = read
            how = f"--seed {arguments.seed} --first {header['case']} --count 1"
            try:
                case = Case(header, tensors)
            except RuntimeError as error:
                judge.pytorch_fails(header["op"], str(error).split("\n")[0])
                continue
            judge.judge(case, how + (f" --op {arguments.op}" if arguments.op else ""))
    judge.report(arguments.widths)
    if program.returncode:
        print(f"the program itself found differences, or died: it exits with {program.returncode}")
    return 1 if judge.wrong or program.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
