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
    np.testing.assert_allclose(np.exp(-1 / leaks["time_constant"]), leaks, rtol=1e-12)
    with torch.no_grad():
        layer.leak_l0.copy_(torch.tensor([20.0, 0.0, -200.0]))
    np.testing.assert_allclose(
        learned_leaks(layer)["time_constant"][0], [math.exp(20), 1 / math.log(2), 0.005], rtol=1e-8
    )
    with pytest.raises(nc.ValidationError, match="SubLSTM has no constant leaks. Give a FixSubLSTM"):
        learned_leaks(SubLSTM(1, 3))


def test_reach_is_the_same_with_sequences_before_time_steps() -> None:
    torch.manual_seed(3)
    layer, x = LSTM(2, 3, batch_first=True), np.random.default_rng(3).normal(size=(6, 4, 2))
    found = gradient_reach(layer, x)
    layer.batch_first = False
    np.testing.assert_allclose(found, gradient_reach(layer, x), rtol=1e-6)
    with pytest.raises(nc.ValidationError, match=r"x has shape \(6, 2\). Give \(time, batch, input_size\)"):
        gradient_reach(layer, x[:, 0])


def test_traces_of_layers_that_train_drop_nothing() -> None:
    layers, x = SubLSTM(3, 4, update_dropout=0.5), np.random.default_rng(1).normal(size=(9, 3))
    traces = gate_traces(layers, x)
    assert layers.training
    np.testing.assert_allclose(1 / (1 + np.exp(-traces["c"])) - traces["o"], traces["h"], atol=1e-6)
    with pytest.raises(nc.ValidationError, match=r"x has shape \(9, 2\). Give one sequence, \(time, 3\)"):
        gate_traces(layers, x[:, :2])


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
