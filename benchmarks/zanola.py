"""Competing hidden units, both equations: an image on each engine against NumPy that touches only live rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np

import neurocircuits as nc
from benchmarks.harness import ROUNDS, InTurn, Result, one_thread, result
from benchmarks.learning_mnist import images
from neurocircuits.engines.base import Engine, Simulation
from neurocircuits.models import zanola2021

LIMITS = {"Brian 2 runtime": 8.0, "relaxation": 4.0}  # seconds for all images
N_IMAGES = 600
W_INH, H_STAR, DELTA, TAU, ETA = 0.7, 3.0, 0.01, 0.05, 0.2
ACTIVITY, LEARNING = ((0.0005, 100), (0.002, 275)), (0.01, 180)  # time steps and how many


class ByHand:
    """The same steps of the activity and of the weights, written for this one case, in arrays that stay.

    Parameters
    ----------
    state : dict of str to ndarray
        State of a simulation to continue from.
    """

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self.weights, self.h = state["weights/S_to_E"], state["values/E/h"][0]
        self.rates, self.ones, self.zero = np.empty_like(self.h), np.ones_like(self.h), np.zeros_like(self.h)

    def present(self, v: np.ndarray) -> None:
        """Show an image: the activity settles, then it is held while the weights learn."""
        h, r = self.h, self.rates
        current = self.weights @ v
        for dt, n in ACTIVITY:
            for _ in range(n):
                np.maximum(h, self.zero, r)
                total = W_INH * r.dot(self.ones)
                np.multiply(r, W_INH, r)
                np.add(r, current, r)
                np.subtract(r, h, r)
                np.subtract(r, total, r)
                np.multiply(r, dt / TAU, r)
                np.add(h, r, h)
        gate = np.where(h >= H_STAR, 1.0, np.where(h > 0.0, -DELTA, 0.0))
        live = np.flatnonzero(gate)
        rows, rate = self.weights[live], LEARNING[0] * ETA * gate[live]
        change, kept = np.multiply.outer(rate, v), np.empty(len(live))
        for _ in range(LEARNING[1]):
            np.dot(rows, v, out=kept)
            kept *= rate
            np.subtract(1.0, kept, out=kept)
            rows *= kept[:, None]
            rows += change
        self.weights[live] = rows


def timed(engine: Engine, data: np.ndarray, warming: int, n_batches: int) -> tuple[list[float], list[float]]:
    """Return seconds for all images in each round, of an engine and by hand, an image each in turn."""

    def make(simulation: Simulation) -> Callable[[], None]:
        by_hand, rows = ByHand(simulation.state()), cycle(data[warming:])
        return lambda: by_hand.present(next(rows))

    watch = InTurn(make, warming, n_batches)
    protocol = zanola2021.protocol(data)
    nc.run(zanola2021.circuit(), protocol, engine, progress=False, watch=watch, watch_every=1)
    laps = np.reshape(watch.laps, (ROUNDS, n_batches, 2)).mean(axis=1) * N_IMAGES
    return laps[:, 0].tolist(), laps[:, 1].tolist()


def run(quick: bool = False) -> list[Result]:
    """Time images on both engines; the mean of a round counts, since more units learn from some images than others."""
    warming, n_batches = (2, 1) if quick else (10, 80)
    values, what = images(warming + ROUNDS * n_batches + 1)
    data, found = values / values.max(), []
    engines = (nc.Brian2(dt="0.5 ms", tolerance=None, target="numpy"), nc.SteadyState(solver="relaxation"))
    for (name, limit), engine in zip(LIMITS.items(), engines, strict=True):
        with one_thread():
            seconds, by_hand = timed(engine, data, warming, n_batches)
        name = f"{N_IMAGES} images, 784-484, 375 steps of activity and 180 of weights, {name}, {what}"
        found.append(result(name, seconds, by_hand, "s", "NumPy, live rows only", limit, "value"))
    return found
