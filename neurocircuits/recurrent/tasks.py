"""What a recurrent network is trained on: sequences drawn anew, sequences in arrays, and streams of words."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal

import numpy as np

from neurocircuits.declare.checks import is_whole
from neurocircuits.errors import ValidationError

Batch = tuple[np.ndarray, np.ndarray]
Kind = Literal["regression", "classes", "words"]
PARTS = ("train", "validation", "test")
_CHUNK = 50  # sequences to validate and test that are drawn at a time, whatever the batch


class Task(ABC):
    """Batches of sequences and what is asked of them.

    Attributes
    ----------
    name : str
        Name.
    kind : {"regression", "classes", "words"}
        Whether a number is asked at the end of each sequence, a class at its end, or the next word all the time.
    n_inputs, n_outputs : int
        Inputs of each time step (words: size of the vocabulary) and outputs of the network.
    carries : bool
        Whether a batch goes on where the one before ended, so that states are carried over.
    baselines : mapping of str to float
        What answers that need no network reach, in the units of the loss.
    """

    name: str
    kind: Kind
    n_inputs: int
    n_outputs: int
    carries: bool = False
    baselines: Mapping[str, float]

    @abstractmethod
    def epoch(self, part: str, batch: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield (x, y) of one pass: x (time, batch, n_inputs), or words (time, batch); y (batch,) or (time, batch).

        Only the part ``"train"`` draws from ``generator``.
        """

    @abstractmethod
    def n_batches(self, part: str, batch: int) -> int:
        """Return how many batches a pass has; none if the part does not fill one."""

    def identity(self) -> str:
        """Return a hash of what is learned, by which a checkpoint knows its task.

        Of sizes, the first sequence to train and all to validate.
        """
        sizes = [self.kind, self.n_inputs, self.n_outputs, *(self.n_batches(part, 1) for part in PARTS)]
        found = hashlib.sha256(repr(sizes).encode())
        first = islice(self.epoch("train", 1, np.random.default_rng(0)), 1)
        for pair in chain(first, self.epoch("validation", 1, np.random.default_rng(0))):
            for each in pair:
                found.update(np.ascontiguousarray(each).tobytes())
        return found.hexdigest()[:16]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


@dataclass(frozen=True, repr=False)
class Drawn(Task):
    """Sequences that are drawn anew in each pass; those to validate and test are drawn once.

    Parameters
    ----------
    name : str
        Name.
    draw : callable
        ``draw(generator, n)`` returns x (time, n, n_inputs) and y (n,).
    n_inputs : int
        Inputs of each time step.
    sizes : mapping of str to int
        Sequences of a pass for ``train``, ``validation`` and ``test``.
    baselines : mapping of str to float
        Mean square errors of trivial answers.
    seed : int
        Of the sequences to validate and test.

    Raises
    ------
    ValidationError
        If the size of a part is missing or no positive whole number.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Batch]
    n_inputs: int
    sizes: Mapping[str, int]
    baselines: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    kind: Kind = "regression"
    n_outputs: int = 1
    carries: bool = False

    def __post_init__(self) -> None:
        for part in PARTS:
            size = self.sizes.get(part)
            if not is_whole(size) or size < 1:  # type: ignore[operator]
                raise ValidationError(
                    f"Drawn({self.name!r}): sizes of {dict(self.sizes)} have {size!r} sequences for {part!r}. Give a "
                    f"positive whole number for each of {', '.join(PARTS)}."
                )
        object.__setattr__(self, "sizes", {part: int(size) for part, size in self.sizes.items()})

    def epoch(self, part: str, batch: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield batches; all sequences of one are equally long."""
        chunk = batch
        if part != "train":
            generator, chunk = np.random.default_rng((self.seed, PARTS.index(part))), _CHUNK
        for start in range(0, self.sizes[part], chunk):
            x, y = self.draw(generator, min(chunk, self.sizes[part] - start))
            for k in range(0, len(y), batch):
                yield x[:, k : k + batch], y[k : k + batch]

    def n_batches(self, part: str, batch: int) -> int:
        """Return how many batches a pass has."""
        n = self.sizes[part]
        if part == "train":
            return math.ceil(n / batch)
        return n // _CHUNK * math.ceil(_CHUNK / batch) + math.ceil(n % _CHUNK / batch)


