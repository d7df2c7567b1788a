"""A recurrent network for a task: embedding, layers and read-out, its loss and its scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from neurocircuits.errors import ValidationError
from neurocircuits.onednn import Linear
from neurocircuits.recurrent.cells import RecurrentLayers
from neurocircuits.recurrent.likelihood import negative_log_likelihood
from neurocircuits.recurrent.tasks import Task, check_fills


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
        If the layers do not take the inputs of the task, or sequences before time steps, or there are no words to tie.
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
        if layers.batch_first:
            raise ValidationError("Network: tasks have time before sequences. Give layers with batch_first=False.")
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
        codes, state = self.codes(x, state)
        return self.readout(codes), state

    def codes(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Return what is read out, (batch, n_units), for words (time, batch, n_units), and the state."""
        drop = torch.nn.functional.dropout
        rows = drop(x if self.embedding is None else self.embedding(x), self.input_dropout, self.training)
        h, state = self.layers(rows, state)
        return drop(h if self.all_steps else h[-1], self.output_dropout, self.training), state


def loss_of(
    network: Network, task: Task, x: torch.Tensor, y: torch.Tensor, state: Any
) -> tuple[torch.Tensor, int, Any]:
    """Return the loss of a batch, how many answers are right, and the state.

    The loss is the mean square error of numbers, or the mean negative log-likelihood of classes and words (nats). A
    number is right within 0.04 (Hochreiter and Schmidhuber 1997); words are not counted.
    """
    if task.kind == "words":
        codes, state = network.codes(x, state)
        weight, bias = network.readout.weight, network.readout.bias
        return negative_log_likelihood(codes.flatten(0, 1), weight, bias, y.flatten()), 0, state
    outputs, state = network(x, state)
    if task.kind == "regression":
        right = (outputs.detach()[:, 0] - y).abs() < 0.04
        return torch.nn.functional.mse_loss(outputs[:, 0], y), int(right.sum()), state
    return torch.nn.functional.cross_entropy(outputs, y), int((outputs.argmax(1) == y).sum()), state


def evaluate(network: Network, task: Task, part: str, batch: int) -> dict[str, float]:
    """Return loss and score of a network on a part of a task.

    Returns
    -------
    dict of str to float
        ``loss``, see `loss_of`; ``score``: share of right answers, for words their perplexity, exp(loss).

    Raises
    ------
    ValidationError
        If the part does not fill a batch.
    """
    check_fills(task, part, batch)
    training = network.training
    network.eval()
    like = network.readout.weight
    total, right, n, state = 0.0, 0, 0, None
    with torch.no_grad():
        for x, y in task.epoch(part, batch, np.random.default_rng(0)):
            mean, n_right, end = loss_of(network, task, tensor(x, like), tensor(y, like), state)
            state = end if task.carries else None
            total, right, n = total + float(mean) * y.size, right + n_right, n + y.size
    network.train(training)
    loss = total / n
    return {"loss": loss, "score": math.exp(min(loss, 700.0)) if task.kind == "words" else right / n}


def tensor(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """Return an array as a tensor where another is; numbers that are not whole are of its dtype."""
    made = torch.from_numpy(np.ascontiguousarray(values))
    return made.to(like.device, like.dtype if made.is_floating_point() else None)
