"""A dense recurrent rate network in continuous time on Brian 2: against its bare BLAS matrix-vector products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import neurocircuits as nc
from benchmarks.harness import InTurn, Result, one_thread, result

LIMIT = 1.3
HELD = 20  # time steps for which a stimulus is held


def network(n_units: int, n_inputs: int) -> nc.Circuit:
    """Return recurrent rate units that all excite each other, and inputs to all of them."""
    return nc.Circuit(
        "rate-network",
        [
            nc.Population("X", n_inputs),
            nc.Population(
                "R", n_units, equations="du/dt = (drive - u)/tau : 1\nr = rectify(u) : 1", parameters={"tau": "20 ms"}
            ),
        ],
        [
            nc.Synapses("X", "R", weights=nc.Uniform(0.0, 2.0 / n_inputs)),
            nc.Synapses("R", "R", weights=nc.Uniform(0.0, 1.0 / n_units)),
        ],
    )


def measured(n_units: int, n_inputs: int, dtype: str, held: int, warming: int, n_batches: int) -> Result:
    """Return time steps of the network against products, where a stimulus lasts ``held`` steps."""
    values = np.random.default_rng(0).random((50, n_inputs)).astype(dtype)
    per_batch = max(1, HELD // held)  # presentations, so that a batch is of 20 time steps either way

    def make(simulation: Any) -> Callable[[], None]:
        recurrent, inputs = (simulation.store.arrays[name] for name in ("R_to_R", "X_to_R"))
        rates, stimulus = np.random.default_rng(1).random(n_units).astype(dtype), values[0]
        out, out_inputs = np.empty(n_units, dtype), np.empty(n_units, dtype)

        def reference() -> None:
            for _ in range(HELD):
                np.dot(recurrent, rates, out=out)
                if held == 1:
                    np.dot(inputs, stimulus, out=out_inputs)

        return reference

    watch = InTurn(make, warming, n_batches)
    stimulus = nc.Patterns(values, duration=1e-3 * held)
    protocol = nc.Protocol([nc.Phase("show", {"X": stimulus}, epochs=100_000, plasticity=False)])
    engine = nc.Brian2(dt="1 ms", dtype=dtype, tolerance=None)
    nc.run(network(n_units, n_inputs), protocol, engine, progress=False, watch=watch, watch_every=per_batch)
    what = "stimulus changes each step" if held == 1 else f"stimulus held for {held} steps"
    against = "both products" if held == 1 else "the recurrent product alone"
    unit = 1e-3 * HELD
    name = f"{n_units} units, {n_inputs} inputs, {dtype}, {what}, one step"
    return result(name, watch.rounds(0, unit), watch.rounds(1, unit), "ms", against, LIMIT)


def run(quick: bool = False) -> list[Result]:
    """Time steps in both precisions, with stimuli that change each step and that are held."""
    size = (100, 50) if quick else (2000, 784)
    with one_thread():
        return [
            measured(*size, dtype, held, warming=2 if quick else 10, n_batches=1 if quick else 10)
            for dtype in ("float64", "float32")
            for held in (1, HELD)
        ]
