"""A user's own stimuli from a file: NumPy arrays, or tables of numbers."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurocircuits.datasets._text_files import DELIMITERS
from neurocircuits.datasets.dataset import Dataset
from neurocircuits.errors import DataError

SUFFIXES = (".npy", ".npz", *DELIMITERS)
VALUES, LABELS = ("values", "images", "data", "X", "x"), ("labels", "target", "y")


def from_file(path: str | os.PathLike[str], *, dtype: str = "float64") -> Dataset:
    """Read stimuli from a file, one stimulus per row.

    Parameters
    ----------
    path : path
        ``.npy``: an array of shape (n, n_features), or (n, height, width) for images; ``.npz``: such an array under
        ``values``, ``images``, ``data`` or ``X``, and labels under ``labels``, ``target`` or ``y`` if there are any;
        ``.csv`` and ``.tsv``: numbers separated by commas or tabs, a row for each stimulus, with or without a line of
        names, none of which is a number. Endings count in any case.
    dtype : {"float64", "float32"}
        Type of the values.

    Returns
    -------
    Dataset
        Bytes stay bytes and count as 0 to 1; other numbers are taken as they are.

    Raises
    ------
    DataError
        If the file is missing, cannot be read, or holds something else.
    ValidationError
        If a value is not finite.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(f"'{file}': files of stimuli end in {', '.join(SUFFIXES)}. Save the array with numpy.save.")
    if not file.is_file():
        raise DataError(f"'{file}' does not exist.")
    try:
        values, labels = _read(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        what = str(error).partition("allow_pickle")[0] if "allow_pickle" in str(error) else str(error)
        raise DataError(f"'{file}' cannot be read as {file.suffix} of numbers: {what.rstrip('. ')}.") from None
    if values.ndim < 2 or not values.size or values.dtype.kind not in "fiub":
        raise DataError(
            f"'{file}' holds an array of shape {values.shape} and type {values.dtype}; numbers of shape "
            "(n, n_features) or (n, height, width) are needed."
        )
    if labels is not None and labels.shape != (len(values),):
        raise DataError(f"'{file}': labels of shape {labels.shape} do not fit {len(values)} stimuli.")
    if values.dtype.kind in "ib" or values.dtype.name not in ("uint8", "float32", "float64"):
        values = values.astype(float)
    return Dataset(
        name=file.name,
        stored=values.reshape(len(values), -1),
        labels=labels,
        image_shape=tuple(int(n) for n in values.shape[1:]) if values.ndim > 2 else None,
        scale=1 / 255 if values.dtype.kind == "u" else 1.0,
        dtype=dtype,
    )


def _read(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    suffix = file.suffix.lower()
    if suffix == ".npy":
        return np.load(file, allow_pickle=False), None
    if suffix in DELIMITERS:
        with file.open(encoding="utf-8-sig") as lines:  # Excel writes a mark of the encoding first
            names = not any(_is_number(part) for part in lines.readline().split(DELIMITERS[suffix]))
            lines.seek(0)
            try:
                return np.loadtxt(lines, delimiter=DELIMITERS[suffix], skiprows=int(names), ndmin=2), None
            except ValueError as error:
                lines.seek(0)
                raise ValueError(_first_problem(lines, DELIMITERS[suffix], names) or str(error)) from None
    with np.load(file, allow_pickle=False) as arrays:
        values = next((arrays[name] for name in VALUES if name in arrays), None)
        if values is None:
            raise ValueError(f"it holds {', '.join(arrays.files) or 'nothing'}, but none of {', '.join(VALUES)}")
        return values, next((arrays[name] for name in LABELS if name in arrays), None)


def _first_problem(lines: Iterable[str], delimiter: str, names: bool) -> str:
    """Return which line of a table is none of numbers, counted from 1 as an editor does, and why."""
    width = 0
    for number, line in enumerate(lines, 1):
        parts = line.partition("#")[0].split(delimiter)
        if (names and number == 1) or not any(part.strip() for part in parts):
            continue
        for column, part in enumerate(parts, 1):
            if not _is_number(part):
                return f"line {number}, column {column}: {part.strip()!r} is no number"
        if len(parts) != (width := width or len(parts)):
            return f"line {number} has {len(parts)} columns, those before have {width}"
    return ""


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
