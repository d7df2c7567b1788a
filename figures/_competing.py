"""What figures of competing hidden units share: images, long runs that are kept and resumed, read-outs, controls."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import xarray as xr
from sklearn.base import clone

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
N_TEST = 500  # of sets that have no test images of their own
DURATION = 0.1  # of a presentation in seconds
N_VALIDATION = {
    "digits": 300,
    "photographs": 1000,
    "mnist": 10_000,
    "cifar10": 5000,
}  # of the training images; where choices are made


def images(name: str, seed: int, tune: bool = False) -> tuple[Dataset, Dataset]:
    """Return training and test images; with ``tune`` the training images in two parts, the test images untouched.

    Images of "mnist" and "digits" are in 0 to 1, those of "cifar10" and "photographs" have unit length. Digits and
    photographs have no test images of their own, and are divided with the seed.
    """
    if name == "digits":
        train, test = datasets.digits().split(N_TEST, seed)
    elif name == "photographs":
        train, test = datasets.photographs(12, dtype="float32").unit_length().split(N_TEST, seed)
    elif name == "mnist":
        train, test = (datasets.mnist(part, dtype="float32") for part in ("train", "test"))
    else:
        train, test = (datasets.cifar10(part, dtype="float32").unit_length() for part in ("train", "test"))
    return train.split(N_VALIDATION[name], seed) if tune else (train, test)


def presented(data: Dataset, epochs: int, n_snapshots: int, plasticity: Any = True) -> Protocol:
    """Return a protocol that shows all images in a new order each epoch, and keeps snapshots of the weights."""
    shown = Patterns(data.stored, scale=data.scale, duration=DURATION).shuffled()
    record = Record(weights_every=len(data) * max(1, epochs // n_snapshots))
    learn = Phase("learn", {"S": shown}, epochs=epochs, plasticity=plasticity, record=record)
    return Protocol([learn], name="competing")


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


def currents_of(rows: np.ndarray, p: float) -> np.ndarray:
    """Return rows whose plain product with an image is the current by which units compete."""
    return np.asarray(rows * np.abs(rows) ** (p - 2))


def controls(data: Dataset, n_hidden: int, p: float, seed: int) -> dict[str, np.ndarray | None]:
    """Return rows that were not learned: random ones and training images on the sphere, and none (raw pixels)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(data), n_hidden, replace=n_hidden > len(data))
    return {
        "random rows": on_the_sphere(rng.normal(size=(n_hidden, data.n_features)), p),
        "training images": on_the_sphere(data[chosen].values.astype(float), p),
        "raw pixels": None,
    }


def kept(job: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of a module returns, or read what an equal call of the same text left in the cache."""
    name = joblib.hash((job.__module__, inspect.getsource(job), arguments))
    path = figure_cache().with_name("kept") / f"{name}.joblib"
    if path.exists():
        return joblib.load(path)
    found = job(*arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    joblib.dump(found, partial)
    partial.replace(path)
    return found


def kept_layer(layer: Any, rows: np.ndarray | None, train: Dataset, test: Dataset, watch_every: int = 1) -> Any:
    """Return a top layer trained on the currents of rows, or on pixels, or what an equal call left in the cache."""
    return kept(_fitted, clone(layer), rows, train, test, watch_every)


def _fitted(layer: Any, rows: np.ndarray | None, train: Dataset, test: Dataset, watch_every: int) -> Any:
    parts = [data.values if rows is None else data.values @ rows.T.astype(data.dtype) for data in (train, test)]
    labels = [np.asarray(data.labels) for data in (train, test)]
    watch = {"train": (parts[0], labels[0]), "test": (parts[1], labels[1])}
    return layer.fit(parts[0], labels[0], watch=watch, watch_every=watch_every)
