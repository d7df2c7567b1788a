"""A hundred copies of a spiking network on shared weights (E-I Net), against the authors' iteration in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import neurocircuits as nc
from benchmarks.harness import InTurn, Result, one_thread, result
from neurocircuits.models import king2013

COPIES, N_STEPS = 100, 50


def measured(n_excitatory: int, n_inhibitory: int, n_pixels: int, dtype: str, warming: int, n_batches: int) -> Result:
    """Return time steps of the network, with feeding and restarting, against those of a loop of dense products."""
    generator = np.random.default_rng(0)
    patches = generator.standard_normal((COPIES * 20, n_pixels))
    patches /= patches.std(axis=1, keepdims=True)

    def make(simulation: Any) -> Callable[[], None]:
        w = {name: simulation.store.arrays[name].astype(dtype) for name in king2013.BLOCKS}
        theta = {name: simulation.values[name].data["theta"].astype(dtype) for name in ("E", "I")}
        shown = patches[:COPIES].astype(dtype)
        decay = {name: np.exp(np.array(-0.1 * k, dtype)) for name, k in (("E", 1), ("I", 2))}

        def reference() -> None:
            u = {name: np.zeros((COPIES, len(theta[name])), dtype) for name in theta}
            r = {name: np.zeros_like(each) for name, each in u.items()}
            lasting, counts = ({name: np.zeros_like(each) for name, each in u.items()} for _ in range(2))
            s = {name: np.zeros_like(each) for name, each in u.items()}
            fixed = 0.1 * (shown @ w["X_to_E"].T)
            for _ in range(N_STEPS):
                e = decay["E"] * u["E"] + fixed - s["I"] @ w["I_to_E"].T
                i = decay["I"] * u["I"] + s["E"] @ w["E_to_I"].T - s["I"] @ w["I_to_I"].T
                for name, each in (("E", e), ("I", i)):
                    fired = each >= theta[name]
                    each[fired] = 0
                    s[name], u[name] = fired.astype(dtype), each
                    for average in (r, lasting):
                        average[name] += 0.0952 * (s[name] - average[name])
                    counts[name] += s[name]

        return reference

    watch = InTurn(make, warming, n_batches)
    shown = {"X": nc.Patterns(patches, duration=king2013.SAMPLE)}
    phases = [
        nc.Phase("learn", shown, restart=king2013.RESTARTED),
        nc.Phase("show", shown, epochs=100_000, restart=king2013.RESTARTED, plasticity=False),
    ]
    engine = nc.Brian2(dt="1 ms", method="euler", batch=COPIES, learning_step="5 ms", dtype=dtype, target="cython")
    circuit = king2013.circuit(n_excitatory, n_inhibitory, n_pixels)
    nc.run(circuit, nc.Protocol(phases), engine, progress=False, watch=watch, watch_every=COPIES)
    name = f"{COPIES} copies of {n_excitatory} + {n_inhibitory} cells, {n_pixels} pixels, {dtype}, one step"
    unit = 1e-3 * N_STEPS
    return result(name, watch.rounds(0, unit), watch.rounds(1, unit), "ms", "a loop of dense products in NumPy")


def run(quick: bool = False) -> list[Result]:
    """Time steps in both precisions; quickly in one, since each is compiled by itself."""
    size = (40, 8, 25) if quick else (400, 49, 100)
    with one_thread():
        return [
            measured(*size, dtype, warming=21 if quick else 30, n_batches=1 if quick else 10)
            for dtype in ("float64", "float32")[: 1 if quick else 2]
        ]
