"""E-I Net and SAILnet: the declared circuits against plain loops over the authors' update equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import neurocircuits as nc
from neurocircuits.figures import _spiking_features as spiking
from neurocircuits.models import king2013, zylberberg2011
from neurocircuits.simulation import run

IMAGES = np.random.default_rng(0).standard_normal((8, 25))
IMAGES = (IMAGES - IMAGES.mean(1, keepdims=True)) / IMAGES.std(1, keepdims=True)


def test_e_i_net_is_the_published_iteration() -> None:
    """Rejects a decay, a delay of spikes, a sign or a rate of learning that is another, and samples that go on."""
    n_e, n_i, copies, rate = 30, 6, 4, 2.0
    phase = nc.Phase(
        "learn",
        {"X": nc.Patterns(6 * IMAGES, duration=king2013.SAMPLE)},
        restart=king2013.RESTARTED,
        record=nc.Record("n"),
    )
    circuit = king2013.circuit(n_e, n_i, 25, model_rate=rate)
    engine = nc.Brian2(dt="1 ms", method="euler", batch=copies, learning_step="1 ms", target="numpy")
    tree = run(circuit, nc.Protocol([phase]), engine=engine)
    w = {name: tree[f"/synapses/{name}"].ds["w"].values[0].copy() for name in king2013.BLOCKS}
    theta = {"E": np.full(n_e, 2.0), "I": np.full(n_i, 2.0)}
    mean = {"E": np.full(n_e, 0.002), "I": np.full(n_i, 0.004)}
    lasting = {name: np.zeros((copies, len(theta[name]))) for name in theta}
    found: dict[str, list[np.ndarray]] = {"E": [], "I": []}
    a = 1 - np.exp(-0.1)
    for x in (6 * IMAGES[:copies], 6 * IMAGES[copies:]):
        u = {name: np.zeros((copies, len(theta[name]))) for name in theta}
        sent = dict.fromkeys(("E_to_I", "I_to_E", "I_to_I"), 0.0)
        counts, r = ({name: np.zeros_like(u[name]) for name in theta} for _ in range(2))
        for _ in range(50):
            u["E"] = np.exp(-0.1) * u["E"] + 0.1 * x @ w["X_to_E"].T - sent["I_to_E"]
            u["I"] = np.exp(-0.2) * u["I"] + sent["E_to_I"] - sent["I_to_I"]
            s = {name: (u[name] >= theta[name]).astype(float) for name in u}
            for name, each in s.items():
                u[name][each > 0] = 0
                counts[name] += each
                r[name] += a * (each - r[name])
                lasting[name] += a * (each - lasting[name])
            sent = {name: s[name[0]] @ w[name].T for name in sent}  # by weights as they are when units fire
            # a hundred copies in the program: what the mean of the copies says, a hundred times
            scale = {name: 100 * 0.1 * rate * block for name, block in king2013.BLOCKS.items()}
            both = {"E_to_I": ("I", "E"), "I_to_E": ("E", "I"), "I_to_I": ("I", "I")}
            change = {
                name: r[post].T @ r[pre] / copies - np.outer(mean[post], mean[pre]) * (1 + w[name])
                for name, (post, pre) in both.items()
            }
            oja = r["E"].T @ (0.02 * x) / copies - (r["E"] ** 2).mean(0)[:, None] * w["X_to_E"]
            w["X_to_E"] += scale["X_to_E"] * oja
            for name, each in change.items():
                w[name] = np.maximum(w[name] + scale[name] * each, 0)
            np.fill_diagonal(w["I_to_I"], 0)
            for name, target in (("E", 0.02), ("I", 0.04)):
                theta[name] = theta[name] + 0.01 * rate * 10 * (lasting[name].mean(0) * 10 - target)
                mean[name] = mean[name] + 1e-3 / 0.05 * (r[name].mean(0) - mean[name])
        for name in found:
            found[name].append(counts[name])
    for name, parts in found.items():
        np.testing.assert_array_equal(tree[f"/populations/{name}"].ds["n"].values, np.concatenate(parts))
        np.testing.assert_allclose(tree[f"/slow/{name}"].ds["theta"].values[-1], theta[name], rtol=1e-9)
    assert min(part.sum() for part in (*found["E"], *found["I"])) > 3
    for name, weights in w.items():
        np.testing.assert_allclose(tree[f"/synapses/{name}"].ds["w"].values[-1], weights, rtol=1e-9, atol=1e-12)


def test_sailnet_is_the_published_iteration() -> None:
    """Rejects learning before the end of an image, from a mean over steps, or with self-inhibition."""
    phase = nc.Phase(
        "learn", {"X": nc.Patterns(IMAGES)}, restart=True, timetable=zylberberg2011.TIMETABLE, record=nc.Record("r")
    )
    engine = nc.Brian2(dt="1 ms", method="euler", batch=4, learning_step="1 ms", target="numpy")
    tree = run(zylberberg2011.circuit(20, 25), nc.Protocol([phase]), engine=engine)
    q, w, theta = tree["/synapses/X_to_E"].ds["w"].values[0].copy(), np.zeros((20, 20)), np.full(20, 2.0)
    counts = []
    for x in (IMAGES[:4], IMAGES[4:]):
        u, s, y = np.zeros((4, 20)), np.zeros((4, 20)), np.zeros((4, 20))
        for _ in range(50):
            u = 0.9 * u + 0.1 * (x @ q.T - s @ w.T)
            s = (u >= theta).astype(float)
            u[s > 0] = 0
            y += s
        counts.append(y)
        w_new = np.maximum(w + (y.T @ y / 4 - 0.05**2), 0)
        q = q + 0.01 * (y.T @ x / 4 - (y**2).mean(0)[:, None] * q)
        theta = theta + 0.1 * (y.mean(0) - 0.05)
        w = w_new * (1 - np.eye(20))
    np.testing.assert_array_equal(tree["/populations/E"].ds["r"].values, np.concatenate(counts))
    assert counts[1].sum() > 3
    for found, expected in (
        (tree["/synapses/X_to_E"].ds["w"].values[-1], q),
        (tree["/synapses/E_to_E"].ds["w"].values[-1], w),
        (tree["/slow/E"].ds["theta"].values[-1], theta),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_raster_says_when_units_fired_and_are_inhibited() -> None:
    """Rejects spikes that are put into another presentation, iteration or unit."""
    images = {"X": nc.Patterns(6 * IMAGES, duration=king2013.SAMPLE)}
    circuit = king2013.circuit(30, 6, 25, targets=(0.2, 0.4))
    engine = nc.Brian2(dt="1 ms", method="euler", batch=4, learning_step="5 ms", target="numpy")

    def recorded(**settings: Any) -> xr.DataTree:
        record = nc.Record("n", "g", spikes=True, **settings)
        learn = nc.Phase("learn", images, 40, restart=king2013.RESTARTED)
        probe = nc.Phase("probe", images, plasticity=False, restart=king2013.RESTARTED, record=record)
        return run(circuit, nc.Protocol([learn, probe]), engine=engine)

    tree, within = recorded(), recorded(interval="1 ms")["/populations/E"].ds
    fired = {name: spiking.raster(tree, name, 7) for name in ("E", "I")}
    assert fired["E"].shape == (7, 50, 30) and min(each.sum() for each in fired.values()) > 50
    w = tree["/synapses/I_to_E"].ds["w"].values[-1]
    assert (w > 0).sum() > 10
    for row in range(7):
        own = within.isel(time=np.flatnonzero(within["presentation"].values == 320 + row))
        np.testing.assert_array_equal(own["n"], fired["E"][row].cumsum(axis=0))
        np.testing.assert_allclose(own["g"], fired["I"][row] @ w.T, rtol=1e-9, atol=1e-12)
