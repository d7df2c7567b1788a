"""Independent answers for threshold-linear circuits at rest, by means that the package does not use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls


@dataclass(frozen=True)
class Disynaptic:
    """A random disynaptic circuit: W (E x S), A (I x E), Lambda (E) and stimuli (n x S)."""

    weights: np.ndarray
    inhibition: np.ndarray
    gain: np.ndarray
    stimuli: np.ndarray

    @property
    def input(self) -> np.ndarray:
        return self.stimuli @ self.weights.T

    @property
    def lateral(self) -> np.ndarray:
        return np.diag(self.gain) + self.inhibition.T @ self.inhibition


def random_disynaptic(
    generator: np.random.Generator, n_rows: int = 5, n_sensory: int = 20, n_i: int | None = None
) -> Disynaptic:
    """Draw n_E of 2 to 200, n_I of 1 to 50, A ~ U(0, 1), Lambda log-uniform in 5e-4 to 1, stimuli sparse or dense."""
    n_e, drawn = int(generator.integers(2, 201)), int(generator.integers(1, 51))
    n_i = drawn if n_i is None else n_i
    weights = generator.random((n_e, n_sensory)) * generator.lognormal(
        0.0, generator.uniform(0.0, 2.0), (n_e, n_sensory)
    )
    stimuli = generator.random((n_rows, n_sensory)) * (
        generator.random((n_rows, n_sensory)) < generator.uniform(0.1, 1.0)
    )
    gain = np.exp(generator.uniform(np.log(5e-4), 0.0, n_e))
    return Disynaptic(weights, generator.random((n_i, n_e)), gain, stimuli)


def rates_by_nnls(lateral: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Maximise x.b - x.L.x/2 over x >= 0 for each row of b: with L = C C^T that is min |C^T x - C^-1 b|^2."""
    factor = np.linalg.cholesky(lateral)
    return np.array([nnls(factor.T, solve_triangular(factor, row, lower=True), maxiter=30 * len(row))[0] for row in b])


def optimality_violation(lateral: np.ndarray, b: np.ndarray, x: np.ndarray) -> float:
    """Largest violation of x >= 0, b - L x <= 0, x (b - L x) = 0, relative to the largest |b| of a row."""
    scale = np.maximum(np.abs(b).max(axis=1, keepdims=True), 1e-300)
    slack = b - x @ lateral.T
    overall = [np.maximum(-x, 0.0), np.maximum(slack, 0.0), np.where(x > 0, np.abs(slack), 0.0)]
    return float(max((violation / scale).max() for violation in overall))


def rates_of_two(a: float, gain: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """Two E cells, one I cell, A = (a, a), solved by hand (cells numbered so that b1/l1 decides)."""
    (l1, l2), (b1, b2) = gain, b
    if b1 <= 0 and b2 <= 0:
        return 0.0, 0.0
    if b2 <= a * a * b1 / (l1 + a * a):
        return b1 / (l1 + a * a), 0.0
    if b1 <= a * a * b2 / (l2 + a * a):
        return 0.0, b2 / (l2 + a * a)
    determinant = (l1 + a * a) * (l2 + a * a) - a**4
    return ((l2 + a * a) * b1 - a * a * b2) / determinant, ((l1 + a * a) * b2 - a * a * b1) / determinant
