"""What the figures of spiking networks that learn from natural images share: patches, runs, and what is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.simulation import run

HUNDRED = 100  # samples in the authors' batches, and in their measure of correlations


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
    circuit: Circuit, shown: dict[str, np.ndarray], count: str, engine: Any, seed: int, n: int = 0, **phase: Any
) -> dict[str, Any]:
    """Learn from patches for 50 ms each, freeze, and return spike counts, weights and thresholds.

    ``count`` is the variable of a population that counts its spikes in a presentation; ``n`` patches are drawn with
    replacement, or all are shown once; ``phase`` goes to both phases.
    """
    images: dict[str, Any] = {name: Patterns(values, duration="50 ms") for name, values in shown.items()}
    images["learn"] = images["learn"].sampled(n) if n else images["learn"]
    protocol = Protocol(
        [
            Phase("learn", {"X": images["learn"]}, **phase),
            Phase("probe", {"X": images["probe"]}, plasticity=False, record=Record(count), **phase),
        ]
    )
    tree = run(circuit, protocol, engine, seed)
    populations = [p.name for p in circuit.populations if p.is_spiking]
    return {
        "counts": {name: tree[f"/populations/{name}"].ds[count].values for name in populations},
        "weights": {str(s.name): tree[f"/synapses/{s.name}"].ds["w"].values[-1] for s in circuit.synapses},
        "theta": {name: tree[f"/slow/{name}"].ds["theta"].values[-1] for name in populations},
    }


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
