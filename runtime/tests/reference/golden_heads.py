"""Writes runtime/tests/golden/heads.json: random problems and scikit-learn's solutions.

Needs numpy and scikit-learn. Run from the repository's root: python runtime/tests/reference/golden_heads.py
Examples are multiples of 1/1024, so that the file is small and both sides read the same numbers.
Logistic regressions are solved to a gradient of 1e-9.
"""

import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, Ridge

OUT = pathlib.Path("runtime/tests/golden/heads.json")
GRID = 1024
rng = np.random.default_rng(11)
# examples per class, dimension, spread within a class, length of the examples, lambda, C
PROBLEMS = [
    ([1] * 5, 256, 0.0, 1.0, 1.0, 1.0),  # 5-way 1-shot
    ([1] * 5, 64, 0.0, 1.0, 0.01, 100.0),
    ([1] * 2, 32, 0.0, 1.0, 0.1, 10.0),
    ([5] * 5, 64, 0.8, 1.0, 0.5, 1.0),
    ([3, 4], 16, 1.0, 1.0, 0.1, 5.0),
    ([10, 1, 4], 48, 1.0, 1.0, 2.0, 20.0),
    ([30, 30], 32, 3.0, 1.0, 1.0, 1.0),  # overlapping classes
    ([8] * 7 + [4], 24, 2.0, 1.0, 0.05, 50.0),
    ([2] * 8, 96, 0.3, 1.0, 0.02, 10.0),
    ([6] * 4, 20, 1.0, 3.0, 1.0, 1.0),  # not of unit length
    ([20, 20, 20], 16, 0.05, 1.0, 0.01, 30.0),  # tight clusters: nearly singular
]


def round7(values):
    return [float(f"{v:.8g}") for v in np.ravel(values)]


def problem(counts, dim, spread, length, alpha, c):
    y = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), dim))
    x = centres[y] + spread * rng.normal(size=(y.size, dim))
    x *= length / np.linalg.norm(x, axis=1, keepdims=True)
    whole = np.round(x * GRID).astype(int)
    x = whole / GRID
    queries = np.round(rng.normal(size=(3, dim)) * length / np.sqrt(dim) * GRID).astype(int)

    ridge = Ridge(alpha=alpha, solver="cholesky").fit(x, np.eye(len(counts))[y])
    logistic = LogisticRegression(C=c, tol=1e-9, max_iter=100_000).fit(x, y)
    with np.errstate(all="ignore"):
        again = LogisticRegression(C=c, tol=1e-10, solver="newton-cg", max_iter=100_000).fit(x, y)
    difference = np.abs(logistic.coef_ - again.coef_).max() / max(1, np.abs(again.coef_).max())
    assert difference < 1e-5, f"scikit-learn's own solvers differ by {difference}"
    return {
        "labels": y.tolist(),
        "dim": dim,
        "x": whole.ravel().tolist(),
        "queries": queries.ravel().tolist(),
        "lambda": alpha,
        "ridge_weights": round7(ridge.coef_),
        "ridge_bias": round7(ridge.intercept_),
        "c": c,
        # One row for two classes: scikit-learn then fits the second against the first.
        "logistic_weights": round7(again.coef_),
        "logistic_bias": round7(again.intercept_),
        "probabilities": round7(again.predict_proba(queries / GRID)),
    }


warnings.simplefilter("ignore")
problems = [problem(*p) for p in PROBLEMS]
OUT.write_text(json.dumps({"sklearn": sklearn.__version__, "grid": GRID, "problems": problems}, separators=(",", ":")) + "\n")
