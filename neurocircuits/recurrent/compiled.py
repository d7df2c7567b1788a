"""The time loop of `kernel` as compiled code for the CPU, built once and kept in the cache folder of the package."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurocircuits.onednn import of_weights, times

SOURCE = Path(__file__).with_name("loop.cpp")
_FLAGS = ("-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_NAMES = {torch.float32: "float", torch.float64: "double"}
_SUBTRACTS, _LEAKS, _MASKED = 1, 2, 4  # kinds of loops, as the source numbers them


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled loop; None where there is no compiler that builds it."""
    import pooch

    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        return None
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    told = [compiler, version, *_FLAGS, SOURCE.read_text(), platform.machine(), _processor()]
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("NEUROCIRCUITS_CACHE") or pooch.os_cache("neurocircuits")) / "compiled"
    built = folder / f"loop-{key}.so"
    try:
        return ctypes.CDLL(str(built))
    except OSError:  # it is not there yet, or broken
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            partial = Path(empty) / built.name
            command = [compiler, "-march=native", *_FLAGS, str(SOURCE), "-o", str(partial)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return None
            os.replace(partial, built)
        return ctypes.CDLL(str(built))
    except OSError:
        return None


def _processor() -> str:
    """Return what the processor can do, which code that is built for it relies on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def runs(x: Tensor) -> bool:
    """Return whether the compiled loop runs a layer with such inputs; ``torch.compile`` makes its own."""
    if torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and x.dtype in _NAMES and library() is not None


class CompiledLoop(torch.autograd.Function):
    """`kernel.MemoryLoop` as compiled code; same arguments, same results."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h_0: Tensor,
        c_0: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        leak: Tensor | None,
        mask: Tensor | None,
        batch_sizes: Sequence[int],
        subtracts: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs (rows, H) and the last h and c of every sequence (B, H)."""
        n = h_0.shape[1]
        gates = times(x, weight_ih, bias)
        c, y, h = (gates.new_empty(len(x), n) for _ in range(3))
        first = [each.contiguous() for each in (h_0, c_0)]
        h_n, c_n = (torch.empty_like(each) for each in first)
        recurrent = weight_hh.contiguous()
        constant = [None if each is None else each.contiguous() for each in (leak, mask)]
        _call("forward", gates, batch_sizes, subtracts, recurrent, *constant, *first, gates, c, y, h, h_n, c_n)
        ctx.save_for_backward(x, *first, weight_ih, recurrent, *constant, gates, c, y, h)
        ctx.batch_sizes, ctx.subtracts = tuple(batch_sizes), subtracts
        return h, h_n, c_n

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_h_n: Tensor, grad_c_n: Tensor) -> tuple[Any, ...]:
        """Return the gradients, with what reaches a step through the recurrent weights."""
        x, h_0, c_0, weight_ih, weight_hh, leak, mask, gates, c, y, h = ctx.saved_tensors
        sizes, subtracts = ctx.batch_sizes, ctx.subtracts
        dh, dc = (each.clone(memory_format=torch.contiguous_format) for each in (grad_h_n, grad_c_n))
        slopes = torch.empty_like(gates)
        d_leak = gates.new_zeros(h_0.shape[1], dtype=torch.float64)
        above = grad_h.contiguous()
        _call(
            "backward", gates, sizes, subtracts, weight_hh, leak, mask, c_0, gates, c, y, above, dh, dc, slopes, d_leak
        )
        return (
            times(slopes, weight_ih.t()) if ctx.needs_input_grad[0] else None,
            dh,
            dc,
            of_weights(slopes, x),
            of_weights(slopes, before(h_0, h, sizes)),
            slopes.sum(0),
            None if leak is None else d_leak.to(leak.dtype),
            None,
            None,
            None,
        )


def _call(name: str, gates: Tensor, sizes: Sequence[int], subtracts: bool, weight: Tensor, *others: Any) -> None:
    """Call a function of the library on weights, leak, mask, and what it reads and writes: contiguous, of one dtype."""
    leak, mask = others[:2]
    kind = _SUBTRACTS * subtracts + _LEAKS * (leak is not None) + _MASKED * (mask is not None)
    steps = np.asarray(sizes, np.int64)
    function = getattr(library(), f"{name}_{_NAMES[gates.dtype]}")
    function.restype = None
    function(
        ctypes.c_int(kind),
        ctypes.c_int64(len(steps)),
        ctypes.c_void_p(steps.ctypes.data),
        ctypes.c_int(weight.shape[1]),
        *(None if each is None else ctypes.c_void_p(each.data_ptr()) for each in (weight, *others)),
    )


def before(first: Tensor, states: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the states before each step, in rows like ``states``."""
    if sizes[0] == sizes[-1]:
        return torch.cat([first, states[: len(states) - sizes[0]]])
    parts = states.split(list(sizes))
    return torch.cat(
        [first[: sizes[0]], *(part[:size] for part, (_, size) in zip(parts, pairwise(sizes), strict=False))]
    )
