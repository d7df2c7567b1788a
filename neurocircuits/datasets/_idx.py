"""Read the IDX format of the MNIST files: a header of big-endian sizes, then unsigned bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocircuits.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, n_dimensions: int) -> NDArray[Any]:
    """Read one array from a gzipped IDX file and check every byte count.

    Parameters
    ----------
    path : Path
        The file.
    n_dimensions : int
        Dimensions that the array must have: 1 for labels, 3 for images.

    Returns
    -------
    ndarray of uint8
        The array, in the shape that the header states.

    Raises
    ------
    DataError
        If the file cannot be read, is cut off, is not IDX, holds another type or number of dimensions, or its length
        is not what its header states.

    References
    ----------
    LeCun Y, Cortes C, Burges CJC (1998) The MNIST database of handwritten digits, section "File formats".
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as a gzip file: {error}. Remove it, so that it is fetched anew."
        ) from error
    header = 4 + 4 * n_dimensions
    if len(content) < header:
        raise DataError(f"{path} has {len(content)} bytes after unpacking, fewer than an IDX header of {header}.")
    magic = int.from_bytes(content[:4], "big")
    expected = UNSIGNED_BYTE << 8 | n_dimensions
    if magic != expected:
        raise DataError(
            f"{path} starts with the magic number 0x{magic:08x}, expected 0x{expected:08x} "
            f"(IDX, unsigned bytes, {n_dimensions} dimension{'s' if n_dimensions > 1 else ''}). It is another file."
        )
    shape = tuple(int(size) for size in np.frombuffer(content, dtype=">u4", count=n_dimensions, offset=4))
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path} holds {len(content) - header} values, but its header states {' x '.join(map(str, shape))} = "
            f"{math.prod(shape)}. It is cut off or damaged."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
