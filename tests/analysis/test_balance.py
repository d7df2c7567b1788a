"""Excitation-inhibition balance against closed forms, SciPy and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from neurocircuits.analysis import balance_measures, ei_balance
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(5)
MAGNITUDES = st.just(0.0) | st.floats(1e-3, 1e3)


def test_closed_form_of_the_disynaptic_circuit() -> None:
    """Active cells have E - I = Lambda x: with one Lambda the slope is 1 - Lambda <E x>/<E^2>, and it is below 1."""
    lam = 0.3
    rates = RANDOM.exponential(size=(50, 6)) * (RANDOM.random((50, 6)) < 0.4)
    excitation = rates * RANDOM.uniform(1, 3, size=rates.shape) + RANDOM.random(rates.shape)
    inhibition = np.where(rates > 0, excitation - lam * rates, excitation + 1)
    result = ei_balance(make_tree(r=rates, excitation=excitation, inhibition=inhibition), threshold=0)
    e, x = excitation[rates > 0], rates[rates > 0]
    assert float(result["slope"]) == pytest.approx(1 - lam * np.mean(e * x) / np.mean(e * e), rel=1e-12)
    assert float(result["n_active"]) == np.count_nonzero(rates)
    assert float(result["index_mean"]) == pytest.approx(lam * x.sum() / (2 * e - lam * x).sum(), rel=1e-12)


def test_against_scipy_and_a_plain_loop() -> None:
    tree = make_tree()
    data = tree["/populations/E"].to_dataset()
    inhibition = RANDOM.exponential(size=(12, 4))
    data["inhibition"] = (("time", "unit"), inhibition)
    tree["/populations/E"].dataset = data
    result = ei_balance(tree, threshold=0)
    pairs = [
        (data["excitation"].values[t, i], inhibition[t, i], i)
        for t in range(12)
        for i in range(4)
        if data["r"].values[t, i] > 0
    ]
    e, k, unit = (np.array(column) for column in zip(*pairs, strict=True))
    assert float(result["slope"]) == pytest.approx(optimize.curve_fit(lambda x, a: a * x, e, k)[0][0], rel=1e-6)
    assert float(result["correlation"]) == pytest.approx(stats.pearsonr(e, k).statistic, rel=1e-12)
    assert float(result["index_time"]) == pytest.approx(np.mean(abs(e - k)) / np.mean(e + k), rel=1e-12)
    assert float(result["ei_ratio"]) == pytest.approx(e.mean() / (e.mean() + k.mean()), rel=1e-12)
    for i in range(4):
        assert float(result["unit_n_active"][i]) == np.sum(unit == i)
        mine = stats.pearsonr(e[unit == i], k[unit == i]).statistic
        assert float(result["unit_correlation"][i]) == pytest.approx(mine, rel=1e-9)


def test_inactive_pairs_do_not_count() -> None:
    """Silent cells have more inhibition than excitation; including them would hide the balance of the active ones."""
    rates = np.array([[1.0, 0.0], [2.0, 0.0]])
    tree = make_tree(r=rates, excitation=[[2.0, 1.0], [4.0, 1.0]], inhibition=[[1.0, 9.0], [2.0, 9.0]])
    result = ei_balance(tree)
    assert float(result["slope"]) == 0.5
    assert np.isnan(result["unit_slope"].values[1])
    assert float(result["unit_n_active"][1]) == 0


def test_slowly_decaying_cells_of_continuous_time_do_not_count_either() -> None:
    rates = np.array([[1.0, 1e-5], [2.0, 1e-5]])
    tree = make_tree(r=rates, excitation=[[2.0, 1.0], [4.0, 1.0]], inhibition=[[1.0, 9.0], [2.0, 9.0]])
    assert float(ei_balance(tree)["slope"]) == 0.5
    assert float(ei_balance(tree, threshold=0)["slope"]) > 1


@given(
    st.lists(st.tuples(MAGNITUDES, MAGNITUDES), min_size=3, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_invariances(pairs: list[tuple[float, float]], scale: float) -> None:
    e, i = np.array(pairs).T
    one, other = balance_measures(e, i), balance_measures(scale * e, scale * i)
    for name in ("slope", "index_time", "index_mean", "ei_ratio"):
        assert other[name] == pytest.approx(one[name], rel=1e-6, abs=1e-9, nan_ok=True)
    if e.sum() + i.sum() > 0:
        assert 0 <= one["index_mean"] <= one["index_time"] + 1e-12 <= 1 + 2e-12
        swapped = balance_measures(i, e)
        assert swapped["index_time"] == pytest.approx(one["index_time"], rel=1e-9)


def test_perfect_and_no_balance() -> None:
    e = np.array([1.0, 2.0, 5.0])
    perfect, none = balance_measures(e, e), balance_measures(e, 0 * e)
    assert (perfect["slope"], perfect["index_time"], perfect["ei_ratio"]) == (1, 0, 0.5)
    assert perfect["correlation"] == pytest.approx(1)
    assert (none["slope"], none["index_time"], none["index_mean"], none["ei_ratio"]) == (0, 1, 1, 1)
    assert np.isnan(none["correlation"])


def test_mean_balance_can_hide_what_happens_in_time() -> None:
    result = balance_measures(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
    assert (result["index_mean"], result["index_time"]) == (0, 0.5)
    assert result["correlation"] == pytest.approx(-1)


def test_no_active_cells() -> None:
    with pytest.raises(ValidationError, match=r"'E' has no active cells in 12 presentations.*Raise the input"):
        ei_balance(make_tree(r=np.zeros((12, 4))))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValidationError, match=r"\(3,\) and inhibition \(2,\)"):
        balance_measures(np.ones(3), np.ones(2))
