"""A training under way, what its checkpoint holds, and where it may be interrupted."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from neurocircuits.errors import DivergenceError, StorageError
from neurocircuits.progress import Progress
from neurocircuits.randomness import Streams
from neurocircuits.recurrent.network import Network, evaluate, loss_of, tensor
from neurocircuits.recurrent.settings import Training
from neurocircuits.recurrent.tasks import Task

_SAVE_EVERY = 500  # updates


class Course:
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
        self.at_start = self.generator.bit_generator.state  # of the epoch
        self.updates, self.done, self.total = 0, 0, 0.0  # in all; in this epoch; sum of its losses
        self.whole = True  # whether all of this is as between two updates
        self.state: Any = None
        self.curves: dict[str, list[float]] = {k: [] for k in ("train_loss", "validation_loss", "score", "updates")}
        self.best, self.waited = _copy(network), 0
        torch.manual_seed(int(streams.generator("recurrent dropout").integers(2**31)))

    def goes_on(self, stop_below: float | None, pause_after: int | None) -> bool:
        """Return whether there is an epoch left to train."""
        losses, patience = self.curves["validation_loss"], self.training.patience
        enough = bool(losses) and stop_below is not None and losses[-1] < stop_below
        last = self.training.epochs if pause_after is None else min(pause_after, self.training.epochs)
        return len(losses) < last and not enough and (patience is None or self.waited < patience)

    def epoch(self, bar: Progress) -> None:
        """Train for the rest of an epoch, then validate."""
        training, task, network = self.training, self.task, self.network
        number = len(self.curves["validation_loss"])
        for group in self.optimiser.param_groups:
            group["lr"] = training.rate * training.decay ** max(0, number + 1 - training.decay_after)
        network.train()
        for k, (x, y) in enumerate(task.epoch("train", training.batch, self.generator)):
            if k < self.done:
                continue
            with self._in_one_piece():
                self._update(tensor(x, network.readout.weight), tensor(y, network.readout.weight))
            bar.update(1)
            if self.file is not None and self.updates % _SAVE_EVERY == 0:
                self.save()
        found = evaluate(network, task, "validation", training.batch)
        with self._in_one_piece():
            n = task.n_batches("train", training.batch)
            row = (self.total / n, found["loss"], found["score"], self.updates)
            better = found["loss"] < min(self.curves["validation_loss"], default=math.inf)
            self.best, self.waited = (_copy(network), 0) if better else (self.best, self.waited + 1)
            for values, value in zip(self.curves.values(), row, strict=True):
                values.append(value)
            self.done, self.total, self.state = 0, 0.0, None
            self.at_start = self.generator.bit_generator.state

    @contextmanager
    def _in_one_piece(self) -> Iterator[None]:
        """Hold an interruption back until the end; one that comes again is let through, and nothing is saved then."""
        usual = signal.getsignal(signal.SIGINT)
        asked: list[tuple[int, Any]] = []

        def wait(number: int, frame: Any) -> None:
            if asked:
                usual(number, frame)  # type: ignore[operator, misc]
            asked.append((number, frame))

        holds = callable(usual) and threading.current_thread() is threading.main_thread()
        if holds:
            signal.signal(signal.SIGINT, wait)
        try:
            self.whole = False
            yield
            self.whole = True
        finally:
            if holds:
                signal.signal(signal.SIGINT, usual)
        if asked:
            usual(*asked[0])  # type: ignore[operator, misc]

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
        """Write the checkpoint, if there is to be one; in the middle of an update the last one stays as it is.

        Returns
        -------
        bool
            Whether there is a checkpoint.
        """
        if self.file is None:
            return False
        if not self.whole:
            return self.file.exists()
        held = {
            "described": self.described,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.at_start,
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
        broken = f"train: the checkpoint '{self.file}' cannot be read (%s). Delete it to begin anew."
        ours = json.loads(self.described)
        try:
            held = torch.load(self.file, map_location="cpu", weights_only=True)
            theirs = {"data": ours["data"]} | json.loads(held["described"])
            theirs["training"] = asdict(Training()) | theirs["training"]  # what its version did not have
        except Exception as error:  # noqa: BLE001, torch raises all kinds for a file that is no checkpoint
            raise StorageError(broken % type(error).__name__) from None
        if theirs != ours:
            differ = [name for name in ours if ours[name] != theirs.get(name)]
            raise StorageError(
                f"train: the checkpoint '{self.file}' is of other settings: "
                + ", ".join(f"its {name} is {theirs.get(name)!r}, not {ours[name]!r}" for name in differ)
                + ". Name another file, or delete it to begin anew."
            )
        try:
            self.network.load_state_dict(held["network"])
            self.optimiser.load_state_dict(held["optimiser"])
            self.generator.bit_generator.state = self.at_start = held["generator"]
            torch.set_rng_state(held["torch"])
            if held["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(held["cuda"])
            self.updates, self.done, self.total, self.waited = held["counts"]
            self.state = _moved(held["state"], self.network.readout.weight.device)
            self.curves, self.best = held["curves"], held["best"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StorageError(broken % type(error).__name__) from None


def _moved(state: Any, device: torch.device) -> Any:
    """Return a state, a pair of such or None on a device."""
    if isinstance(state, tuple):
        return tuple(part.to(device) for part in state)
    return None if state is None else state.to(device)


def _copy(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
