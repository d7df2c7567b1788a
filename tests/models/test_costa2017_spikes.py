"""The subLSTM column in spikes: against the discrete cell, within what the numbers of spikes let one know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

import neurocircuits as nc
from neurocircuits.errors import ValidationError
from neurocircuits.models import costa2017, costa2017_spikes
from tests.references import columns

D, PEAK, TAU, DT, N = 0.1, 200.0, 2e-3, 2e-4, 200
CHANCE = 1e-5  # that a right program fails a comparison


def ran(shown: nc.Protocol, n: int = 1, seed: int = 0, circuit: nc.Circuit | None = None, **settings: Any) -> Any:
    circuit = costa2017_spikes.circuit(**settings) if circuit is None else circuit
    return nc.run(circuit, shown, nc.Brian2(dt=DT, batch=n, tolerance=None), seed=seed, progress=False)


def told(gates: dict[str, Any], n: int, seed: int = 0, n_columns: int = 1, **settings: Any) -> dict[str, np.ndarray]:
    """c and h of n copies that are shown the same gates, (time,) each, (time, n, n_columns)."""
    each = {name: np.reshape(value, (-1, 1, 1)) * np.ones((1, n, n_columns)) for name, value in gates.items()}
    tree = ran(costa2017_spikes.protocol(**each), n, seed, n_columns=n_columns, **settings)
    return costa2017_spikes.outputs(tree, n, n_columns, dt=DT)


def check_normal(deviations: np.ndarray, variance: Any) -> None:
    """Means and squares of independent deviations are those of their variance, either way."""
    score = np.ravel(deviations / np.sqrt(variance))
    low, high = chi2.ppf([CHANCE / 4, 1 - CHANCE / 4], score.size)
    assert abs(score.mean()) * np.sqrt(score.size) < norm.ppf(1 - CHANCE / 4), score.mean()
    assert low < (score**2).sum() < high, (score**2).mean()


def drawn(n_time: int, seed: int) -> dict[str, np.ndarray]:
    """Gates that first write up to about 2, so that there is much to forget, and then are any."""
    rng = np.random.default_rng(seed)
    low, high = np.repeat([0.7, 0.0], [3, n_time - 3]), np.repeat([0.0, 0.7], [3, n_time - 3])
    gates = {"z": rng.uniform(low, 1), "i": rng.uniform(0, high + 0.3), "o": rng.uniform(0, 1, n_time)}
    return gates | {"f": np.append(np.ones(3), rng.uniform(0.3, 1, n_time - 3))}


def recursion(gates: dict[str, np.ndarray]) -> np.ndarray:
    c, found = 0.0, []
    for z, i, f in zip(*(gates[name] for name in "zif"), strict=True):
        c = f * c + z - i
        found.append(c)
    return np.array(found)


def test_the_memory_is_the_discrete_one_and_its_noise_that_of_the_spikes() -> None:
    """Rejects a flipped gate, a leak that is not f, a charge that depends on f, noise of other numbers of spikes."""
    gates, n = drawn(8, seed=1), 12
    c = told(gates, n)["c"][..., 0]
    spikes, before, under_way = N * PEAK * D, np.zeros(n), np.zeros((2, n))
    deviations, variances = [], []
    for k, found in enumerate(c):
        now = {name: np.full(n, value[k]) for name, value in gates.items()}
        mean, variance, under_way = columns.counted(before, under_way, now, spikes, TAU / D)
        deviations.append(found - mean)
        variances.append(variance)
        before = found
    check_normal(np.array(deviations), np.array(variances))
    # what the reference leaves to be doubted: that it tends to the recursion, but for what is still under way
    mean, total, under_way, late = np.zeros(1), np.zeros(1), np.zeros((2, 1)), 0.0
    for k, expected in enumerate(recursion(gates)):
        now = {name: value[k : k + 1] for name, value in gates.items()}
        f, shown = now["f"][0], np.array([now["z"] - now["i"], -np.log(now["f"])])
        change = abs(shown - under_way)[:, 0]
        late = f * late + TAU / D * (change[0] + change[1] * max(abs(mean[0]), 1)) / (1 + np.log(f) * TAU / D)
        kept = f**2 * total
        mean, total, under_way = columns.counted(mean, under_way, now, spikes, TAU / D)
        total = total + kept
        assert abs(mean[0] - expected) < late + 1e-3
        assert abs(c[k].mean() - expected) < late + 4.5 * np.sqrt(total[0] / n)


def test_the_error_falls_as_one_over_the_square_root_of_the_pool() -> None:
    """Rejects one spike train for a whole pool, whose noise stays, and noise that is counted once for each cell."""
    gates = {"z": [0.7, 0.1, 0.5], "i": [0.2, 0.6, 0.5], "f": [1.0, 1.0, 1.0]}
    u = np.subtract(gates["z"], gates["i"])
    expected = np.cumsum(u) - TAU / D * u  # f = 1: what is under way at the end is not there yet
    errors = {}
    for n_pool in (20, 180):
        steps = np.diff(told(gates, 40, n_pool=n_pool)["c"][..., 0] - expected[:, None], axis=0, prepend=0.0)
        variance = np.add(gates["z"], gates["i"])[:, None] / (n_pool * PEAK * D)
        check_normal(steps, variance * np.ones(40))
        errors[n_pool] = np.sqrt((steps**2).mean())
    assert errors[20] / errors[180] == pytest.approx(3, rel=4 / np.sqrt(120))


def test_a_balanced_gate_passes_no_signal_but_the_noise_of_both_pools() -> None:
    """Rejects a gate that scales or leaks; says what balance costs: c walks at random, and silence is free."""
    balanced = told({"z": [0.2, 0.9, 0.6], "i": [0.2, 0.9, 0.6]}, 40)["c"][..., 0]
    check_normal(balanced[-1], 2 * 1.7 / (N * PEAK * D))
    silent = told({"z": [0.0, 0.0], "i": [0.0, 0.0]}, 2)["c"]
    assert (silent == 0).all()
    opened = told({"z": [0.2, 0.9, 0.6], "i": [0.0, 0.0, 0.0]}, 2)["c"][-1]  # without inhibition all of z gets in
    assert (np.abs(opened - 1.7 + TAU / D * 0.6) < 4.5 * np.sqrt(1.7 / (N * PEAK * D))).all()


def test_the_output_gate_is_shut_by_balance_and_opens_by_disinhibition() -> None:
    """Rejects h that misses o or sigma, inhibition that divides, a shut gate that shows c, and C that do not spike."""
    for written in (-0.9, 0.9):
        a = columns.sigma(np.array(written))
        gates = {
            "z": [max(written, 0.0), 0, 0, 0, 0],
            "i": [max(-written, 0.0), 0, 0, 0, 0],
            "o": [0.5, a, a, a / 2, 0.0],
        }
        found = told(gates, 8)
        for k, each in enumerate(gates["o"]):
            if k > 1:  # the first is written, in the second what is under way arrives
                kept = columns.sigma(found["c"][k])
                window = D - 1 / 100  # intervals begin and end with a spike; cells H fire at 100 Hz or more
                check_normal(found["h"][k] - (kept - each), (kept + each) / (N * PEAK * window))
        assert np.abs(found["h"][2]).max() < 0.15 and found["h"][4].min() > 0.2


def test_columns_beside_each_other_do_not_touch() -> None:
    """Rejects synapses between columns, and gates that are shown to another one."""
    z, o = np.array([0.9, 0.0, 0.3]), np.array([0.0, 0.3, 0.9])
    shown = costa2017_spikes.protocol(z * [[[1.0]], [[0.0]]], 0.0, o)
    found = costa2017_spikes.outputs(ran(shown, n_columns=3, n_pool=60), 1, 3, dt=DT)
    c, h = found["c"][-1, 0], found["h"][-1, 0]
    assert (np.abs(c - z) <= 5 * np.sqrt(z / (60 * PEAK * D))).all()
    assert (np.abs(h - columns.sigma(c) + o) < 5 * np.sqrt((columns.sigma(c) + o) / (60 * PEAK * (D - 0.01)))).all()


def test_all_signs_are_legal() -> None:
    """Rejects signed weights or currents, and a synapse of either sign on a current of the other."""
    circuit = costa2017_spikes.adder(n_pool=30)
    record = nc.Record("slow_e", "slow_i", "s_e", "s_i", "g", populations=("C",), interval="10 ms")
    shown = costa2017_spikes.protocol([[[0.9]], [[0.0]]], [[[0.0]], [[0.9]]], 0.5, 0.5, record=record)
    tree = ran(replace(shown, weights=None), n_pool=30)
    assert circuit.dale == "enforced" and tree.attrs["dale_violations"] == 0 and tree.attrs["unconstrained"] == 0
    assert {p.name for p in circuit.populations if p.sign == "inhibitory"} == {"I", "O", "L", "X_relay"}
    assert all((node.ds["w"].values >= 0).all() for node in tree["/synapses"].children.values() if "w" in node.ds)
    data = tree["/populations/C"].ds
    assert all((data[name].values >= 0).all() for name in record.variables)
    first = data["time"].values <= D + 1e-9
    assert (data["slow_i"].values[first] == 0).all() and (data["slow_e"].values[first][-1] > 0.4).all()
    assert data["slow_e"].values[-1].max() < data["slow_e"].values[first][-1].min()  # z = 0: it only leaks


def test_a_column_of_spikes_masks_and_adds() -> None:
    """Rejects a mask that lets values through, a value that is added twice or with the other sign, noise of no spikes.

    The variance of what is read as 16 h/a is derived: that of c, 1/(N peak D) for each marked value, since z + i is
    nearly 1 there, by sigma' = 1/4; and that of the read-out.
    """
    rng, n, n_hold, a, B = np.random.default_rng(5), 16, 4, 1.0, 20.0
    marks = rng.permuted(np.tile((np.arange(8) < 2).astype(float)[:, None], n), axis=0)
    x = np.stack([rng.uniform(-1, 1, marks.shape), marks], axis=2)
    x = np.concatenate([x, np.zeros((n_hold + 1, n, 2))])
    answer = (x[..., 0] * x[..., 1]).sum(axis=0)
    shown = costa2017.protocol(x, D, recurrence="live", record=costa2017_spikes.RECORD)
    tree = ran(shown, n, circuit=costa2017_spikes.adder(B, a))
    found = costa2017_spikes.outputs(tree, n, dt=DT)
    weights = costa2017.adding_weights(B, a)
    cell = columns.discrete(weights, x)[-1, :, 0]
    spikes = N * PEAK * D
    added = (x[..., 1] * (columns.sigma(a * x[..., 0]) + 0.5)).sum(axis=0)
    c = np.log((cell + 0.5) / (0.5 - cell))
    check_normal(found["c"][-1, :, 0] - c, added / spikes)
    read = found["h"][-n_hold:, :, 0].mean(axis=0)
    slope, window = (0.5 + cell) * (0.5 - cell), n_hold * (D - 1 / 150)
    variance = slope**2 * added / spikes + (cell + 1.0) / (N * PEAK * window)
    check_normal(read - cell, variance)
    check_normal(16 * read / a - answer, (16 / a) ** 2 * variance + 0.045**2)  # the cell's own error, test_costa2017


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: costa2017_spikes.circuit(gain=-1.0), "gain -1.0.*must all be positive"),
        (lambda: costa2017_spikes.circuit(n_pool=0), "n_pool 0.*must all be positive"),
        (lambda: costa2017_spikes.protocol([[[1.2]]]), "'z' of shape .*to 1.2.*each in \\[0, 1\\]"),
        (lambda: costa2017_spikes.protocol([[[1.0]]], f=0.0), "'f'.*f above 0"),
        (lambda: costa2017_spikes.protocol([1.0]), r"shape \(1,\).*\(time, n_sequences, n_columns\)"),
    ],
)
def test_bad_input_gets_a_clear_error(call: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        call()


def test_the_leak_of_a_trained_cell_is_the_one_its_inputs_set() -> None:
    """Rejects a pool L that fires at f, or at -ln f of the negative of its inputs, and relays that add."""
    weights = {f"W_{g}": np.zeros((1, 1)) for g in "zio"} | {f"R_{g}": np.zeros((1, 1)) for g in "zifo"}
    weights |= {"b_z": np.array([30.0]), "b_i": np.array([-30.0]), "b_o": np.zeros(1)}
    weights |= {"W_f": np.array([[-2.0]]), "b_f": np.array([1.0])}
    x = np.array([[[-1.0]], [[1.0]], [[0.4]]]) * np.ones((1, 12, 1))
    shown = costa2017.protocol(x, D, recurrence="live", record=costa2017_spikes.RECORD)
    c = costa2017_spikes.outputs(ran(shown, 12, circuit=costa2017_spikes.circuit(weights=weights)), 12, dt=DT)["c"]
    before, under_way, deviations, variances = np.zeros(12), np.zeros((2, 12)), [], []
    for k, found in enumerate(c[..., 0]):
        now = {"z": np.ones(12), "i": np.zeros(12), "f": columns.sigma(1 - 2 * x[k, :, 0])}
        mean, variance, under_way = columns.counted(before, under_way, now, N * PEAK * D, TAU / D)
        deviations.append(found - mean)
        variances.append(variance)
        before = found
    check_normal(np.array(deviations), np.array(variances))
