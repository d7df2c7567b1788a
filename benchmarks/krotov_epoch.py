"""Competing hidden units, the fast rule: the engine against the bare currents product and the public notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle, pairwise

import numpy as np

import neurocircuits as nc
from benchmarks.harness import ROUNDS, InTurn, Result, one_thread, result
from benchmarks.learning_mnist import images
from neurocircuits.engines.arrays import missing
from neurocircuits.engines.base import Simulation
from neurocircuits.models import krotov2019

BARE_LIMIT = 1.35  # of the engine to the bare product
NOTEBOOK_LIMIT = 1 / 6
BATCH, HIDDEN, P, K, DELTA, SIZE = 100, 2000, 3.0, 7, 0.4, 0.04


def bare(data: np.ndarray, weights: np.ndarray) -> Callable[[], None]:
    """Return the product that gives the currents of a minibatch, and nothing else."""
    starts, out = cycle(range(0, len(data) - BATCH + 1, BATCH)), np.empty((BATCH, len(weights)), weights.dtype)

    def product() -> None:
        start = next(starts)
        np.dot(data[start : start + BATCH], weights.T, out=out)

    return product


def notebook(data: np.ndarray, weights: np.ndarray) -> Callable[[], None]:
    """Return a minibatch by the arithmetic of the authors' public notebook: all rows, a full sort, float64."""
    synapses, starts = weights.astype(float), cycle(range(0, len(data) - BATCH + 1, BATCH))

    def minibatch() -> None:
        start = next(starts)
        inputs = np.transpose(data[start : start + BATCH]).astype(float)
        sig = np.sign(synapses)
        tot_input = np.dot(sig * np.absolute(synapses) ** (P - 1), inputs)
        y = np.argsort(tot_input, axis=0)
        yl = np.zeros((len(synapses), BATCH))
        yl[y[-1, :], np.arange(BATCH)] = 1.0
        yl[y[-K], np.arange(BATCH)] = -DELTA
        xx = np.sum(np.multiply(yl, tot_input), 1)
        ds = np.dot(yl, np.transpose(inputs)) - np.multiply(np.tile(xx.reshape(-1, 1), (1, inputs.shape[0])), synapses)
        synapses[...] += SIZE * np.true_divide(ds, max(np.amax(np.absolute(ds)), 1e-30))

    return minibatch


def timed(
    data: np.ndarray, hidden: int, make: Callable[[np.ndarray, np.ndarray], Callable[[], None]], quick: bool
) -> InTurn:
    """Return the rounds of the engine and of a reference, a minibatch each in turn."""

    def reference(simulation: Simulation) -> Callable[[], None]:
        return make(data, simulation.state()["weights/S_to_E"])

    watch = InTurn(reference, warming=3 if quick else 20, n_batches=2 if quick else 20)
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(data)}, epochs=1000)])
    circuit = krotov2019.circuit(784, hidden, p=P, k=K, delta=DELTA, step=nc.LargestChange(SIZE))
    engine = nc.SteadyState(batch=BATCH, dtype="float32")
    with one_thread():
        nc.run(circuit, protocol, engine, progress=False, watch=watch, watch_every=BATCH)
    return watch


def epochs(data: np.ndarray, device: str, n_epochs: int) -> list[float]:
    """Return the seconds of wall time of each epoch on a device, after one that is not counted."""
    ends: list[float] = []

    def watch(simulation: Simulation, n_presentations: int) -> bool:
        ends.append(time.perf_counter())
        return False

    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(data)}, epochs=1 + n_epochs)])
    circuit = krotov2019.circuit(784, HIDDEN, p=P, k=K, delta=DELTA, step=nc.LargestChange(SIZE))
    engine = nc.SteadyState(batch=BATCH, dtype="float32", device=device)
    nc.run(circuit, protocol, engine, progress=False, watch=watch, watch_every=len(data))
    return [end - start for start, end in pairwise(ends)]


def beside(data: np.ndarray, device: str, what: str, n_epochs: int) -> Result:
    """Return the time of an epoch on a device beside that with NumPy on one thread."""
    with one_thread():
        ours, numpys = (epochs(data, where, n_epochs) for where in (device, "cpu"))
    name = f"an epoch of {len(data)} images with device={device!r}, 784-{HIDDEN}, batch {BATCH}, float32, {what}"
    return result(name, ours, numpys, "s of wall time", "NumPy on one thread")


def run(quick: bool = False) -> list[Result]:
    """Time a minibatch against both references, against the number of hidden units, and an epoch on a GPU."""
    values, what = images(1000 if quick else 10_000)
    data = values.astype(np.float32)
    found = []
    for make, against, limit in (
        (bare, "the bare product, float32", BARE_LIMIT),
        (notebook, "the notebook's arithmetic", NOTEBOOK_LIMIT),
    ):
        watch = timed(data, HIDDEN, make, quick)
        name = f"minibatch of {BATCH}, 784-{HIDDEN}, p = {P:g}, k = {K}, {what}"
        found.append(result(name, watch.rounds(0, 1e-3), watch.rounds(1, 1e-3), "ms", against, limit))
    for hidden in (500, 1000) if quick else (500, 1000, 4000, 8000):
        watch = timed(data, hidden, bare, quick)
        name = f"the same with {hidden} hidden units"
        found.append(result(name, watch.rounds(0, 1e-3), watch.rounds(1, 1e-3), "ms", "the bare product, float32"))
    if reason := missing("cuda"):
        print(f"krotov_epoch: no time per epoch with device='cuda': {reason}", file=sys.stderr)
    else:
        found.append(beside(data, "cuda", what, 1 if quick else ROUNDS))
    return found
