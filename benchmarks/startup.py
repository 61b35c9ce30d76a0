#!/usr/bin/env python3
"""Starts two programs in turn, A B A B, and prints the medians of what each takes: wall time, processor time, and the memory that
it reports (tests/footprint/program.cpp prints its VmHWM in kB).

    benchmarks/startup.py A B [RUNS]
"""
import os
import statistics
import subprocess
import sys
import time


def start(program):
    """Wall and processor time in ms, kB."""
    began = time.perf_counter()
    process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        sys.exit(f"{program} failed")
    return 1e3 * wall, 1e3 * (usage.ru_utime + usage.ru_stime), int(output.split()[0])


def main():
    programs = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    figures = {program: [] for program in programs}
    for _ in range(runs):
        for program in programs:
            figures[program].append(start(program))
    for program in programs:
        wall, processor, kilobytes = zip(*figures[program])
        print(f"{program}: median of {runs}: wall {statistics.median(wall):.2f} ms (shortest {min(wall):.2f}), "
              f"processor {statistics.median(processor):.2f} ms (shortest {min(processor):.2f}), "
              f"{statistics.median(kilobytes):.0f} kB")


main()
