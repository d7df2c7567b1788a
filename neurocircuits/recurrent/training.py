"""Training of recurrent networks by back-propagation through time: one loop, exact to resume, results as trees."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.errors import DivergenceError, InterruptedRun, StorageError, UnsupportedError, ValidationError
from neurocircuits.progress import Progress
from neurocircuits.randomness import Streams
from neurocircuits.recurrent.cells import RecurrentLayers, n_parameters
from neurocircuits.recurrent.network import Network, evaluate, loss_of, tensor
from neurocircuits.recurrent.tasks import PARTS, Task

OPTIMISERS = ("rmsprop", "adam", "sgd")
_SAVE_EVERY = 500  # updates


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes at most.
    batch : int
        Sequences, or columns of words, of an update.
    rate : float
        Learning rate.
    optimiser : {"rmsprop", "adam", "sgd"}
        Rule of an update.
    momentum : float
        Of RMSProp and of gradient descent.
    epsilon : float
        Added to the running size of a gradient that RMSProp and Adam divide by. With a large vocabulary most words are
        rare: their gradients are small, and steps of a full size only shake them.
    clip : float or None
        Largest norm of a gradient.
    weight_decay : float
        Share of all parameters, times the rate, that an update takes off beside the step of the rule (decoupled:
        Loshchilov and Hutter 2019). A share that is added to gradients is divided by their running size in RMSProp
        and Adam, which takes the embedding of words that do not occur to 0 at the full rate, however small the share.
    decay, decay_after : float, int
        The rate is multiplied by ``decay`` in each epoch after that many.
    input_dropout, output_dropout : float
        Shares of the inputs of the first layer and of the outputs of the last that are dropped.
    tied : bool
        Whether words have one vector, by which they are read and predicted (Press and Wolf 2017); needs an embedding.
    patience : int or None
        Epochs without a better validation loss after which training stops.

    Raises
    ------
    ValidationError
        If a value is out of its range.
    """

    epochs: int = 100
    batch: int = 50
    rate: float = 1e-3
    optimiser: str = "rmsprop"
    momentum: float = 0.9
    epsilon: float = 1e-8
    clip: float | None = 1.0
    weight_decay: float = 0.0
    decay: float = 1.0
    decay_after: int = 0
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    tied: bool = False
    patience: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "epochs": (is_whole(self.epochs) and self.epochs > 0, "a positive whole number"),
            "batch": (is_whole(self.batch) and self.batch > 0, "a positive whole number"),
            "rate": (is_number(self.rate) and self.rate > 0, "a positive number"),
            "optimiser": (self.optimiser in OPTIMISERS, f"one of {', '.join(OPTIMISERS)}"),
            "momentum": (is_number(self.momentum) and 0 <= self.momentum < 1, "at least 0 and below 1"),
            "epsilon": (is_number(self.epsilon) and self.epsilon > 0, "a positive number"),
            "clip": (self.clip is None or (is_number(self.clip) and self.clip > 0), "a positive number, or None"),
            "weight_decay": (is_number(self.weight_decay) and self.weight_decay >= 0, "0 or a positive number"),
            "decay": (is_number(self.decay) and 0 < self.decay <= 1, "above 0 and at most 1"),
            "input_dropout": (is_number(self.input_dropout) and 0 <= self.input_dropout < 1, "at least 0 and below 1"),
            "output_dropout": (is_number(self.output_dropout) and 0 <= self.output_dropout < 1, "at least 0, below 1"),
            "tied": (isinstance(self.tied, bool), "True or False"),
            "patience": (self.patience is None or (is_whole(self.patience) and self.patience > 0), "positive, or None"),
        }
        for name, (holds, what) in allowed.items():
            if not holds:
                raise ValidationError(f"Training.{name}: {getattr(self, name)!r} is not allowed. Give {what}.")
        if self.rate * self.weight_decay >= 1:
            raise ValidationError(
                f"Training.weight_decay: {self.weight_decay!r} times the rate {self.rate!r} would turn the signs of "
                f"weights around. Give less than {1 / self.rate:g}."
            )

    def optimiser_of(self, parameters: Any) -> Any:
        """Return torch's optimiser for parameters."""
        if self.optimiser == "adam":
            return torch.optim.Adam(parameters, lr=self.rate, eps=self.epsilon)
        if self.optimiser == "rmsprop":
            return torch.optim.RMSprop(parameters, lr=self.rate, momentum=self.momentum, eps=self.epsilon)
        return torch.optim.SGD(parameters, lr=self.rate, momentum=self.momentum)


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
        If it is interrupted; the checkpoint, if there is one, has been written.
    StorageError
        If the checkpoint cannot be read, or is of other settings.
    """
    for name, value, kind in (("task", task, Task), ("training", training, Training)):
        if not isinstance(value, kind):
            raise ValidationError(f"train: {name} is a {type(value).__name__}. Give a {kind.__name__}.")
    if not (isinstance(cell, type) and issubclass(cell, RecurrentLayers)):
        raise ValidationError(f"train: the cell {cell!r} is no class of recurrent layers. Give one, such as SubLSTM.")
    if not is_whole(hidden_size) or hidden_size < 1:
        raise ValidationError(f"train: hidden_size {hidden_size!r} is not a positive whole number.")
    for part in PARTS:
        if not task.n_batches(part, training.batch):
            raise ValidationError(
                f"train: the part {part!r} of {task!r} does not fill a batch of {training.batch}. Lower "
                "Training.batch, or give it more."
            )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:  # as torch says that it was built without a GPU
        raise UnsupportedError(f"train: the device {device!r} is not there: {error}. Use device='cpu'.") from None
    streams = Streams(seed)
    described = {
        "task": task.name,
        "cell": cell.__name__,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
        "training": asdict(training),
        "settings": {name: str(value) for name, value in settings.items()},
        "seed": seed,
    }
    with torch.random.fork_rng():
        torch.manual_seed(int(streams.generator("recurrent weights").integers(2**31)))
        width = hidden_size if task.kind == "words" else task.n_inputs
        layers = cell(width, hidden_size, num_layers, **settings)
        network = Network(layers, task, training.input_dropout, training.output_dropout, training.tied)
        network.to(device=device, dtype=settings.get("dtype") or torch.get_default_dtype())
        course = _Course(network, task, training, streams, described, None if checkpoint is None else Path(checkpoint))
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


class _Course:
    """A training under way: what a checkpoint holds."""

    def __init__(
        self,
        network: Network,
        task: Task,
        training: Training,
        streams: Streams,
        described: Mapping[str, Any],
        file: Path | None,
    ) -> None:
        self.network, self.task, self.training, self.file = network, task, training, file
        self.described = json.dumps(described, sort_keys=True)
        self.optimiser = training.optimiser_of(network.parameters())
        self.generator = streams.generator("recurrent batches")
        self.updates, self.done, self.total = 0, 0, 0.0  # in all; in this epoch; sum of its losses
        self.state: Any = None
        self.curves: dict[str, list[float]] = {k: [] for k in ("train_loss", "validation_loss", "score", "updates")}
        self.best, self.waited = _copy(network), 0
        torch.manual_seed(int(streams.generator("recurrent dropout").integers(2**31)))

    def goes_on(self, stop_below: float | None, pause_after: int | None) -> bool:
        losses, patience = self.curves["validation_loss"], self.training.patience
        enough = bool(losses) and stop_below is not None and losses[-1] < stop_below
        last = self.training.epochs if pause_after is None else min(pause_after, self.training.epochs)
        return len(losses) < last and not enough and (patience is None or self.waited < patience)

    def epoch(self, bar: Progress) -> None:
        """Train for the rest of an epoch, then validate."""
        training, task, network = self.training, self.task, self.network
        number, device = len(self.curves["validation_loss"]), network.readout.weight.device
        for group in self.optimiser.param_groups:
            group["lr"] = training.rate * training.decay ** max(0, number + 1 - training.decay_after)
        self.at_start = self.generator.bit_generator.state
        network.train()
        for k, (x, y) in enumerate(task.epoch("train", training.batch, self.generator)):
            if k < self.done:
                continue
            self._update(tensor(x, device), tensor(y, device))
            bar.update(1)
            if self.file is not None and self.updates % _SAVE_EVERY == 0:
                self.save()
        found = evaluate(network, task, "validation", training.batch)
        n = task.n_batches("train", training.batch)
        row = (self.total / n, found["loss"], found["score"], self.updates)
        better = found["loss"] < min(self.curves["validation_loss"], default=math.inf)
        self.best, self.waited = (_copy(network), 0) if better else (self.best, self.waited + 1)
        for values, value in zip(self.curves.values(), row, strict=True):
            values.append(value)
        self.done, self.total, self.state = 0, 0.0, None

    def _update(self, x: torch.Tensor, y: torch.Tensor) -> None:
        loss, _, state = loss_of(self.network, self.task, x, y, self.state)
        if not math.isfinite(value := float(loss.detach())):
            raise DivergenceError(
                f"train: the loss of {self.task!r} is {value} at update {self.updates + 1}. Lower Training.rate (now "
                f"{self.training.rate:g}) or Training.clip (now {self.training.clip}), or look for values in the data "
                "that are not finite."
            )
        if self.task.carries:
            self.state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.training.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.training.clip)
        if self.training.weight_decay:
            kept = 1 - self.optimiser.param_groups[0]["lr"] * self.training.weight_decay
            with torch.no_grad():
                for parameter in self.network.parameters():
                    parameter.mul_(kept)
        self.optimiser.step()
        self.updates, self.done, self.total = self.updates + 1, self.done + 1, self.total + value

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write the checkpoint, if there is to be one."""
        if self.file is None:
            return False
        held = {
            "described": self.described,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.at_start if self.done else self.generator.bit_generator.state,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "counts": (self.updates, self.done, self.total, self.waited),
            "state": self.state,
            "curves": self.curves,
            "best": self.best,
        }
        written = self.file.with_name(self.file.name + ".part")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(held, written)
        os.replace(written, self.file)
        return True

    def resume(self) -> None:
        """Go on from the checkpoint, if it is there.

        Raises
        ------
        StorageError
            If it cannot be read, or is of other settings.
        """
        if self.file is None or not self.file.exists():
            return
        try:
            held = torch.load(self.file, map_location="cpu", weights_only=True)
            described = json.loads(held["described"])
            described["training"] = asdict(Training()) | described["training"]  # options that its version had not
        except Exception as error:  # noqa: BLE001, torch raises all kinds for a file that is no checkpoint
            raise StorageError(
                f"train: the checkpoint '{self.file}' cannot be read ({type(error).__name__}). Delete it to begin anew."
            ) from None
        if described != json.loads(self.described):
            raise StorageError(
                f"train: the checkpoint '{self.file}' is of other settings, {held['described']}, not {self.described}. "
                "Name another file, or delete it to begin anew."
            )
        self.network.load_state_dict(held["network"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.generator.bit_generator.state = held["generator"]
        torch.set_rng_state(held["torch"])
        if held["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(held["cuda"])
        self.updates, self.done, self.total, self.waited = held["counts"]
        self.state, self.curves, self.best = held["state"], held["curves"], held["best"]


def _copy(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
