"""Gates of detailed balance: the linear law, weights, who reaches whom, the protocol, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.errors import ValidationError
from neurocircuits.models import vogels_abbott2009 as model
from neurocircuits.protocols import gate
from tests.references.circuits import run

SMALL = {"n_senders": 3, "n_pool": 2, "n_receivers": 4}


@pytest.mark.parametrize(
    ("balance", "pathway", "level"),
    [("detailed", "signals_to_L", 20.0), ("flat", "L_to_R", 10.0)],
)
def test_gains_follow_the_linear_law(balance: str, pathway: str, level: float) -> None:
    """y = y_0 + sum_k (E_k - g_k c w_k) s_k. Rejects weights without the pool's gain, and a gate on another channel."""
    gains, c, gates = np.array([0.8, 0.6, 0.4]), 0.5, (1.0, 0.5, 0.0)
    circuit = model.circuit(
        "rates", excitation=gains, balance=balance, pool_gain=c, background=30.0, noise=0.0, mean=level, sd=0.0
    )
    plan = gate.protocol([1], gates, pathway, probe="0.15 s")
    data = run(circuit, *plan.phases, engine=nc.Brian2(dt=1e-3, target="numpy"))["/populations/R"].ds
    found = [data["r"].values[data["phase"].values == f"gate_{k}"][-1, 0] for k in range(len(gates))]
    w = gains / c if balance == "detailed" else np.full(3, gains.mean() / c)
    expected = [30 + level * (gains - c * w * np.array([1, g, 1])).sum() for g in gates]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_inhibition_balances_in_each_channel_or_in_all() -> None:
    gains = np.array([1.0, 0.2, 0.6])
    np.testing.assert_allclose(model.inhibition(gains, "detailed", 2.0), gains / 2)
    np.testing.assert_allclose(model.inhibition(gains, "flat", 2.0), 0.3)
    assert model.inhibition(gains, "flat").sum() == pytest.approx(gains.sum())


@pytest.fixture(scope="module")
def wired() -> dict[str, np.ndarray]:
    """Weights of a small spiking circuit, post x pre and 0 where there is no synapse, by pathway."""
    circuit = model.circuit("spikes", initial=[1e-9, 2e-9, 3e-9], pool_strength=2.0, **SMALL)
    tree = run(circuit, nc.Phase("now", duration="1 ms"), engine=nc.Brian2(dt="0.2 ms", target="numpy"))
    found = {}
    for name in ("S_to_L", "S_to_R", "L_to_R"):
        pathway = tree[f"/synapses/{name}"].ds
        sizes = [circuit.population(p).n_units for p in (name[-1], name[0])]
        found[name] = np.zeros(sizes)
        values = pathway["w"].values[0]
        if values.ndim == 2:
            found[name][...] = values
        else:
            found[name][pathway["post"].values, pathway["pre"].values] = values
    return found


def test_senders_reach_their_own_pool_and_all_receivers(wired: dict[str, np.ndarray]) -> None:
    """Rejects a channel whose senders drive another's pool."""
    senders, pools = np.repeat([0, 1, 2], 3), np.repeat([0, 1, 2], 2)
    np.testing.assert_allclose(wired["S_to_L"], 2 * 60e-12 * (pools[:, None] == senders), rtol=1e-12)
    strengths = np.array(model.STRENGTHS)[senders]
    np.testing.assert_allclose(wired["S_to_R"], np.tile(60e-12 * strengths, (4, 1)), rtol=1e-12)
    np.testing.assert_allclose(wired["L_to_R"], np.tile(1e-9 * (pools + 1.0), (4, 1)), rtol=1e-9)


def test_only_pools_onto_receivers_learn() -> None:
    rules = {s.name: s.rule is not None for s in model.circuit("spikes", **SMALL).synapses}
    assert rules == {"signals_to_S": False, "S_to_L": False, "S_to_R": False, "L_to_R": True}
    assert all(s.rule is None for s in model.circuit("spikes", plastic=False, **SMALL).synapses)


