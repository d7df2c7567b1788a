"""The time loop of cells with a memory, LSTM and subLSTM, forward and backward, on packed weights.

Rows of all time steps stand below one another, as in torch's ``PackedSequence``: ``batch_sizes[t]`` rows belong to
step t, and sequences that end leave from below. What does not depend on the step before is done for all steps at once:
input products before the loop, derivatives of the gates before the backward loop, weight gradients after it. A step
has one matrix product, with all gates in one matrix. Here it is in torch's operations; on the CPU `compiled` runs it
where it can be built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neurocircuits.errors import ValidationError
from neurocircuits.onednn import of_weights, packed, times
from neurocircuits.recurrent import compiled
from neurocircuits.recurrent.compiled import CompiledLoop, before

GATES = {True: ("i", "f", "z", "o"), False: ("i", "z", "o")}  # with a forgetting gate, and with a constant leak


class MemoryLoop(torch.autograd.Function):
    """Run a layer of cells with a memory over packed sequences; its derivative can be taken once.

    See `run` for the arguments.
    """

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
        n, names = h_0.shape[1], GATES[leak is None]
        gates = times(x, weight_ih, bias)
        of = {name: gates[:, k * n : (k + 1) * n] for k, name in enumerate(names)}
        z = of["z"] if subtracts else torch.empty_like(of["z"])
        c_all, y_all, h_all = (gates.new_empty(len(x), n) for _ in range(3))
        recurrent = packed(weight_hh, int(batch_sizes[0]))
        h, c, h_n, c_n = h_0, c_0, h_0.clone(), c_0.clone()
        parts = (gates, of["i"], of.get("f", gates), z, of["o"], c_all, y_all, h_all, gates if mask is None else mask)
        at_z = names.index("z") * n
        for s, i, f, z_t, o, c_t, y, h_t, m in zip(*(each.split(batch_sizes) for each in parts), strict=True):
            if len(s) < len(h):
                h_n[len(s) : len(h)], c_n[len(s) : len(c)] = h[len(s) :], c[len(s) :]
                h, c = h[: len(s)], c[: len(s)]
            a = recurrent(h, s)
            if not subtracts:
                torch.tanh(a[:, at_z : at_z + n], out=z_t)
            torch.sigmoid(a, out=s)
            torch.sub(z_t, i, out=c_t) if subtracts else torch.mul(z_t, i, out=c_t)
            if mask is not None:
                c_t.mul_(m)
            c_t.addcmul_(c, f if leak is None else leak)
            if subtracts:
                torch.sigmoid(c_t, out=y)
                torch.sub(y, o, out=h_t)
            else:
                torch.tanh(c_t, out=y)
                torch.mul(y, o, out=h_t)
            h, c = h_t, c_t
        h_n[: len(h)], c_n[: len(c)] = h, c
        ctx.save_for_backward(x, h_0, c_0, weight_ih, weight_hh, leak, mask, gates, z, c_all, y_all, h_all)
        ctx.batch_sizes, ctx.subtracts = tuple(batch_sizes), subtracts
        return h_all, h_n, c_n

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_h_n: Tensor, grad_c_n: Tensor) -> tuple[Any, ...]:
        """Return the gradients, with what reaches a step through the recurrent weights."""
        x, h_0, c_0, weight_ih, weight_hh, leak, mask, gates, z, c_all, y, h_all = ctx.saved_tensors
        sizes, subtracts, n = ctx.batch_sizes, ctx.subtracts, h_0.shape[1]
        names = GATES[leak is None]
        c_before, h_before = before(c_0, c_all, sizes), before(h_0, h_all, sizes)
        # derivatives of the gates' arguments: all but the last by the memory's, the last (o) by the output's
        slope = gates * (1 - gates)
        of = {name: slope[:, k * n : (k + 1) * n] for k, name in enumerate(names)}
        value = {name: gates[:, k * n : (k + 1) * n] for k, name in enumerate(names)}
        if subtracts:
            of["i"].neg_()
            of["o"].neg_()
            by_output = y * (1 - y)
        else:
            of["i"].mul_(z)
            of["o"].mul_(y)
            by_output = (1 - y * y) * value["o"]
            torch.mul(1 - z * z, value["i"], out=of["z"])
        if mask is not None:
            of["i"].mul_(mask)
            of["z"].mul_(mask)
        if leak is None:
            of["f"].mul_(c_before)
        back = packed(weight_hh.t(), sizes[0])
        # what reaches h of the step before a step from above, where the gradient through the step is added
        above = [torch.zeros_like(h_0), *grad_h.contiguous().split(sizes)]
        dh_all, dc_all = grad_h_n.clone(), grad_c_n.clone()
        dh_all[: sizes[-1]].add_(above.pop())
        d_leak: Any = None if leak is None else torch.zeros_like(c_before)
        memory = slope[:, :-n].view(len(x), -1, n)
        parts = (slope, memory, of["o"], by_output, value.get("f", slope), c_before, slope if leak is None else d_leak)
        steps = list(zip(*(each.split(sizes) for each in parts), above, strict=True))
        for s, a, a_o, by, f, c_t, d_l, g in reversed(steps):
            rows = len(s)
            whole = rows == len(dh_all)
            dh, dc = (dh_all, dc_all) if whole else (dh_all[:rows], dc_all[:rows])
            dc.addcmul_(dh, by)
            a.mul_(dc.unsqueeze(1))
            a_o.mul_(dh)
            if leak is None:
                dc.mul_(f)
            else:
                torch.mul(dc, c_t, out=d_l)
                dc.mul_(leak)
            if whole:
                dh_all = back(s, g)
            else:
                dh.copy_(back(s, g[:rows]))
                dh_all[rows : len(g)].add_(g[rows:])
        return (
            times(slope, weight_ih.t()) if ctx.needs_input_grad[0] else None,
            dh_all,
            dc_all,
            of_weights(slope, x),
            of_weights(slope, h_before),
            slope.sum(0),
            None if d_leak is None else d_leak.sum(0),
            None,
            None,
            None,
        )


def run(
    x: Tensor,
    state: tuple[Tensor, Tensor],
    weights: tuple[Tensor, Tensor, Tensor],
    batch_sizes: Sequence[int],
    *,
    subtracts: bool,
    leak: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run a layer with a memory over packed sequences.

    The gates are i, f, o = sigma(W x + R h + b). With ``subtracts`` (Costa et al. 2017, section 3) z = sigma(...),
    c = f c' + z - i and h = sigma(c) - o; else z = tanh(...), c = f c' + z i and h = tanh(c) o.

    Parameters
    ----------
    x : Tensor, shape (rows, D)
        Inputs, those of a time step below those of the step before.
    state : tuple of Tensor, shape (B, H) each
        h and c before the first step.
    weights : tuple of Tensor
        W (gates*H, D), R (gates*H, H) and b (gates*H); gates in the order i, f, z, o.
    batch_sizes : sequence of int
        Rows of each step, not increasing.
    subtracts : bool
        Whether gates subtract.
    leak : Tensor, shape (H,), optional
        Share of the memory that is kept at each step, instead of f.
    mask : Tensor, shape (rows, H), optional
        Factors of what a step adds to the memory, z - i or z i (dropout of updates).

    Returns
    -------
    outputs : Tensor, shape (rows, H)
        h of all steps.
    state : tuple of Tensor, shape (B, H) each
        h and c after the last step of each sequence.

    Raises
    ------
    ValidationError
        If numbers are of several kinds, such as float32 and float64, or on several devices.
    """
    given = {"inputs": (x,), "states": state, "weights": weights, "leaks": () if leak is None else (leak,)}
    kinds = {(each.dtype, each.device) for some in given.values() for each in some}
    if len(kinds) > 1:
        raise ValidationError(
            "The time loop runs in one dtype on one device. Here "
            + ", ".join(
                f"{name} are {each.dtype} on {each.device}" for name, some in given.items() for each in some[:1]
            )
            + ". Convert them, as layer.to(dtype) and tensor.to(dtype) do."
        )
    loop = CompiledLoop if compiled.runs(x) else MemoryLoop
    with torch.autocast(x.device.type, enabled=False):  # it would change the dtype of some products only
        h, h_n, c_n = loop.apply(x, *state, *weights, leak, mask, batch_sizes, subtracts)
    return h, (h_n, c_n)
