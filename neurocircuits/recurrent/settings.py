"""How a recurrent network is trained: the numbers of a training, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.errors import ValidationError

OPTIMISERS = ("rmsprop", "adam", "sgd")
_WHOLE = ("epochs", "batch", "decay_after", "patience")


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
            "rate": (is_number(self.rate) and 0 < self.rate < math.inf, "a positive number"),
            "optimiser": (self.optimiser in OPTIMISERS, f"one of {', '.join(OPTIMISERS)}"),
            "momentum": (is_number(self.momentum) and 0 <= self.momentum < 1, "at least 0 and below 1"),
            "epsilon": (is_number(self.epsilon) and self.epsilon > 0, "a positive number"),
            "clip": (self.clip is None or (is_number(self.clip) and self.clip > 0), "a positive number, or None"),
            "weight_decay": (is_number(self.weight_decay) and self.weight_decay >= 0, "0 or a positive number"),
            "decay": (is_number(self.decay) and 0 < self.decay <= 1, "above 0 and at most 1"),
            "decay_after": (is_whole(self.decay_after) and self.decay_after >= 0, "0 or a positive whole number"),
            "input_dropout": (is_number(self.input_dropout) and 0 <= self.input_dropout < 1, "at least 0 and below 1"),
            "output_dropout": (is_number(self.output_dropout) and 0 <= self.output_dropout < 1, "at least 0, below 1"),
            "tied": (isinstance(self.tied, bool), "True or False"),
            "patience": (self.patience is None or (is_whole(self.patience) and self.patience > 0), "positive, or None"),
        }
        for name, (holds, what) in allowed.items():
            if not holds:
                raise ValidationError(f"Training.{name}: {getattr(self, name)!r} is not allowed. Give {what}.")
            value = getattr(self, name)
            if is_number(value):  # also NumPy's, which JSON does not know
                object.__setattr__(self, name, int(value) if name in _WHOLE else float(value))
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
