"""Gate traces, reach of gradients and leaks, against the cells themselves and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc

torch = pytest.importorskip("torch")

from neurocircuits.recurrent import (  # noqa: E402
    GRU,
    LSTM,
    FixSubLSTM,
    SubLSTM,
    column_weights,
    gate_traces,
    gradient_reach,
    learned_leaks,
    with_held_gates,
)
from tests.references import columns  # noqa: E402


@pytest.mark.parametrize("cell", [LSTM, SubLSTM, FixSubLSTM])
def test_traces_are_those_of_the_layer(cell: Any) -> None:
    """Rejects gates that are one step off: the memory found from them is the memory of the layer."""
    torch.manual_seed(1)
    layers, x = cell(3, 4, 2, dtype=torch.float64), np.random.default_rng(1).normal(size=(9, 3))
    output, (_, c) = layers(torch.from_numpy(x))
    for layer in (0, 1):
        traces = gate_traces(layers, x, layer)
        np.testing.assert_allclose(traces["c"][-1], c[layer].detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(traces["h"], output.detach().numpy(), atol=1e-15)
    squash = np.tanh if cell is LSTM else lambda a: 1 / (1 + np.exp(-a))
    h = squash(traces["c"]) * traces["o"] if cell is LSTM else squash(traces["c"]) - traces["o"]
    np.testing.assert_allclose(h, traces["h"], atol=1e-14)


def test_reach_of_a_leaky_memory_is_its_decay() -> None:
    """One unit whose gates are constants: the gradient is f**lag sigma'(z) w, whatever the gates are."""
    for gate in (-6.0, 0.5):
        layer = FixSubLSTM(1, 1, dtype=torch.float64)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
            layer.weight_ih_l0[1] = 0.3
            layer.bias_l0[0] = gate
            layer.leak_l0.fill_(math.log(9.0))
        reach = gradient_reach(layer, np.zeros((12, 1, 1)))
        np.testing.assert_allclose(reach[:-1] / reach[1:], 0.9, rtol=1e-12)


def test_leaks_have_time_constants() -> None:
    layer = FixSubLSTM(1, 3)
    leaks = learned_leaks(layer)
    np.testing.assert_allclose(np.exp(-1 / leaks["time_constant"]), leaks, rtol=1e-5)


def test_layers_without_a_memory_are_refused() -> None:
    with pytest.raises(nc.ValidationError, match="layer 0 of GRU with 1 layers. Give layers with a memory"):
        gate_traces(GRU(2, 3), np.zeros((4, 2)))


def test_held_gates_are_constants() -> None:
    layers = with_held_gates(SubLSTM, 3, 4, {"i": -1.5, "f": 2.0}, seed=2)
    traces = gate_traces(layers, np.random.default_rng(2).normal(size=(7, 3)))
    for gate, argument in (("i", -1.5), ("f", 2.0)):
        np.testing.assert_allclose(traces[gate], 1 / (1 + math.exp(-argument)), rtol=1e-15)
    assert traces["z"].std() > 0.05


@pytest.mark.parametrize("cell", [SubLSTM, FixSubLSTM])
def test_weights_of_a_column_are_those_of_the_layer(cell: Any) -> None:
    """Rejects gates in another order, a leak before its sigma, and another layer: the plain cell gives the outputs."""
    torch.manual_seed(2)
    layers, x = cell(3, 4, 2), np.random.default_rng(2).normal(size=(7, 5, 3))
    below = x
    for layer in (0, 1):
        below = columns.discrete(column_weights(layers, layer), below)
    output, _ = layers(torch.from_numpy(x).float())
    np.testing.assert_allclose(below, output.detach().numpy(), atol=1e-6)
    for wrong in (LSTM(3, 4), layers):
        with pytest.raises(nc.ValidationError, match="a layer from 0 to"):
            column_weights(wrong, 2)