def test_conductances_have_the_means_of_their_trains() -> None:
    """160 afferents at 2 Hz, and senders at 20 Hz. Rejects jumps that depend on the time step, or are of 1 nS."""
    circuit = model.circuit("spikes", plastic=False, initial="0 nS", sd=0.0, n_receivers=60, n_senders=200, n_pool=1)
    phases = (
        nc.Phase("settle", duration="0.05 s"),
        nc.Phase("on", duration="0.2 s", record=nc.Record("g_e", "g_i", populations=("R",), interval="1 ms")),
    )
    data = run(circuit, *phases, engine=nc.Brian2(dt="0.5 ms", target="numpy", tolerance=None))["/populations/R"].ds
    sent = 60e-12 * 200 * 20 * 5e-3 * sum(model.STRENGTHS)
    assert data["g_e"].values.mean() == pytest.approx(160 * 2 * 3e-9 * 5e-3 + sent, rel=0.06)
    assert data["g_i"].values.mean() == pytest.approx(40 * 2 * 30e-9 * 10e-3, rel=0.06)


@pytest.mark.slow
def test_the_target_is_the_background_rate() -> None:
    """Receivers without senders and pools. Rejects a target that drifts from the cells' constants."""
    circuit = model.circuit(
        "spikes", plastic=False, initial="0 nS", mean=0.0, sd=0.0, n_senders=1, n_pool=1, n_receivers=500
    )
    phases = nc.Phase("settle", duration="0.2 s"), nc.Phase("on", duration="4 s", record=nc.Record(spikes=("R",)))
    tree = run(circuit, *phases, engine=nc.Brian2(dt="0.2 ms", target="numpy", tolerance=None))
    rate = tree["/spikes/R"].ds.sizes["event"] / (500 * 4.0)
    assert rate == pytest.approx(24.6, abs=0.5)
    assert model.BACKGROUND == "24.6 Hz"


# --- the protocol


def test_gates_are_scaled_one_after_the_other() -> None:
    """Rejects factors of the first weights rather than of those before, and learning during probes."""
    plan = gate.protocol([2, 3], (1.0, 0.5, 0.1, 0.0), balance="4 s", levels=(0.0, 20.0), stretch="2 s", probe="3 s")
    assert [p.name for p in plan.phases] == ["balance", "level_0", "level_1", "gate_0", "gate_1", "gate_2", "gate_3"]
    factors = [[s.factor for s in p.interventions] for p in plan.phases[3:]]
    assert factors == [[], [0.5], [pytest.approx(0.2)], [0.0]]
    assert all(list(s.pre) == [2, 3] and s.pathway == "L_to_R" for p in plan.phases for s in p.interventions)
    assert plan.phases[0].epochs == 2 and [p.plasticity for p in plan.phases[1:]] == [False] * 6
    assert plan.phases[2].parameters["signals.mean"].value == 20.0 and not plan.phases[3].parameters
    (scale,) = gate.protocol([2], (0.5,), "signals_to_L").phases[0].interventions
    assert list(scale.post) == [2] and scale.pathway == "signals_to_L"


# --- bad input


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"form": "currents"}, "'rates'.*'spikes'"),
        ({"form": "rates", "balance": "tight"}, "'detailed'.*'flat'"),
        ({"form": "rates", "excitation": [0.5, -0.1]}, "0 or more"),
        ({"form": "rates", "excitation": 0.5}, "one finite number for each signal"),
        ({"form": "rates", "pool_gain": 0.0}, "not positive"),
        ({"form": "spikes", "strengths": [1.0, np.nan]}, "finite"),
        ({"form": "spikes", "initial": [1e-9, 2e-9]}, r"shape \(2,\)"),
        ({"form": "spikes", "target": "-1 Hz"}, "target = .-1 Hz.; 0 or more"),
    ],
)
def test_bad_circuits(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model.circuit(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gates": (1.0, 0.0, 0.5)}, "Put 0 last"),
        ({"gates": (1.5,)}, "from 0 to 1"),
        ({"gates": ()}, "one or more"),
        ({"levels": (-1.0,)}, "0 Hz or more"),
        ({"balance": "25 s"}, "no multiple"),
    ],
)
def test_bad_protocols(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        gate.protocol([0], **settings)
