"""A time step of the disynaptic circuit on Brian 2 that learns every 20, 5 or 1 ms, against the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

import neurocircuits as nc
from benchmarks.harness import InTurn, Result, one_thread, result
from neurocircuits.models import seung2018

DT, TAU, STEPS = 1e-3, 5e-3, 20
P, Q, KAPPA, ETA_W, ETA_A, ETA_GAIN = 0.3, 1.0, 0.003, 0.02, 0.05, 0.5
FLOOR, CAP = 0.5, 0.15  # of the gain, and of a change of its logarithm
PER_BATCH = 5  # presentations between two turns of the reference


class ByHand:
    """The same circuit and rules, written for this one case.

    Parameters
    ----------
    state : dict of str to ndarray
        State of a simulation to continue from.
    every : int
        Time steps to a learning step.
    """

    def __init__(self, state: dict[str, np.ndarray], every: int) -> None:
        self.weights, self.inhibition = state["weights/S_to_E"], state["weights/E_to_I"]
        self.log_gain, self.every = state["values/E/log_gain"], every
        self.x, self.y = state["values/E/r"][0], state["values/I/r"][0]
        self.outer = np.empty_like(self.weights)

    def present(self, u: np.ndarray) -> None:
        """Advance by one presentation."""
        onset = self.log_gain.copy()
        excitation = self.weights @ u
        for k in range(1, STEPS + 1):
            drive = excitation - self.y @ self.inhibition
            received = self.inhibition @ self.x
            self.x += (np.maximum(drive, 0.0) / np.exp(self.log_gain) - self.x) * (DT / TAU)
            self.y += (received - self.y) * (DT / TAU)
            if k % self.every == 0:
                self.learn(u, onset, self.every * DT)
                excitation = self.weights @ u

    def learn(self, u: np.ndarray, onset: np.ndarray, seconds: float) -> None:
        """Make a learning step."""
        x, y, gain = self.x, self.y, self.log_gain + seconds * ETA_GAIN * (self.x**2 / Q**2 - 1.0)
        self.log_gain = np.maximum(np.minimum(np.maximum(gain, onset - CAP), onset + CAP), np.log(FLOOR))
        rate = seconds * ETA_W
        incoming = self.weights.sum(axis=1)
        np.multiply((rate * x)[:, None], u, out=self.outer)
        self.weights *= 1.0 - rate
        self.weights += self.outer
        self.weights -= (rate * KAPPA * incoming)[:, None]
        np.maximum(self.weights, 0.0, out=self.weights)
        rate = seconds * ETA_A
        incoming = self.inhibition.sum(axis=1)
        self.inhibition *= 1.0 - rate * (Q**2 - P**2)
        self.inhibition += (rate * y)[:, None] * x
        self.inhibition -= (rate * P**2 * incoming)[:, None]
        np.maximum(self.inhibition, 0.0, out=self.inhibition)


def measured(learning_steps: int, warming: int, n_batches: int) -> Result:
    """Return the time of a step of a circuit that learns every so many steps."""
    generator = np.random.default_rng(0)
    values = generator.random((2000, 784)) * (generator.random((2000, 784)) < 0.191)
    values /= np.sqrt((values**2).sum(axis=1).mean())

    def make(simulation: Any) -> Callable[[], None]:
        by_hand, rows = ByHand(simulation.state(), learning_steps), cycle(values[generator.permutation(len(values))])

        def reference() -> None:
            for _ in range(PER_BATCH):
                by_hand.present(next(rows))

        return reference

    watch = InTurn(make, warming, n_batches)
    stimulus = nc.Patterns(values, duration=STEPS * DT).shuffled()
    protocol = nc.Protocol([nc.Phase("learn", {"S": stimulus}, epochs=1000)])
    engine = nc.Brian2(dt=DT, learning_step=learning_steps * DT, tolerance=None, target="numpy")
    circuit = seung2018.mnist(gain_floor=FLOOR)
    nc.run(circuit, protocol, engine, progress=False, watch=watch, watch_every=PER_BATCH)
    unit = 1e-6 * PER_BATCH * STEPS
    name = f"784-64-16, dt 1 ms, learning every {learning_steps} ms, one step"
    return result(name, watch.rounds(0, unit), watch.rounds(1, unit), "us", "in NumPy")


def run(quick: bool = False) -> list[Result]:
    """Time steps with few and with many learning steps."""
    with one_thread():
        return [measured(k, 2 if quick else 20, 1 if quick else 10) for k in (20, 5, 1)]
