"""What figures of recurrent networks share: many trainings that go on in rounds, and what is there when they stop."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import neurocircuits.recurrent as recurrent
from neurocircuits.errors import DivergenceError, InterruptedRun

CELLS = {"LSTM": "C0", "SubLSTM": "C3", "FixSubLSTM": "C1", "GRU": "C2"}
"""Colours of the cells."""


@dataclass(frozen=True)
class Job:
    """A network to train.

    Parameters
    ----------
    name : str
        Name, also of its checkpoint.
    task : Task
        What it learns.
    cell : str
        Kind of its layers.
    units : int
        Units of each layer.
    training : Training
        How it is trained.
    num_layers : int
        Layers.
    settings : dict
        Further settings of its layers.
    """

    name: str
    task: Any
    cell: str
    units: int
    training: Any
    num_layers: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


def scores(jobs: Sequence[Job], rounds: Sequence[int], seed: int, folder: Path | None = None) -> xr.DataTree:
    """Train networks in rounds, all of them up to so many epochs before any goes further, and return their scores.

    An interruption ends it with the scores that are there, those of networks that earlier calls or other processes
    trained with it, and an equal call goes on. A network that is trained already costs a test.

    Parameters
    ----------
    jobs : sequence of Job
        The networks.
    rounds : sequence of int
        Epochs in all after which each round pauses; the last trains to the end.
    seed : int
        Seed of every training.
    folder : Path, optional
        Folder of the checkpoints.

    Returns
    -------
    DataTree
        Over ``job``: score and loss on the test part, best validation score, epochs and updates done, parameters,
        whether it is ``finished`` (0 or 1); the
        curves of validation, (job, epoch); NaN for what is not there. Coordinates are names, cells, tasks, units,
        seeds and, as JSON, how it was trained. The attribute ``partial`` is there if it was interrupted or a training
        diverged.
    """
    found: dict[str, xr.DataTree] = {}
    failed: dict[str, str] = {}
    partial = ""
    kept = {job.name for job in jobs if folder and _kept(job, seed, folder).exists()}
    try:
        for last in (0, *rounds[:-1], None) if folder else (None,):  # what is not kept cannot go on
            for job in jobs:
                so_far = found[job.name]["/curves"].sizes["epoch"] if job.name in found else 0
                left = last if last is not None else job.training.epochs
                if job.name not in failed and (so_far < left or (last == 0 and job.name in kept)):
                    try:
                        tree = _trained(job, last, seed, folder)
                        if tree["/curves"].sizes["epoch"]:
                            found[job.name] = tree
                    except DivergenceError as error:
                        failed[job.name] = str(error)
                        warnings.warn(f"{job.name}: {error}", stacklevel=2)
    except (InterruptedRun, KeyboardInterrupt):
        done = {name: one["/curves"].sizes["epoch"] for name, one in found.items()}
        partial = f"interrupted; epochs so far: {done}. The same command goes on."
    return _collected(jobs, found, failed, partial, seed)


def _kept(job: Job, seed: int, folder: Path) -> Path:
    return folder / f"{job.name}, {seed}.pt".replace(" ", "_").replace(",", "")


def _trained(job: Job, last: int | None, seed: int, folder: Path | None) -> xr.DataTree:
    file = None if folder is None else _kept(job, seed, folder)
    kind = getattr(recurrent, job.cell)
    _, result = recurrent.train(
        job.task,
        kind,
        job.units,
        job.training,
        seed=seed,
        num_layers=job.num_layers,
        checkpoint=file,
        pause_after=last,
        **job.settings,
    )
    return result


def _collected(
    jobs: Sequence[Job], found: dict[str, xr.DataTree], failed: dict[str, str], partial: str, seed: int
) -> xr.DataTree:
    longest = max((one["/curves"].sizes["epoch"] for one in found.values()), default=1)
    names = ("test", "test_loss", "validation", "epochs", "updates", "parameters", "finished")
    values = {name: np.full(len(jobs), np.nan) for name in names}
    values["finished"] = np.zeros(len(jobs))
    curves = np.full((len(jobs), longest), np.nan)
    for k, job in enumerate(jobs):
        if job.name not in found:
            continue
        one = found[job.name]
        curve, test = one["/curves"].ds, one["/scores"].ds
        curves[k, : curve.sizes["epoch"]] = curve["score"]
        best = int(np.argmin(curve["validation_loss"].values))
        n, how = curve.sizes["epoch"], job.training
        finished = n == how.epochs or (how.patience is not None and n - 1 - best >= how.patience)
        row = (test["test_score"], test["test_loss"], curve["score"][best], n, curve["updates"][-1])
        for name, value in zip(names, (*row, one.attrs["n_parameters"], finished), strict=True):
            values[name][k] = value
    coords = {
        "job": [job.name for job in jobs],
        "cell": ("job", [job.cell for job in jobs]),
        "task": ("job", [job.task.name for job in jobs]),
        "units": ("job", [job.units for job in jobs]),
        "seed": ("job", [seed] * len(jobs)),
        "training": ("job", [json.dumps({**asdict(job.training), **job.settings}) for job in jobs]),
        "epoch": 1 + np.arange(longest),
    }
    data = {name: ("job", each) for name, each in values.items()} | {"curve": (("job", "epoch"), curves)}
    tree = xr.DataTree.from_dict({"/scores": xr.Dataset(data, coords=coords)})
    versions = {one.attrs["torch"] for one in found.values()}
    tree.attrs = {"engine": json.dumps({"torch": ", ".join(sorted(versions))})}
    if partial or failed:
        tree.attrs["partial"] = " ".join([partial, *failed.values()]).strip()
    return tree


def score(tree: xr.DataTree, name: str, what: str = "test") -> float:
    """Return a number of a training; NaN if it has not ended, since others may have gone further."""
    data = tree["/scores"].ds.sel(job=name)
    return float(data[what]) if data["finished"] else np.nan
