"""Matrix products for the CPU by oneDNN, which is up to twice as fast as torch's own choice on some processors.

Torch offers them as private operators; where they are missing, and on other devices and for other numbers than
float32, torch's own products do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def _has_onednn() -> bool:
    """Return whether torch offers oneDNN's products, also with a weight matrix in its own order."""
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(3, 2), 1)
        x, y = torch.ones(1, 2), torch.ones(1, 3)
        plain = torch.ops.mkldnn._linear_pointwise(x, torch.ones(3, 2), y[0], "none", [], "")
        packed = torch.ops.mkldnn._linear_pointwise.binary(x, y, weight, None, "add")
        return bool((plain == 3).all() and (packed == 3).all())
    except (AttributeError, RuntimeError):
        return False


def _applies(x: Tensor) -> bool:
    if torch.compiler.is_compiling():  # which makes its own
        return False
    return x.dtype == torch.float32 and x.device.type == "cpu" and _has_onednn()


def times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x @ weight.T + bias, without a derivative.

    Parameters
    ----------
    x : Tensor, shape (rows, n_in)
    weight : Tensor, shape (n_out, n_in)
    bias : Tensor, shape (n_out,), optional
    """
    if _applies(x) and weight.shape[1] > 1:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())


def of_weights(slopes: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by weights (n_out, n_in) from that by products (rows, n_out) and inputs (rows, n_in)."""
    return times(x.t(), slopes.t()).t()


def packed(weight: Tensor, n_rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function (x, y) -> y + x @ weight.T, for many x of about ``n_rows`` rows.

    Parameters
    ----------
    weight : Tensor, shape (n_out, n_in)
        Weights.
    n_rows : int
        Rows of x for which the order of the weights in memory is chosen.
    """
    if _applies(weight):
        reordered = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), n_rows)
        apply = torch.ops.mkldnn._linear_pointwise.binary
        return lambda x, y: apply(x, y, reordered, None, "add")
    transposed = weight.t()
    return lambda x, y: torch.addmm(y, x, transposed)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x @ weight.T + bias; its derivative can be taken once.

    Parameters
    ----------
    x : Tensor, shape (rows, n_in)
    weight : Tensor, shape (n_out, n_in)
    bias : Tensor, shape (n_out,), optional
    """
    return _Product.apply(x, weight, bias)


class Linear(torch.nn.Linear):
    """Torch's linear layer, with the products of this module; its derivative can be taken once."""

    def forward(self, input: Tensor) -> Tensor:
        """Return input @ weight.T + bias."""
        rows = product(input.reshape(-1, self.in_features), self.weight, self.bias)
        return rows.view(*input.shape[:-1], self.out_features)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return times(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = times(slopes, weight.t()) if ctx.needs_input_grad[0] else None
        by_weight = of_weights(slopes, x) if ctx.needs_input_grad[1] else None
        return by_x, by_weight, slopes.sum(0) if ctx.needs_input_grad[2] else None
