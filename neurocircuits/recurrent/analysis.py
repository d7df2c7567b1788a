"""What a recurrent network does: its gates on a sequence, how far gradients reach, how fast memories leak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from neurocircuits.errors import ValidationError
from neurocircuits.recurrent.cells import FixSubLSTM, RecurrentLayers, SubLSTM


def gate_traces(layers: RecurrentLayers, x: ArrayLike, layer: int = 0) -> xr.Dataset:
    """Return all gates and states of a layer with a memory on one sequence.

    Parameters
    ----------
    layers : RecurrentLayers
        Layers with a memory.
    x : array_like, shape (time, input_size)
        One sequence; nothing is dropped.
    layer : int
        Which layer; those below it feed it.

    Returns
    -------
    Dataset
        ``i``, ``z``, ``o``, ``f`` (also where it is a constant leak), ``c`` and ``h``, all (time, unit), dimensionless.

    Raises
    ------
    ValidationError
        If the layers have no memory, there is no such layer, or x has another shape.
    """
    if not layers.has_memory or not 0 <= layer < layers.num_layers:
        raise ValidationError(
            f"gate_traces: layer {layer!r} of {type(layers).__name__} with {layers.num_layers} layers. Give layers "
            f"with a memory, and a layer from 0 to {layers.num_layers - 1}."
        )
    n, rows = layers.hidden_size, _like(layers, x)
    if rows.dim() != 2 or not len(rows) or rows.shape[1] != layers.input_size:
        raise ValidationError(
            f"gate_traces: x has shape {tuple(rows.shape)}. Give one sequence, (time, {layers.input_size})."
        )
    training = layers.training
    layers.eval()
    with torch.no_grad():
        for k in range(layer + 1):
            values = layers.layer_parameters(k)
            below, zero = rows, rows.new_zeros(1, n)
            rows, _ = layers._layer(below, (zero, zero), values, [1] * len(below))
        layers.train(training)
        before = torch.cat([zero, rows[:-1]])
        argument = below @ values["weight_ih"].t() + before @ values["weight_hh"].t() + values["bias"]
        parts = dict(zip(layers.gates, argument.split(n, dim=1), strict=True))
        subtracts = getattr(layers, "subtracts", False)
        found = {
            name: torch.tanh(a) if name == "z" and not subtracts else torch.sigmoid(a) for name, a in parts.items()
        }
        if "leak" in values:
            found["f"] = torch.sigmoid(values["leak"]).expand(len(below), n)
        added = found["z"] - found["i"] if subtracts else found["z"] * found["i"]
        c = [zero[0]]
        for kept, new in zip(found["f"], added, strict=True):
            c.append(kept * c[-1] + new)
        found |= {"c": torch.stack(c[1:]), "h": rows}
    return xr.Dataset({name: (("time", "unit"), value.cpu().numpy()) for name, value in found.items()})


def gradient_reach(layers: RecurrentLayers, x: Any) -> xr.DataArray:
    """Return how much the last output depends on the input of each time step.

    Parameters
    ----------
    layers : RecurrentLayers
        The layers.
    x : array_like, shape (time, batch, input_size)
        Sequences, also for layers with ``batch_first``.

    Returns
    -------
    DataArray, shape (time,)
        Norm of the gradient of the sum of the last h over units, root mean square over sequences (gradients of Costa et
        al. 2017, section 3.1, with the recurrent term).

    Raises
    ------
    ValidationError
        If x has another shape.
    """
    rows = _like(layers, x).requires_grad_()
    if rows.dim() != 3:
        raise ValidationError(f"gradient_reach: x has shape {tuple(rows.shape)}. Give (time, batch, input_size).")
    output, _ = layers(rows.transpose(0, 1) if layers.batch_first else rows)
    last = output[:, -1] if layers.batch_first else output[-1]
    (gradient,) = torch.autograd.grad(last.sum(), rows)
    return xr.DataArray((gradient**2).sum(2).mean(1).sqrt().cpu().numpy(), dims="time", name="gradient")


def _like(layers: RecurrentLayers, x: ArrayLike) -> torch.Tensor:
    """Return values as a tensor of the dtype of the layers, where they are."""
    bias = layers.layer_parameters(0)["bias"]
    return torch.as_tensor(np.asarray(x), dtype=bias.dtype, device=bias.device)


def with_held_gates(
    cell: type[RecurrentLayers], input_size: int, hidden_size: int, gates: Mapping[str, float], seed: int = 0
) -> RecurrentLayers:
    """Return a layer in double precision some of whose gates are constants, whatever the input.

    Parameters
    ----------
    cell : type
        Kind of layer.
    input_size, hidden_size : int
        Inputs and units.
    gates : mapping of str to float
        Arguments of sigma of the gates that are held.
    seed : int
        Of the weights of the others.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        layers = cell(input_size, hidden_size, dtype=torch.float64)
        values = layers.layer_parameters(0)
        for gate, argument in gates.items():
            rows = slice(layers.gates.index(gate) * hidden_size, (layers.gates.index(gate) + 1) * hidden_size)
            values["weight_ih"][rows] = 0.0
            values["weight_hh"][rows] = 0.0
            values["bias"][rows] = argument
    return layers


def learned_leaks(layers: FixSubLSTM) -> xr.DataArray:
    """Return the share of the memory that a step keeps, (layer, unit), and as a coordinate its time constant.

    A memory with the share f decays with the time constant -1/ln f, in steps.

    Raises
    ------
    ValidationError
        If the leaks are no constants.
    """
    if not isinstance(layers, FixSubLSTM):
        raise ValidationError(f"learned_leaks: {type(layers).__name__} has no constant leaks. Give a FixSubLSTM.")
    leaks = torch.stack([layers.layer_parameters(k)["leak"].detach().cpu().double() for k in range(layers.num_layers)])
    rate = torch.nn.functional.softplus(-leaks).numpy()  # -ln f, also where f is 1 in any precision
    dims = ("layer", "unit")
    return xr.DataArray(np.exp(-rate), dims=dims, name="leak", coords={"time_constant": (dims, 1 / rate)})


def column_weights(layers: SubLSTM, layer: int = 0) -> dict[str, np.ndarray]:
    """Return the weights of a trained layer as ``models.costa2017.circuit`` takes them.

    Parameters
    ----------
    layers : SubLSTM or FixSubLSTM
        The layers.
    layer : int
        Which layer.

    Returns
    -------
    dict of str to ndarray
        ``W_g``, (H, D), ``R_g``, (H, H), and ``b_g``, (H,), of each gate g; of a `FixSubLSTM` also ``f``, (H,).

    Raises
    ------
    ValidationError
        If gates do not subtract, or there is no such layer.
    """
    if not isinstance(layers, SubLSTM) or not 0 <= layer < layers.num_layers:
        raise ValidationError(
            f"column_weights: layer {layer!r} of {type(layers).__name__} with {layers.num_layers} layers. Give a "
            f"SubLSTM or FixSubLSTM, and a layer from 0 to {layers.num_layers - 1}."
        )
    values = {name: each.detach().cpu().double() for name, each in layers.layer_parameters(layer).items()}
    found: dict[str, np.ndarray] = {}
    for name, short in (("weight_ih", "W"), ("weight_hh", "R"), ("bias", "b")):
        parts = values[name].split(layers.hidden_size)
        found |= {f"{short}_{gate}": part.numpy().copy() for gate, part in zip(layers.gates, parts, strict=True)}
    if "leak" in values:
        found["f"] = torch.sigmoid(values["leak"]).numpy()
    return found
