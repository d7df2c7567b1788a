"""What figures of competing hidden units share: images, long runs that are kept and resumed, read-outs, controls."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import datasets
from neurocircuits.datasets import Dataset
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.base import Engine
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.reproduce import figure_cache
from neurocircuits.results.storage import read_tree, write_tree
from neurocircuits.simulation import resume, run

ENGINE = SteadyState(batch=100, dtype="float32")
N_TEST_DIGITS = 500


def images(name: str, seed: int) -> tuple[Dataset, Dataset]:
    """Return training and test images of "digits" (split with the seed) or "mnist", in 0 to 1."""
    if name == "digits":
        return datasets.digits().split(N_TEST_DIGITS, seed)
    return datasets.mnist(dtype="float32"), datasets.mnist("test", dtype="float32")


def presented(data: Dataset, epochs: int, n_snapshots: int) -> Protocol:
    """Return a protocol that shows all images in a new order each epoch, and keeps snapshots of the weights."""
    shown = Patterns(data.stored, scale=data.scale).shuffled()
    record = Record(weights_every=len(data) * max(1, epochs // n_snapshots))
    return Protocol([Phase("learn", {"S": shown}, epochs=epochs, record=record)], name="competing")


def kept_run(circuit: Circuit, protocol: Protocol, engine: Engine | None, seed: int) -> xr.DataTree:
    """Run, or read what an equal run left in the cache; one that was cut off goes on from its last checkpoint."""
    texts = [to_json(part) for part in (circuit, protocol, engine or ENGINE)]
    name = hashlib.sha256("\n".join([*texts, str(seed)]).encode()).hexdigest()[:32]
    folder = figure_cache().with_name("runs")
    path, checkpoint = folder / f"{name}.zip", folder / f"{name}.checkpoint"
    if path.exists():
        return read_tree(path)
    folder.mkdir(parents=True, exist_ok=True)
    if (checkpoint / "run.json").exists():
        tree = resume(checkpoint)
    else:
        tree = run(circuit, protocol, engine or ENGINE, seed, checkpoint=checkpoint, checkpoint_every=120)
    write_tree(tree, path)
    return tree


def on_the_sphere(rows: np.ndarray, p: float) -> np.ndarray:
    """Return rows divided by their p-norm."""
    return rows / np.maximum((np.abs(rows) ** p).sum(axis=1, keepdims=True) ** (1 / p), 1e-30)


def controls(data: Dataset, n_hidden: int, p: float, seed: int) -> dict[str, np.ndarray | None]:
    """Return rows that were not learned: random ones and training images on the sphere, and none (raw pixels)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(data), n_hidden, replace=n_hidden > len(data))
    return {
        "random rows": on_the_sphere(rng.normal(size=(n_hidden, data.n_features)), p),
        "training images": on_the_sphere(data[chosen].values.astype(float), p),
        "raw pixels": None,
    }


def read_out(layer: Any, rows: np.ndarray | None, train: Dataset, test: Dataset, watch_every: int) -> dict[str, Any]:
    """Train a top layer on the currents of rows, or on pixels; return its history."""
    parts = [data.values if rows is None else data.values @ rows.T.astype(data.dtype) for data in (train, test)]
    labels = [np.asarray(data.labels) for data in (train, test)]
    watch = {"train": (parts[0], labels[0]), "test": (parts[1], labels[1])}
    return dict(layer.fit(parts[0], labels[0], watch=watch, watch_every=watch_every).history_)


def norms(w: np.ndarray, p: float) -> np.ndarray:
    """Return sum |w|^p of each row."""
    return np.asarray((np.abs(w) ** p).sum(axis=-1))


def border(w: np.ndarray, mean_image: np.ndarray) -> float:
    """Return the mean size of weights from pixels that are all but never inked, relative to that of all others."""
    dark = mean_image < 0.001
    return float(np.abs(w[:, dark]).mean() / np.abs(w[:, ~dark]).mean()) if dark.any() else float("nan")
