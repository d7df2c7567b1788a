"""Copies of spiking populations on shared weights: what they deliver and learn, against single runs and plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neurocircuits as nc
from neurocircuits.errors import UnsupportedError, ValidationError
from neurocircuits.simulation import resume, run

N_S, N_E, N_I, DT = 20, 20, 8, 1e-3
IMAGES = np.random.default_rng(1).uniform(0, 3, (6, N_S))
FEED = np.random.default_rng(2).uniform(0, 0.6, (N_I, N_E))
BACK = np.random.default_rng(3).uniform(0, 0.3, (N_E, N_I))
DRIFT = nc.Rule("eta*(r_post*r_pre - w)", {"eta": "4 Hz"})


def circuit(rule: nc.Rule | None = None, **feed: Any) -> nc.Circuit:
    """Return cells E that sources drive and cells I that balance them; a spike counts in the step after it."""
    pulse = "dg/dt = -g/ms : 1 (input)\ndr/dt = -r/(10*ms) : 1"
    own = {"threshold": "u >= theta", "reset": "u = 0\nr += 1"}
    return nc.Circuit(
        "copies",
        [
            nc.Population("S", N_S),
            nc.Population(
                "E",
                N_E,
                f"du/dt = (drive - u)/(10*ms) + g/ms : 1\ndtheta/dt = rate*(r - 0.2) : 1 (slow)\n{pulse}",
                parameters={"rate": "2 Hz"},
                initial={"theta": 1.0},
                **own,
            ),
            nc.Population("I", N_I, f"du/dt = -u/(5*ms) + g/ms : 1\ntheta = 1 : 1\n{pulse}", sign="inhibitory", **own),
        ],
        [
            nc.Synapses("S", "E", connectivity=nc.OneToOne()),
            nc.Synapses("E", "I", weights=nc.Given(FEED), rule=rule, **feed),
            nc.Synapses("I", "E", weights=nc.Given(BACK)),
        ],
    )


def shown(restart: bool = True, plasticity: bool = False) -> nc.Protocol:
    """Return a protocol that shows six images for 50 ms each and records everything."""
    images = {"S": nc.Patterns(IMAGES, duration="50 ms")}
    record = nc.Record("u", "r", "g", spikes=True)
    return nc.Protocol([nc.Phase("shown", images, restart=restart, plasticity=plasticity, record=record)])


def told(batch: int, plasticity: bool = False, **settings: Any) -> xr.DataTree:
    """Run with so many copies."""
    engine = nc.Brian2(dt=DT, batch=batch, target="numpy", learning_step=DT, method="euler")
    return run(circuit(**settings), shown(plasticity=plasticity), engine=engine)


def loop(batch: int, learn: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return spike counts of E and I, thresholds and weights of a plain loop over the same steps."""
    feed, theta, counts = FEED.copy(), np.ones(N_E), {"E": np.zeros((6, N_E)), "I": np.zeros((6, N_I))}
    for first in range(0, 6, batch):
        rows = slice(first, first + batch)
        u = {"E": np.zeros((batch, N_E)), "I": np.zeros((batch, N_I))}
        g, r = ({name: np.zeros_like(each) for name, each in u.items()} for _ in range(2))
        for _ in range(50):
            u["E"] += DT / 0.01 * (IMAGES[rows] - u["E"]) + g["E"]
            u["I"] += -DT / 0.005 * u["I"] + g["I"]
            spikes = {"E": u["E"] >= theta, "I": u["I"] >= 1.0}
            g = {"I": spikes["E"] @ feed.T, "E": -(spikes["I"] @ BACK.T)}
            for name, fired in spikes.items():
                counts[name][rows] += fired
                u[name][fired] = 0
                r[name] = r[name] * (1 - DT / 0.01) + fired
            if learn:
                feed = np.maximum(feed + DT * 4 * (r["I"].T @ r["E"] / batch - feed), 0)
                theta = theta + DT * 2 * (r["E"].mean(0) - 0.2)
    return counts["E"], counts["I"], theta, feed


def fired(tree: xr.DataTree, name: str, n_units: int) -> np.ndarray:
    """Return how often each unit fired in each presentation."""
    spikes, counts = tree[f"/spikes/{name}"].ds, np.zeros((6, n_units))
    row = spikes["presentation"].values if "presentation" in spikes else np.ceil(spikes["time"].values / 0.05) - 1
    np.add.at(counts, (np.asarray(row, int), spikes["unit"].values), 1)
    return counts


