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
        Shape of one stimulus as an image, rows before columns; colours, if there are any, before both.
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
        """Return the data set of some rows: a slice (shares memory), row numbers or a mask.

        A ValidationError says if there are no such rows.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        if not isinstance(index, slice):
            if index.ndim != 1 or (index.size > 0 and index.dtype.kind not in "iub"):
                raise ValidationError(
                    f"Dataset({self.name!r})[{rows!r}]: the index must be a slice, a list of row numbers or a mask, "
                    "for example data[:100] or data[data.labels == 3]."
                )
            index = index if index.size else index.astype(int)
            if index.dtype == bool and len(index) != len(self):
                raise ValidationError(
                    f"Dataset({self.name!r}): a mask of {len(index)} values for {len(self)} rows; give one for each."
                )
            if index.dtype != bool and index.size and not -len(self) <= index.min() <= index.max() < len(self):
                beyond = index.max() if index.max() >= len(self) else index.min()
                raise ValidationError(f"Dataset({self.name!r}): there is no row {beyond}; it has {len(self)} rows.")
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

    def split(self, n_second: int, seed: int, *, stratified: bool = False) -> tuple[Dataset, Dataset]:
        """Divide at random into two sets, such as training and validation stimuli.

        Which stimuli are set aside is random; each part keeps the order of the whole.

        Parameters
        ----------
        n_second : int
            Number of stimuli set aside, at least 1 and fewer than there are.
        seed : int
            Seed; equal seeds divide sets of equal length (and, if stratified, equal labels) alike.
        stratified : bool
            Whether classes have the same shares in both parts, to within one stimulus of each class.

        Returns
        -------
        first, second : Dataset
            Two sets without a common row, which together are the whole.

        Raises
        ------
        ValidationError
            If one of the parts would be empty, or shares are asked for where stimuli have no single label.

        Examples
        --------
        >>> import numpy as np
        >>> data = Dataset("ten", np.eye(10), labels=[0, 1] * 5)
        >>> first, second = data.split(4, seed=0, stratified=True)
        >>> first, second
        (Dataset('ten', 6 x 10, labelled), Dataset('ten', 4 x 10, labelled))
        >>> np.bincount(second.labels)
        array([2, 2])
        """
        whole = not isinstance(n_second, bool) and isinstance(n_second, int | np.integer)
        if not whole or not 1 <= n_second < len(self):
            raise ValidationError(
                f"Dataset({self.name!r}).split: n_second {n_second!r} must be a whole number between 1 and "
                f"{len(self) - 1}, so that neither part is empty."
            )
        order = Streams(seed).generator("split").permutation(len(self))
        chosen = np.zeros(len(self), dtype=bool)
        chosen[self._shared(order, int(n_second)) if stratified else order[:n_second]] = True
        return self[~chosen], self[chosen]

    def _shared(self, order: NDArray[Any], n_second: int) -> NDArray[Any]:
        """Return the first rows of each class in a random order, as many as are its share, by largest remainders."""
        if self.labels is None or self.labels.ndim != 1:
            found = "there are none" if self.labels is None else f"they have shape {self.labels.shape}"
            raise ValidationError(
                f"Dataset({self.name!r}).split: stratified=True needs one label for each stimulus, and {found}. "
                "Use stratified=False."
            )
        _, classes, counts = np.unique(self.labels, return_inverse=True, return_counts=True)
        quotas, remainders = np.divmod(n_second * counts, len(self))
        quotas[np.argsort(-remainders, kind="stable")[: n_second - quotas.sum()]] += 1
        in_order = classes[order]
        return np.concatenate([order[in_order == k][:quota] for k, quota in enumerate(quotas)])

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

    def unit_length(self) -> Dataset:
        """Scale each stimulus by a constant of its own, so that ``|u| = 1``; contrast between stimuli is lost.

        Returns
        -------
        Dataset
            The same stimuli, stored as float32 (0.6 GB for the training part of CIFAR-10), so that a length is 1
            to within single precision; ``values`` have the type that they had.

        Raises
        ------
        ValidationError
            If a stimulus is zero and has no direction.

        References
        ----------
        Krotov D, Hopfield JJ (2018) Unsupervised learning by competing hidden units, arXiv:1806.10181 (the preprint),
        appendix B (each image of CIFAR-10 is a unit vector).

        Examples
        --------
        >>> import numpy as np
        >>> Dataset("one", np.array([[3.0, 0.0, 4.0]]), dtype="float32").unit_length().values
        array([[0.6, 0. , 0.8]], dtype=float32)
        """
        zero = np.flatnonzero(~self.stored.any(axis=1))
        if zero.size:
            self._refuse(
                "unit_length",
                f"{zero.size} of {len(self)} stimuli are zero and have no direction (first: row {zero[0]}). Remove "
                "them: data[data.stored.any(axis=1)].",
            )
        scaled = np.empty(self.stored.shape, dtype=np.float32)
        for start in range(0, len(self), ROWS_AT_ONCE):
            chunk = self.stored[start : start + ROWS_AT_ONCE].astype(np.float64)
            chunk /= np.abs(chunk).max(axis=1, keepdims=True)  # so that no square over- or underflows
            chunk /= np.sqrt(np.einsum("ij,ij->i", chunk, chunk))[:, None]
            scaled[start : start + ROWS_AT_ONCE] = chunk
        return replace(self, stored=scaled, scale=1.0)


def _read_only(array: ArrayLike) -> NDArray[Any]:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
