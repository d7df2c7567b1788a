"""Training of recurrent networks by back-propagation through time: one loop, exact to resume, results as trees."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from neurocircuits.declare.checks import is_whole
from neurocircuits.errors import InterruptedRun, UnsupportedError, ValidationError
from neurocircuits.progress import Progress
from neurocircuits.randomness import Streams
from neurocircuits.recurrent.cells import RecurrentLayers, n_parameters
from neurocircuits.recurrent.course import Course
from neurocircuits.recurrent.network import Network, evaluate
from neurocircuits.recurrent.settings import Training
from neurocircuits.recurrent.tasks import PARTS, Task, check_fills


def train(
    task: Task,
    cell: type[RecurrentLayers],
    hidden_size: int,
    training: Training,
    *,
    seed: int = 0,
    num_layers: int = 1,
    checkpoint: str | Path | None = None,
    stop_below: float | None = None,
    pause_after: int | None = None,
    progress: bool = True,
    device: str | None = None,
    **settings: Any,
) -> tuple[Network, xr.DataTree]:
    """Train a network, or go on where a checkpoint ended.

    Parameters
    ----------
    task : Task
        What it learns.
    cell : type
        Kind of its layers, such as ``SubLSTM``.
    hidden_size : int
        Units of each layer.
    training : Training
        How it is trained.
    seed : int
        Of first weights, batches and dropout.
    num_layers : int
        Layers.
    checkpoint : path, optional
        File that is written every 500 updates and at the end, and gone on from if it is there: the results are those
        of an unbroken run.
    stop_below : float, optional
        Validation loss below which training stops.
    pause_after : int, optional
        Epochs in all after which it stops for now; an equal call with the same checkpoint and a larger number, or none,
        goes on.
    progress : bool
        Whether to show how far it is.
    device : str, optional
        Torch's device; a GPU if there is one.
    **settings
        Further arguments of ``cell``: dropout, update_dropout, dtype.

    Returns
    -------
    network : Network
        With the parameters of the best validation loss.
    result : DataTree
        ``/curves`` by epoch: training loss, validation loss and score, updates done; ``/scores``: test loss and score;
        attributes: task, cell, sizes, settings, seed, baselines.

    Raises
    ------
    ValidationError
        If ``task``, ``cell`` or ``training`` is of another kind, ``hidden_size`` not positive, or a part of the task
        too short for a batch.
    UnsupportedError
        If this machine has no such device.
    DivergenceError
        If the loss is not finite.
    InterruptedRun
        If it is interrupted; the checkpoint, if there is to be one, has been written. A single interruption waits for
        the end of an update; of one that cannot wait, the checkpoint before is what is gone on from.
    StorageError
        If the checkpoint cannot be read, or is of other settings or of another task.
    """
    for name, value, kind in (("task", task, Task), ("training", training, Training)):
        if not isinstance(value, kind):
            raise ValidationError(f"train: {name} is a {type(value).__name__}. Give a {kind.__name__}.")
    if not (isinstance(cell, type) and issubclass(cell, RecurrentLayers)):
        raise ValidationError(f"train: the cell {cell!r} is no class of recurrent layers. Give one, such as SubLSTM.")
    if not is_whole(hidden_size) or hidden_size < 1:
        raise ValidationError(f"train: hidden_size {hidden_size!r} is not a positive whole number.")
    for part in PARTS:
        check_fills(task, part, training.batch)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:  # as torch says that it was built without a GPU
        raise UnsupportedError(f"train: the device {device!r} is not there: {error}. Use device='cpu'.") from None
    streams = Streams(seed)
    with torch.random.fork_rng():
        torch.manual_seed(int(streams.generator("recurrent weights").integers(2**31)))
        width = hidden_size if task.kind == "words" else task.n_inputs
        layers = cell(width, hidden_size, num_layers, **settings)
        network = Network(layers, task, training.input_dropout, training.output_dropout, training.tied)
        network.to(device=device, dtype=settings.get("dtype") or torch.get_default_dtype())
        described = {
            "task": task.name,
            "data": task.identity(),
            "cell": cell.__name__,
            "hidden_size": layers.hidden_size,
            "num_layers": layers.num_layers,
            "training": asdict(training),
            "settings": {name: str(value) for name, value in settings.items()},
            "seed": int(seed),
        }
        course = Course(network, task, training, streams, described, None if checkpoint is None else Path(checkpoint))
        course.resume()
        n_before = course.updates
        n_updates = training.epochs * task.n_batches("train", training.batch)
        with Progress(n_updates, course.updates, progress, "updates") as bar:
            try:
                while course.goes_on(stop_below, pause_after):
                    course.epoch(bar)
            except KeyboardInterrupt:
                kept = course.save()
                raise InterruptedRun(
                    f"train: interrupted after {course.updates} updates. "
                    + ("Call it again with the same checkpoint to go on." if kept else "There is no checkpoint.")
                ) from None
        if course.updates > n_before:  # a checkpoint that is only read may be in use elsewhere
            course.save()
        network.load_state_dict(course.best)
        network.eval()
        scores = evaluate(network, task, "test", training.batch)
    curves = {name: ("epoch", values) for name, values in course.curves.items()}
    tree = xr.DataTree.from_dict(
        {
            "/curves": xr.Dataset(curves, coords={"epoch": 1 + np.arange(len(course.curves["validation_loss"]))}),
            "/scores": xr.Dataset({f"test_{name}": value for name, value in scores.items()}),
        }
    )
    tree.attrs = {
        **{name: value if isinstance(value, str | int) else json.dumps(value) for name, value in described.items()},
        "n_parameters": n_parameters(network),
        "baselines": json.dumps(dict(task.baselines)),
        "torch": torch.__version__,
        "device": device,
    }
    return network, tree