@pytest.mark.parametrize("settings", [{}, {"delay": "3 ms"}, {"connectivity": nc.Probability(0.5)}])
def test_copies_are_what_one_network_is_shown_one_by_one(settings: dict[str, Any]) -> None:
    """Rejects spikes that reach another copy, come early or late, stay on their way, or reach synapses that are not."""
    one, three = told(1, **settings), told(3, **settings)
    for name in ("E", "I"):
        for variable in ("u", "r", "g"):
            a, b = (tree[f"/populations/{name}"].ds[variable].values for tree in (one, three))
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    assert len(one["/spikes/I"].ds["unit"]) == len(three["/spikes/I"].ds["unit"]) > 50


@pytest.mark.parametrize("batch", [1, 3])
def test_copies_learn_on_their_mean_as_a_plain_loop_does(batch: int) -> None:
    """Rejects learning from one copy alone or from their sum, from values of another step, and a wrong order."""
    tree = told(batch, plasticity=True, rule=DRIFT)
    n_e, n_i, theta, feed = loop(batch, learn=True)
    np.testing.assert_allclose(tree["/synapses/E_to_I"].ds["w"].values[-1], feed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tree["/slow/E"].ds["theta"].values[-1], theta, rtol=0, atol=1e-12)
    assert abs(theta - 1).max() > 0.05
    if batch > 1:
        np.testing.assert_array_equal(fired(tree, "E", N_E), n_e)
        np.testing.assert_array_equal(fired(tree, "I", N_I), n_i)


def test_a_resumed_run_of_copies_equals_the_unbroken_one(tmp_path: Path) -> None:
    """Rejects a checkpoint without spikes on their way or without one of the copies."""
    engine = nc.Brian2(dt=DT, batch=2, target="numpy", learning_step=DT, method="euler")
    told_circuit, protocol = circuit(DRIFT, delay="7 ms"), shown(restart=False, plasticity=True)
    whole = run(told_circuit, protocol, engine=engine)

    def stop(simulation: object, n_presentations: int) -> bool:
        if n_presentations == 4:
            raise RuntimeError("stopped")
        return False

    place = {"checkpoint": tmp_path / "checkpoint", "checkpoint_every": 0.0, "watch_every": 1}
    with pytest.raises(nc.RunError):
        run(told_circuit, protocol, engine=engine, watch=stop, **place)
    again = resume(tmp_path / "checkpoint")
    for name, variable in (("/synapses/E_to_I", "w"), ("/populations/I", "g"), ("/spikes/E", "time")):
        np.testing.assert_array_equal(whole[name].ds[variable].values, again[name].ds[variable].values)


def test_a_restart_names_what_it_restarts() -> None:
    """Rejects a restart of all where one variable is named, and a name that is silently not there."""
    images = {"S": nc.Patterns(np.ones((2, N_S)) * 0.9, duration="20 ms")}
    engine = nc.Brian2(dt=DT, target="numpy", method="euler")
    record = nc.Record("u", "g")
    for restart, same in ((["E.u"], True), (["I"], False), (False, False)):
        phase = nc.Phase("shown", images, restart=restart, plasticity=False, record=record)
        u = run(circuit(), nc.Protocol([phase]), engine=engine)["/populations/E"].ds["u"].values
        assert np.array_equal(u[0], u[1]) == same
    with pytest.raises(ValidationError, match=r"'E\.v' is neither a population .* Known: 'E', 'E\.g', 'E\.r', 'E\.u'"):
        run(circuit(), nc.Protocol([nc.Phase("p", images, restart=["E.v"])]), engine=engine)


def test_what_has_one_copy_is_refused_with_the_reason() -> None:
    """Rejects synapses that learn with each spike, or tire, in copies that share them."""
    with pytest.raises(UnsupportedError, match=r"'E_to_I' learn with each spike.* batch=1, or a rule with a drift"):
        told(3, rule=nc.PairSTDP(0.01, 0.012, "17 ms", "34 ms"))
    with pytest.raises(UnsupportedError, match=r"'E_to_I' have short-term plasticity"):
        told(3, short_term=nc.TsodyksMarkram(0.5, "100 ms"))
    with pytest.raises(UnsupportedError, match=r"transmit spikes and learn by a drift.*\n.*restarts"):
        run(circuit(DRIFT), shown(), engine=nc.Brian2(dt=DT, device="cpp_standalone"))
