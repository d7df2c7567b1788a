"""The container that every loader returns: stimuli as rows, what labels them, and where they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams

STORED = ("uint8", "float32", "float64")
COMPUTED = ("float32", "float64")
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Hold stimuli as they are stored, and scale them only when they are read.

    Indexing takes rows and gives a data set: ``data[:100].values`` converts 100 rows and no more.

    Parameters
    ----------
    name : str
        What the set is called in messages.
    stored : ndarray of uint8, float32 or float64, shape (n, n_features)
        One stimulus per row. It is not copied; the view kept here is read-only.
    labels : ndarray, shape (n,) or (n, n_labels), optional
        Class of each stimulus, or an indicator for each thing that it contains.
    image_shape : tuple of int, optional
        Shape of one stimulus as an image, rows before columns.
    scale : float
        Factor between ``stored`` and ``values``.
    dtype : {"float64", "float32"}
        Type of ``values``.
    source : str
        Where the set comes from, with its terms where they are known.
    citation : str
        The publication to cite.

    Raises
    ------
    ValidationError
        If shapes do not fit each other, the type is another one, or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> data = Dataset("two", np.array([[0, 255], [51, 0]], dtype="uint8"), labels=[3, 1], scale=1 / 255)
    >>> data.values
    array([[0. , 1. ],
           [0.2, 0. ]])
    >>> data[data.labels == 1]
    Dataset('two', 1 x 2, labelled)
    """

    name: str
    stored: NDArray[Any]
    labels: NDArray[Any] | None = None
    image_shape: tuple[int, ...] | None = None
    scale: float = 1.0
    dtype: str = "float64"
    source: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        stored = _read_only(self.stored)
        if stored.ndim != 2:
            self._refuse("stored", f"has shape {stored.shape}. Expected (n, n_features): flatten each image to a row.")
        if stored.dtype.name not in STORED:
            self._refuse("stored", f"has type {stored.dtype}. Allowed: {', '.join(STORED)}.")
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            bad = ~np.isfinite(stored)
            row, feature = np.argwhere(bad)[0]
            self._refuse(
                "stored",
                f"{bad.sum()} of {stored.size} values are not finite (first: {stored[row, feature]} at row {row}, "
                f"feature {feature}). Remove or replace them.",
            )
        object.__setattr__(self, "stored", stored)
        if self.labels is not None:
            labels = _read_only(self.labels)
            if labels.ndim not in (1, 2) or len(labels) != len(stored):
                self._refuse("labels", f"have shape {labels.shape} for {len(stored)} stimuli. Give one row for each.")
            object.__setattr__(self, "labels", labels)
        if self.image_shape is not None:
            shape = tuple(int(side) for side in self.image_shape)
            if math.prod(shape) != stored.shape[1]:
                self._refuse("image_shape", f"{shape} has {math.prod(shape)} pixels, a stimulus {stored.shape[1]}.")
            object.__setattr__(self, "image_shape", shape)
        if not (math.isfinite(self.scale) and self.scale > 0):
            self._refuse("scale", f"{self.scale!r} is not a positive finite number.")
        if self.dtype not in COMPUTED:
            self._refuse("dtype", f"{self.dtype!r} is not allowed. Choose from: {', '.join(COMPUTED)}.")

    def _refuse(self, attribute: str, problem: str) -> NoReturn:
        raise ValidationError(f"Dataset({self.name!r}).{attribute}: {problem}")

    def __repr__(self) -> str:
        parts = [repr(self.name), f"{len(self)} x {self.n_features}"]
        if self.image_shape is not None:
            parts.append("images " + " x ".join(str(side) for side in self.image_shape))
        if self.labels is not None:
            parts.append("labelled")
        return f"Dataset({', '.join(parts)})"

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: slice | ArrayLike) -> Dataset:
        """Return the data set of some rows: a slice (shares memory), row numbers or a mask."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(index, slice):
            if index.ndim != 1 or (index.size > 0 and index.dtype.kind not in "iub"):
                raise ValidationError(
                    f"Dataset({self.name!r})[{rows!r}]: the index must be a slice, a list of row numbers or a mask, "
                    "for example data[:100] or data[data.labels == 3]."
                )
            index = index if index.size else index.astype(int)
        return replace(self, stored=self.stored[index], labels=None if self.labels is None else self.labels[index])

    @property
    def n_features(self) -> int:
        """Number of input units that a stimulus drives."""
        return int(self.stored.shape[1])

    @property
    def values(self) -> NDArray[Any]:
        """Stimuli as numbers, ``scale * stored``, shape (n, n_features); computed at each access."""
        if self.scale == 1 and self.stored.dtype == self.dtype:
            return self.stored
        values: NDArray[Any] = np.multiply(self.stored, np.dtype(self.dtype).type(self.scale), dtype=self.dtype)
        return values

    @property
    def images(self) -> NDArray[Any]:
        """Stimuli as images, shape (n, *image_shape); computed at each access."""
        if self.image_shape is None:
            self._refuse("images", "the stimuli of this set are not images (image_shape is None).")
        return self.values.reshape(len(self), *self.image_shape)

    def split(self, n_validation: int, seed: int) -> tuple[Dataset, Dataset]:
        """Divide into training and validation stimuli at random, each in the order of the whole.

        Parameters
        ----------
        n_validation : int
            Number of stimuli set aside, at least 1 and fewer than there are.
        seed : int
            Seed; equal seeds divide sets of equal length alike.

        Returns
        -------
        training, validation : Dataset
            Two sets without a common row, which together are the whole.

        Raises
        ------
        ValidationError
            If one of the parts would be empty.
        """
        if not 1 <= n_validation < len(self):
            raise ValidationError(
                f"Dataset({self.name!r}).split: n_validation {n_validation!r} must lie between 1 and {len(self) - 1}."
            )
        chosen = np.zeros(len(self), dtype=bool)
        chosen[Streams(seed).generator("split").permutation(len(self))[:n_validation]] = True
        return self[~chosen], self[chosen]

    def scaled(self, factor: float) -> Dataset:
        """Return the same stimuli multiplied by a positive constant; nothing is copied."""
        return replace(self, scale=self.scale * factor)

    def unit_power(self) -> tuple[Dataset, float]:
        """Multiply all stimuli by one constant so that the mean of ``|u|^2`` is 1.

        Inhibition, gains and excitatory weights of a correlation game otherwise live on scales that differ by the
        power of the input, and no single set of learning rates fits.

        Returns
        -------
        data : Dataset
            The scaled set; its images keep their relative contrast.
        constant : float
            What the stimuli were multiplied by. Give held-out stimuli the same with ``scaled(constant)``.

        Raises
        ------
        ValidationError
            If the set is empty or zero everywhere.
        """
        power = 0.0
        for start in range(0, len(self), ROWS_AT_ONCE):
            chunk = self.stored[start : start + ROWS_AT_ONCE].astype(np.float64)
            power += float(np.vdot(chunk, chunk))
        if power == 0:
            self._refuse("unit_power", "every value is zero, so that no constant gives them a power of 1.")
        constant = math.sqrt(len(self) / power) / self.scale
        return self.scaled(constant), constant


def _read_only(array: ArrayLike) -> NDArray[Any]:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
