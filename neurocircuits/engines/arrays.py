"""The arrays of a steady-state run: where they are, and operations on large ones in the form that is fast.

On the device ``"cpu"`` they are NumPy's own. On others they are what `tensors` makes of torch, which is imported here
and not before such a device is used.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

from neurocircuits.engines import tensors
from neurocircuits.engines.tensors import DeviceArray
from neurocircuits.errors import UnsupportedError

CPU = "cpu"  # the device on which arrays are NumPy's
DEVICES = "'cpu' (NumPy), 'cuda', 'cuda:0', 'cuda:1', ... (a GPU, by torch), 'torch:cpu' (torch on the processor)"

SPARSE = "products on a device do not use; give dense arrays, as those of toarray(), or use device='cpu'"

_DEVICE = re.compile(r"cpu|torch:cpu|cuda(:\d+)?")
_GEMM = {"d": dgemm, "f": sgemm}

_LARGE = 1 << 24  # multiplications from which the form of a product matters
_TURNED = 128  # presentations up to which the transpose of a product is the faster one
_PANEL = 50_000  # values that are turned at a time
_MARGIN = 32  # inputs at an end are left out where at least one in so many is silent there


def is_device(name: Any) -> bool:
    """Return whether a name is that of a device, be it there or not."""
    return isinstance(name, str) and _DEVICE.fullmatch(name) is not None


def missing(device: str) -> str:
    """Return why this machine has no such device and what would help, or an empty string."""
    if device == CPU:
        return ""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return (
            f"device {device!r} needs torch, which is not installed; pip install 'neurocircuits[torch]', or use "
            "device='cpu'"
        )
    tensors.torch = torch
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", "torch:cpu", *["cuda"][:n_gpus], *(f"cuda:{k}" for k in range(n_gpus))]
    if device in there:
        return ""
    return f"device {device!r} is not there; torch finds {n_gpus or 'no'} GPU{'s'[: n_gpus != 1]}. Use one of: " + (
        ", ".join(map(repr, there))
    )


def free_memory(device: str) -> float:
    """Return how many bytes are free on a GPU that is there; infinity for the host, whose memory is known elsewhere."""
    return float(tensors.torch.cuda.mem_get_info(device)[0]) if device.startswith("cuda") else math.inf


def prototype(device: str, dtype: Any = float) -> Any:
    """Return an empty array on a device: ``np.zeros(shape, like=it)`` makes others there.

    Raises
    ------
    UnsupportedError
        If this machine has no such device.
    """
    if device == CPU:
        return np.empty(0, dtype)
    if reason := missing(device):
        raise UnsupportedError(f"SteadyState.device: {reason}.")
    kind = getattr(tensors.torch, np.dtype(dtype).name)
    return DeviceArray(tensors.torch.empty(0, dtype=kind, device=device.removeprefix("torch:")))


def on_host(values: Any) -> bool:
    """Return whether values are numbers or arrays of the host."""
    return not isinstance(values, DeviceArray)


def host(values: Any) -> Any:
    """Return a copy on the host of an array on a device, and anything else as it is."""
    return values.host() if isinstance(values, DeviceArray) else values


def placed(values: Any, like: Any) -> Any:
    """Return values of the host where ``like`` is; on the host as they are, be they sparse or not.

    Raises
    ------
    UnsupportedError
        If they are sparse and ``like`` is on a device.
    """
    if not isinstance(like, DeviceArray):
        return values
    if hasattr(values, "toarray"):
        raise UnsupportedError(f"SteadyState: a stimulus is sparse, which {SPARSE}.")
    return np.asarray(values, like=like)


def dense(values: Any) -> Any:
    """Return an array, where it is, from one that may be sparse."""
    if isinstance(values, DeviceArray):
        return values
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


def product(factor: Any, matrix: np.ndarray) -> np.ndarray:
    """Return ``factor @ matrix.T``.

    Inputs at both ends that are silent throughout a batch, as the border of an image, are left out. BLAS computes the
    transpose up to a tenth faster where a batch is small; it is turned panel by panel, while a panel is in the cache.

    Parameters
    ----------
    factor : ndarray or CSR, shape (batch, pre)
        What is sent.
    matrix : ndarray, shape (post, pre)
        What synapses make of it; finite.

    Returns
    -------
    ndarray, shape (batch, post)
        A new array.
    """
    n_rows, n_post = factor.shape[0], len(matrix)
    plain = not isinstance(factor, np.ndarray) or factor.dtype != matrix.dtype
    if plain or not 1 < n_rows <= _TURNED or n_rows * matrix.size < _LARGE:
        return factor @ matrix.T
    shown = _shown(factor)
    factor, matrix = factor[:, shown], matrix[:, shown]
    result, height = np.empty((n_rows, n_post), matrix.dtype), _PANEL // n_rows
    panel = np.empty((height, n_rows), matrix.dtype)
    for start in range(0, n_post, height):
        part = matrix[start : start + height]
        result[:, start : start + height] = np.matmul(part, factor.T, out=panel[: len(part)]).T
    return result


def add_product(post: Any, pre: Any, total: Any) -> bool:
    """Add ``post.T @ pre`` in place, which saves an array of its size.

    Parameters
    ----------
    post : ndarray, shape (batch, post)
        One side.
    pre : ndarray or CSR, shape (batch, pre)
        The other side.
    total : ndarray, shape (post, pre)
        Changed.

    Returns
    -------
    bool
        False if these arrays do not allow it; then nothing has changed.
    """
    gemm = _GEMM.get(total.dtype.char)
    if (
        gemm is None
        or not total.size
        or hasattr(pre, "toarray")
        or any(a.dtype != total.dtype or not a.flags.c_contiguous for a in (post, pre, total))
    ):
        return False
    if isinstance(total, DeviceArray):
        total.tensor.addmm_(post.T.tensor, pre.tensor)
    else:
        gemm(1.0, pre.T, post.T, beta=1.0, c=total.T, trans_b=True, overwrite_c=True)
    return True


def _shown(factor: np.ndarray) -> slice:
    """Return the inputs between those at the ends that are silent throughout a batch."""
    margin = 1 + factor.shape[1] // _MARGIN
    if factor[:, :margin].any() and factor[:, -margin:].any():
        return slice(None)
    shown = ((factor.max(axis=0) != 0) | (factor.min(axis=0) != 0)).nonzero()[0]
    return slice(shown[0], shown[-1] + 1) if len(shown) else slice(0)
