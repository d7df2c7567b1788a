"""What the figures of spiking networks that learn from natural images share: patches, runs, and what is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.models import king2013
from neurocircuits.simulation import run

HUNDRED = 100  # samples in the authors' batches, and in their measure of correlations
STEP, N_STEPS = 1e-3, 50  # of the authors' iterations, s, and how many of them are a sample


def hundred(learning_step: str) -> Brian2:
    """Return the engine of both programs: a hundred copies share their weights, one iteration is a step of 1 ms."""
    return Brian2(dt="1 ms", method="euler", batch=HUNDRED, learning_step=learning_step, dtype="float32")


E_I_NET = hundred("5 ms")


def patches(quick: bool, n: int, size: int, seed: int, what: str, margin: int = 4) -> np.ndarray:
    """Return whitened patches of mean 0 and standard deviation 1: of natural images, or quickly of two photographs."""
    streams = np.random.default_rng([seed, {"learn": 0, "probe": 1}[what]])
    if not quick:
        return datasets.natural_images(n, size, margin=margin, rng=streams).values
    photographs = datasets.photographs(size).values.reshape(-1, 3, size**2).mean(axis=1)
    photographs -= photographs.mean(axis=1, keepdims=True)
    photographs = photographs[photographs.std(axis=1) > 0.01]  # the rest is sky
    values, vectors = np.linalg.eigh(np.cov(photographs.T))
    kept = values > 1e-3 * values.max()  # patches have no mean, and noise is not whitened
    white = photographs @ (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    white = white[streams.integers(len(white), size=n)]
    white -= white.mean(axis=1, keepdims=True)
    return np.asarray(white / white.std(axis=1, keepdims=True))


def learned(
    circuit: Circuit,
    shown: dict[str, np.ndarray],
    count: str,
    engine: Any,
    seed: int,
    n: int = 0,
    followed: int = 0,
    **phase: Any,
) -> dict[str, Any]:
    """Learn from patches for 50 ms each, freeze, and return spike counts, weights and thresholds.

    ``count`` is the variable of a population that counts its spikes in a presentation; ``n`` patches are drawn with
    replacement, or all are shown once; of the first ``followed`` presentations after learning all spikes are returned,
    (presentation, iteration, unit); ``phase`` goes to both phases.
    """
    images: dict[str, Any] = {name: Patterns(values, duration="50 ms") for name, values in shown.items()}
    images["learn"] = images["learn"].sampled(n) if n else images["learn"]
    record = Record(count, spikes=bool(followed))
    protocol = Protocol(
        [
            Phase("learn", {"X": images["learn"]}, **phase),
            Phase("probe", {"X": images["probe"]}, plasticity=False, record=record, **phase),
        ]
    )
    tree = run(circuit, protocol, engine, seed)
    populations = [p.name for p in circuit.populations if p.is_spiking]
    return {
        "counts": {name: tree[f"/populations/{name}"].ds[count].values for name in populations},
        "weights": {str(s.name): tree[f"/synapses/{s.name}"].ds["w"].values[-1] for s in circuit.synapses},
        "theta": {name: tree[f"/slow/{name}"].ds["theta"].values[-1] for name in populations},
        "spikes": {name: raster(tree, name, min(followed, len(shown["probe"]))) for name in populations if followed},
    }


def raster(tree: xr.DataTree, name: str, n: int) -> np.ndarray:
    """Return when units fired in the first ``n`` recorded presentations, bool (presentation, iteration, unit)."""
    spikes, recorded = tree[f"/spikes/{name}"].ds, tree[f"/populations/{name}"].ds
    row = spikes["presentation"].values - int(recorded["presentation"].values[0])
    kept = row < n
    row = row[kept]
    onset = recorded["time"].values[row] - N_STEPS * STEP  # the copies of a batch share their time
    fired = np.zeros((n, N_STEPS, recorded.sizes["unit"]), dtype=bool)
    fired[row, np.rint((spikes["time"].values[kept] - onset) / STEP).astype(int), spikes["unit"].values[kept]] = True
    return fired


def e_i_net(
    n_e: int, n_i: int, shown: dict[str, np.ndarray], engine: Any, seed: int, followed: int = 0, **settings: Any
) -> dict[str, Any]:
    """Return what an E-I Net of these sizes learns."""
    circuit = king2013.circuit(n_e, n_i, shown["learn"].shape[1], rng=seed, **settings)
    return learned(circuit, shown, "n", engine, seed, followed=followed, restart=king2013.RESTARTED)


def e_i_fields(weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the fields of E or I cells; that of an I cell is what its E cells' fields add up to."""
    return weights["X_to_E"] if name == "E" else weights["E_to_I"] @ weights["X_to_E"]


def measures(counts: np.ndarray, images: np.ndarray, fields: np.ndarray, target: float) -> dict[str, float]:
    """Return the numbers that figures compare; ``target`` is in spikes for a presentation."""
    side = int(np.sqrt(fields.shape[1]))
    index = analysis.orientation_index(fields.reshape(-1, side, side))
    return {
        "rate": counts.mean() / target,
        "correlation": analysis.rms_correlation(counts, HUNDRED),
        "correlation_all": analysis.rms_correlation(counts),
        "error": analysis.reconstruction_error(images, counts, fields),
        "oriented": float((index > 0.5).mean()),
        "silent": float((counts.sum(axis=0) == 0).mean()),
    }


def by_setting(rows: list[dict[str, float]], name: str, values: Any) -> xr.Dataset:
    """Return measures along a coordinate."""
    return xr.Dataset({key: (name, [row[key] for row in rows]) for key in rows[0]}, coords={name: list(values)})
