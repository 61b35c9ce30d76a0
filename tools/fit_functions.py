#!/usr/bin/env python3
"""Prints the coefficients of the rational functions in cpu/vector_math.h. Needs NumPy.

f(x) = x P(x^2) / Q(x^2) on [0, last], of least maximal relative error: weighted least squares on Chebyshev points, the
weights raised where the error is largest (Lawson's method)."""
import math

import numpy as np


def fit(f, last, p_degree, q_degree, rounds=400):
    points = 3000
    x = last / 2 * (1 - np.cos(np.pi * (np.arange(points) + 0.5) / points))
    x = x[x > 1e-4]
    y, u = f(x), x * x
    columns = np.stack([x * u**i for i in range(p_degree + 1)] + [-y * u**i for i in range(1, q_degree + 1)], 1)
    scale = np.abs(columns).max(0)
    weight, q_of_u, best = np.ones_like(x), np.ones_like(x), (math.inf, None, None)
    for _ in range(rounds):
        w = np.sqrt(weight) / (y * np.abs(q_of_u))
        solution = np.linalg.lstsq(columns / scale * w[:, None], y * w, rcond=None)[0] / scale
        p, q = solution[: p_degree + 1], np.r_[1, solution[p_degree + 1 :]]
        q_of_u = np.polynomial.polynomial.polyval(u, q)
        error = np.abs(x * np.polynomial.polynomial.polyval(u, p) / q_of_u / y - 1)
        if error.max() < best[0]:
            best = (error.max(), p, q)
        weight *= np.sqrt(error / error.mean() + 1e-3)
        weight /= weight.mean()
    return best


for name, f, last, degrees in (
    ("tanh", np.tanh, 9.1, (4, 4)),
    ("erf", np.vectorize(math.erf), 3.95, (6, 5)),
):
    error, p, q = fit(f, last, *degrees)
    print(f"{name} on [0, {last}]: relative error {error:.2g}")
    for label, values in (("P", p), ("Q", q)):
        print(f"  {label}: " + ", ".join(f"{v:.9g}F" for v in values))
