"""What the figures of the correlation games share: images, runs, and the measures that go into their trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.datasets import Dataset
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.base import Engine
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.protocols import features
from neurocircuits.simulation import run

# Mean drifts over a batch forgive a residual of 1 %: on MNIST the measures below do not move beyond their spread
# between seeds, in half the time.
ENGINE = SteadyState(batch=100, learning_tolerance=0.01)
N_PROBE = 2000

# Small circuits learn digits and bars in a thousand minibatches at rates that would be too high for larger ones.
DIGITS = {
    "n_sensory": 64,
    "n_excitatory": 16,
    "kappa": 0.05,
    "p": 0.3,
    "eta_excitatory": "0.05 Hz",
    "eta_gain": "0.5 Hz",
}
BARS = {"eta_excitatory": "0.2 Hz", "eta_inhibitory": "0.4 Hz", "eta_gain": "1 Hz"}

MEASURES = {
    "median_power": "median over E cells of <r^2>/q^2",
    "n_silent": "E cells that are never active",
    "active": "fraction of active (cell, presentation) pairs",
    "slope": "slope of inhibition on excitation of active pairs, through the origin",
    "mean_cosine": "mean cosine of two cells",
    "percentile_95": "95th percentile of the cosines",
    "largest_cosine": "largest cosine of two cells",
    "n_duplicates": "pairs of features with a cosine above 0.9",
    "nonzero": "fraction of non-zero weights from S to E",
}


def images(name: str, seed: int) -> Dataset:
    """Return "bars" (drawn with the seed), "digits" or "mnist", scaled so that the mean of |u|^2 is 1."""
    if name == "bars":
        return datasets.bars(5000, rng=seed).unit_power()[0]
    return (datasets.digits() if name == "digits" else datasets.mnist()).unit_power()[0]


def presented(data: Dataset, n_minibatches: int, **settings: Any) -> dict[str, Any]:
    """Return the arguments of a protocol that presents images in minibatches of 100, drawn into a dictionary."""
    labels = data.labels if data.labels is not None and data.labels.ndim == 1 else None
    shown = {"values": data.stored, "labels": labels, "scale": data.scale, "n_learn": 100 * n_minibatches}
    return {**shown, "n_probe": N_PROBE, **settings}


def learn(circuit: Circuit, data: Dataset, n_minibatches: int, engine: Engine | None, seed: int) -> xr.DataTree:
    """Return a run that learns features and probes them in a phase "probe"."""
    return run(circuit, features.protocol(**presented(data, n_minibatches)), engine or ENGINE, seed)


def measures(tree: xr.DataTree, phase: str = "probe") -> dict[str, float]:
    """Return the numbers that figures compare, `MEASURES`, of a run that learned."""
    activity = analysis.activity(tree, phase=phase)
    cosines = analysis.decorrelation(tree, phase=phase)
    return {
        "median_power": float(activity["median_power"]),
        "n_silent": int(activity["n_silent"]),
        "active": float(activity["fraction_active"]),
        "slope": float(analysis.ei_balance(tree, phase=phase)["slope"]),
        **{name: float(cosines[name]) for name in ("mean_cosine", "percentile_95", "largest_cosine")},
        "n_duplicates": int(analysis.duplicate_features(tree)["n_pairs"]),
        "nonzero": float(analysis.nonzero_weights(tree)["fraction"]),
    }


def table(rows: Iterable[Mapping[str, float]], coordinate: str, values: Iterable[Any]) -> xr.Dataset:
    """Return measures of several runs as a dataset over the setting that differs."""
    listed = list(rows)
    columns = {
        name: ((coordinate,), [row[name] for row in listed], {"description": MEASURES.get(name, name)})
        for name in listed[0]
    }
    return xr.Dataset(columns, coords={coordinate: np.array(list(values))})


def final_weights(tree: xr.DataTree, pathway: str = "S_to_E") -> np.ndarray:
    """Return the weights at the end of a run, (post, pre), in single precision: they are only looked at."""
    return tree[f"/synapses/{pathway}"].ds["w"].values[-1].astype(np.float32)


def combined(groups: dict[str, xr.Dataset], engine: Any, **attributes: Any) -> xr.DataTree:
    """Return the tree of a figure, with its engine (or engines, a tuple) and further attributes at the root."""
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": to_json(engine or ENGINE), **attributes}
    return tree


def measured(tree: xr.DataTree, name: str, **where: Any) -> Any:
    """Return a measure of the tree of a figure, of one setting or of all."""
    data = tree["/measures"].to_dataset()
    if name not in data:
        raise ValidationError(f"The figure measures no {name!r}; it measures {', '.join(map(str, data.data_vars))}.")
    return data[name].sel(where).values


def by_seed(trees: list[xr.DataTree], name: str) -> np.ndarray:
    """Return a measure of all settings, one row for each seed."""
    return np.stack([tree["/measures"].ds[name].values for tree in trees])
