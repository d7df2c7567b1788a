"""Competing hidden units, the fast rule: the engine against the bare currents product and the public notebook."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np

import neurocircuits as nc
from benchmarks.harness import InTurn, Result, one_thread, result
from benchmarks.learning_mnist import images
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


def run(quick: bool = False) -> list[Result]:
    """Time a minibatch against both references, then against the number of hidden units."""
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
    return found