@dataclass(frozen=True, repr=False)
class Images(Task):
    """Images read in pieces, each a sequence, with its class asked at the end.

    Parameters
    ----------
    name : str
        Name.
    parts : mapping of str to (values, labels)
        Values (n, n_pixels) and classes (n,) for ``train``, ``validation`` and ``test``.
    n_inputs : int
        Pixels of a piece, which divides the pixels of an image: 1 reads pixel by pixel.
    order : ndarray of int, optional
        Permutation of the pixels, the same for all images and parts.

    Raises
    ------
    ValidationError
        If a part is missing, empty or of other shapes, values are not finite, labels are not whole numbers from 0, the
        pieces do not fill an image, or ``order`` is no permutation.
    """

    name: str
    parts: Mapping[str, Batch]
    n_inputs: int = 1
    order: np.ndarray | None = None
    kind: Kind = "classes"
    carries: bool = False
    baselines: Mapping[str, float] = field(init=False)
    n_outputs: int = field(init=False)

    def __post_init__(self) -> None:
        arrays = {part: (np.asarray(values), np.asarray(labels)) for part, (values, labels) in self.parts.items()}
        object.__setattr__(self, "parts", arrays)
        for part in PARTS:
            values, labels = arrays.get(part, (np.empty((0, 0)), np.empty(0)))
            if values.ndim != 2 or not len(values) or labels.shape != values.shape[:1]:
                raise ValidationError(
                    f"Images({self.name!r}): part {part!r} has values of shape {values.shape} and labels of shape "
                    f"{labels.shape}. Give a row of pixels and a label for each image, and at least one image."
                )
            if not np.isfinite(values).all():
                raise ValidationError(f"Images({self.name!r}): part {part!r} has values that are not finite.")
            if labels.dtype.kind not in "iub" or labels.min() < 0:
                raise ValidationError(
                    f"Images({self.name!r}): part {part!r} has labels such as {labels[np.argmin(labels)].item()!r}. "
                    "Give whole numbers from 0; numpy.unique(labels, return_inverse=True)[1] makes them."
                )
            if not is_whole(self.n_inputs) or self.n_inputs < 1 or values.shape[1] % self.n_inputs:
                raise ValidationError(
                    f"Images({self.name!r}): n_inputs {self.n_inputs!r} does not divide the {values.shape[1]} pixels "
                    f"of part {part!r}."
                )
            if values.shape[1] != np.shape(arrays["train"][0])[1]:
                raise ValidationError(
                    f"Images({self.name!r}): part {part!r} has images of {values.shape[1]} pixels, part 'train' of "
                    f"{arrays['train'][0].shape[1]}. Give images of one size."
                )
            if self.order is not None and not np.array_equal(np.sort(self.order), np.arange(values.shape[1])):
                raise ValidationError(
                    f"Images({self.name!r}): order is no permutation of the {values.shape[1]} pixels of part {part!r}."
                )
        n_classes = 1 + max(int(labels.max()) for _, labels in self.parts.values())
        object.__setattr__(self, "n_outputs", n_classes)
        object.__setattr__(self, "baselines", {"uniform": math.log(n_classes)})

    def epoch(self, part: str, batch: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield batches, shuffled for training."""
        values, labels = self.parts[part]
        rows = generator.permutation(len(values)) if part == "train" else np.arange(len(values))
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            x = values[some] if self.order is None else values[some][:, self.order]
            x = x.reshape(len(some), -1, self.n_inputs).transpose(1, 0, 2)
            yield np.ascontiguousarray(x, np.float32), labels[some].astype(np.int64)

    def n_batches(self, part: str, batch: int) -> int:
        """Return how many batches a pass has."""
        return math.ceil(len(self.parts[part][0]) / batch)


@dataclass(frozen=True, repr=False)
class Words(Task):
    """Streams of words in parallel columns, read on and on, with the next word asked all the time.

    Parameters
    ----------
    name : str
        Name.
    parts : mapping of str to ndarray of int
        Words of ``train``, ``validation`` and ``test`` by number.
    n_words : int
        Size of the vocabulary.
    unroll : int
        Time steps of a batch.

    Raises
    ------
    ValidationError
        If a part is missing or has words outside the vocabulary, or ``unroll`` is no positive whole number.
    """

    name: str
    parts: Mapping[str, np.ndarray]
    n_words: int
    unroll: int = 35
    kind: Kind = "words"
    carries: bool = True
    baselines: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", {part: np.asarray(words) for part, words in self.parts.items()})
        if not is_whole(self.unroll) or self.unroll < 1:
            raise ValidationError(
                f"Words({self.name!r}): unroll {self.unroll!r} is not a positive whole number of words."
            )
        object.__setattr__(self, "unroll", int(self.unroll))
        for part in PARTS:
            words = self.parts.get(part, np.empty(0, np.int64))
            whole = words.ndim == 1 and words.dtype.kind in "iu"
            if len(words) < 2 or not whole or words.min() < 0 or words.max() >= self.n_words:
                raise ValidationError(
                    f"Words({self.name!r}): part {part!r} has {len(words)} words"
                    + (f" numbered {words.min()} to {words.max()}" if len(words) and whole else "")
                    + (f", as {words.dtype} of shape {words.shape}" if not whole else "")
                    + f". Give two or more, numbered 0 to {self.n_words - 1}."
                )
        counts = np.bincount(self.parts["train"], minlength=self.n_words) + 1.0
        shares = counts / counts.sum()
        unigram = -np.log(shares[self.parts["test"]]).mean()
        object.__setattr__(self, "baselines", {"uniform": math.log(self.n_words), "unigram": float(unigram)})

    @property
    def n_inputs(self) -> int:  # type: ignore[override]
        """Size of the vocabulary."""
        return self.n_words

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        """Size of the vocabulary."""
        return self.n_words

    def epoch(self, part: str, batch: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield pieces of ``unroll`` words of all columns; the words that do not fill a column are left out."""
        words = self.parts[part]
        n = len(words) // batch
        columns = words[: n * batch].reshape(batch, n).T
        for start in range(0, n - 1, self.unroll):
            stop = min(start + self.unroll, n - 1)
            yield columns[start:stop].astype(np.int64), columns[start + 1 : stop + 1].astype(np.int64)

    def n_batches(self, part: str, batch: int) -> int:
        """Return how many batches a pass has."""
        return max(0, math.ceil((len(self.parts[part]) // batch - 1) / self.unroll))


def check_fills(task: Task, part: str, batch: int) -> None:
    """Refuse a part that is too short for a batch.

    Raises
    ------
    ValidationError
        If it is.
    """
    if not task.n_batches(part, batch):
        raise ValidationError(
            f"train: the part {part!r} of {task!r} does not fill a batch of {batch}. Lower Training.batch, or give it "
            "more."
        )
