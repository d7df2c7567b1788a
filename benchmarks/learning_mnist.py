"""Learning on MNIST-sized input, steady states: the engine against the same minibatch written by hand in NumPy."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle

import numpy as np

import neurocircuits as nc
from benchmarks.harness import InTurn, Result, one_thread, result
from neurocircuits.datasets import mnist
from neurocircuits.engines.base import Simulation
from neurocircuits.models import seung2018

LIMIT = 2.0
BATCH = 100
DURATION = 0.1
P, Q, KAPPA, ETA_W, ETA_A, ETA_GAIN = 0.3, 1.0, 0.003, 0.02, 0.05, 0.5
FLOOR, STEP = np.log(5e-4), 0.15  # of the logarithm of the gain


def images(n: int) -> tuple[np.ndarray, str]:
    """Return images with mean |u|^2 = 1, and what they are: MNIST, or noise as sparse where it is not at hand."""
    if os.environ.get("NEUROCIRCUITS_DATA"):
        values, what = mnist("train", download=False).values[:n], "MNIST"
    else:
        generator = np.random.default_rng(0)
        values = generator.random((n, 784)) * (generator.random((n, 784)) < 0.191)
        what = "random images"
    return values / np.sqrt((values**2).sum(axis=1).mean()), what


class ByHand:
    """The disynaptic circuit and its rules, written for this one case.

    Parameters
    ----------
    state : dict of str to ndarray
        State of a simulation to continue from.
    data : ndarray, shape (n, 784)
        Images.
    """

    def __init__(self, state: dict[str, np.ndarray], data: np.ndarray) -> None:
        self.weights, self.inhibition = state["weights/S_to_E"], state["weights/E_to_I"]
        self.log_gain, self.data = state["values/E/log_gain"], data
        self.change, self.decay = np.empty_like(self.weights), np.empty_like(self.weights)
        self.worst = 0.0

    def settle(self, b: np.ndarray) -> np.ndarray:
        """Return x >= 0 with b - L x <= 0 and x (b - L x) = 0 for L = diag(gain) + A^T A, (batch, n_E).

        Active sets are exchanged row by row until they stay; the problem of a row has the size of n_I.
        """
        gain, a = np.exp(self.log_gain), self.inhibition
        m, n = a.shape
        driving = a / gain
        pairs = (driving[:, None, :] * a[None, :, :]).reshape(m * m, n).T.copy()
        x, rows = np.zeros_like(b), np.arange(len(b))
        slack = 1e-10 * b.max(axis=1, keepdims=True)
        unity = np.eye(m).ravel()
        active = b > 0
        while len(rows):
            mask = active.astype(float)
            small = mask @ pairs
            small += unity
            y = np.linalg.solve(small.reshape(-1, m, m), ((mask * b) @ driving.T)[:, :, None])[:, :, 0]
            excess = b - y @ a
            wrong = np.where(active, excess < -slack, excess > slack)
            ended = ~wrong.any(axis=1)
            x[rows[ended]] = mask[ended] * excess[ended]
            more = ~ended
            rows, b, slack, active = rows[more], b[more], slack[more], (active ^ wrong)[more]
        x /= gain
        return np.maximum(x, 0.0, out=x)

    def minibatch(self, chosen: np.ndarray) -> None:
        """Settle on some images and learn."""
        u = self.data[chosen]
        b = u @ self.weights.T
        x = self.settle(b)
        y = x @ self.inhibition.T
        self.residual(b, x, y)
        n = len(x)
        log_gain = self.log_gain + DURATION * ETA_GAIN * ((x**2).mean(axis=0) / Q**2 - 1.0)
        self.log_gain = np.maximum(np.clip(log_gain, self.log_gain - STEP, self.log_gain + STEP), FLOOR)
        for weights, post, pre, eta, decay, competition in (
            (self.weights, x, u, ETA_W, 1.0, KAPPA),
            (self.inhibition, y, x, ETA_A, Q**2 - P**2, P**2),
        ):
            rate = DURATION * eta
            incoming = weights.sum(axis=1)
            change = (
                self.change[: len(weights), : weights.shape[1]] if weights is self.weights else np.empty_like(weights)
            )
            np.dot((post * (rate / n)).T, pre, out=change)
            change -= (rate * competition * incoming)[:, None]
            weights *= 1.0 - rate * decay
            weights += change
            np.maximum(weights, 0.0, out=weights)

    def residual(self, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        """Keep the largest violation of the conditions of a steady state, relative to the largest input."""
        excess = b - np.exp(self.log_gain) * x - y @ self.inhibition
        violation = np.where(x > 0, np.abs(excess), excess).max(axis=1) / b.max(axis=1)
        self.worst = max(self.worst, float(violation.max()))


def run(quick: bool = False) -> list[Result]:
    """Time a minibatch of the learned circuit."""
    data, what = images(1000 if quick else 20_000)
    stimulus = nc.Patterns(data, duration=DURATION).shuffled()
    order = np.random.default_rng(1).permutation(len(data))

    def make(simulation: Simulation) -> Callable[[], None]:
        by_hand, starts = ByHand(simulation.state(), data), cycle(range(0, len(data), BATCH))

        def reference() -> None:
            start = next(starts)
            by_hand.minibatch(order[start : start + BATCH])

        return reference

    watch = InTurn(make, warming=3 if quick else 700, n_batches=1 if quick else 20)
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=1000)])
    circuit = seung2018.mnist(p=P, q=Q, kappa=KAPPA)
    with one_thread():
        nc.run(circuit, protocol, nc.SteadyState(batch=BATCH), progress=False, watch=watch, watch_every=BATCH)
    name = f"minibatch of {BATCH}, 784-64-16, {what}, learned"
    return [result(name, watch.rounds(0, 1e-3), watch.rounds(1, 1e-3), "ms", "by hand in NumPy", LIMIT)]
