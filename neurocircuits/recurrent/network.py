"""A recurrent network for a task: embedding, layers and read-out, its loss and its scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from neurocircuits.errors import ValidationError
from neurocircuits.onednn import Linear
from neurocircuits.recurrent.cells import RecurrentLayers
from neurocircuits.recurrent.tasks import Task


class Network(torch.nn.Module):
    """Recurrent layers between an embedding of words, if it reads words, and a linear read-out.

    Parameters
    ----------
    layers : RecurrentLayers
        The layers; their input is that of the task, or an embedding of words as wide.
    task : Task
        What it is for.
    input_dropout, output_dropout, tied
        See `Training`.

    Raises
    ------
    ValidationError
        If the layers do not take the inputs of the task, or there are no words to tie.
    """

    def __init__(
        self,
        layers: RecurrentLayers,
        task: Task,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        words = task.kind == "words"
        if not words and layers.input_size != task.n_inputs:
            raise ValidationError(
                f"Network: layers of input_size {layers.input_size} do not fit {task!r}, which has {task.n_inputs} "
                "inputs in each time step."
            )
        self.embedding = torch.nn.Embedding(task.n_inputs, layers.input_size) if words else None
        self.layers, self.readout = layers, Linear(layers.hidden_size, task.n_outputs)
        self.input_dropout, self.output_dropout, self.all_steps = input_dropout, output_dropout, words
        bound = math.sqrt(6 / (layers.hidden_size + task.n_outputs)) if not words else 0.1
        torch.nn.init.uniform_(self.readout.weight, -bound, bound)
        torch.nn.init.zeros_(self.readout.bias)
        if self.embedding is not None:
            torch.nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if tied:
            if self.embedding is None or layers.input_size != layers.hidden_size:
                raise ValidationError(
                    f"Network: Training.tied needs words and layers as wide as their input; {task!r} and layers of "
                    f"{layers.input_size} inputs and {layers.hidden_size} units are not that. Give tied=False."
                )
            self.readout.weight = self.embedding.weight

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Return outputs (batch, n_outputs) after the last step, for words (time, batch, n_outputs), and the state."""
        drop = torch.nn.functional.dropout
        rows = drop(x if self.embedding is None else self.embedding(x), self.input_dropout, self.training)
        h, state = self.layers(rows, state)
        return self.readout(drop(h if self.all_steps else h[-1], self.output_dropout, self.training)), state


def loss_of(task: Task, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean square error of numbers, or the mean negative log-likelihood of classes and words (nats)."""
    if task.kind == "regression":
        return torch.nn.functional.mse_loss(outputs[:, 0], y)
    return torch.nn.functional.cross_entropy(outputs.flatten(0, -2), y.flatten())


def evaluate(network: Network, task: Task, part: str, batch: int) -> dict[str, float]:
    """Return loss and score of a network on a part of a task.

    Returns
    -------
    dict of str to float
        ``loss``, see `loss_of`; ``score``: share of answers within 0.04 for numbers (Hochreiter and Schmidhuber 1997),
        accuracy of classes, perplexity of words, exp(loss).
    """
    training = network.training
    network.eval()
    device = network.readout.weight.device
    total, right, n, state = 0.0, 0, 0, None
    with torch.no_grad():
        for x, y in task.epoch(part, batch, np.random.default_rng(0)):
            target = tensor(y, device)
            outputs, end = network(tensor(x, device), state)
            state = end if task.carries else None
            total += float(loss_of(task, outputs, target)) * y.size
            n += y.size
            if task.kind == "regression":
                right += int(((outputs[:, 0] - target).abs() < 0.04).sum())
            elif task.kind == "classes":
                right += int((outputs.argmax(1) == target).sum())
    network.train(training)
    loss = total / n
    return {"loss": loss, "score": math.exp(min(loss, 700.0)) if task.kind == "words" else right / n}


def tensor(values: np.ndarray, device: Any) -> torch.Tensor:
    """Return an array as a tensor on a device."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
