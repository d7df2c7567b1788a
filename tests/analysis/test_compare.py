"""Comparison of trees: known differences come out, and only what belongs together is compared."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurocircuits.analysis import compare, difference
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(2)


def entry(result: xr.DataTree, variable: str, phase: str) -> xr.Dataset:
    root = result.to_dataset()
    rows = np.flatnonzero((root["variable"] == variable) & (root["phase"] == phase))
    assert rows.size == 1
    return root.isel(entry=int(rows[0]))


def test_a_tree_equals_itself() -> None:
    result = compare(make_tree(), make_tree()).to_dataset()
    assert (result["rms"] == 0).all()
    assert (result["relative"] == 0).all()
    assert set(zip(result["variable"].values.tolist(), result["phase"].values.tolist(), strict=True)) == {
        ("/populations/S/r", "probe"),
        *((f"/populations/E/{name}", "probe") for name in ("r", "excitation", "inhibition")),
        *(
            (name, phase)
            for name in ("/slow/E/gain", "/synapses/S_to_E/w", "/synapses/E_to_I/w")
            for phase in ("initial", "learn")
        ),
    }


def test_rates_against_numpy_and_scipy() -> None:
    a, b = RANDOM.random((9, 3)), RANDOM.random((9, 3))
    result = compare(make_tree(r=a), make_tree(r=b))
    row = entry(result, "/populations/E/r", "probe")
    assert float(row["rms"]) == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert float(row["largest"]) == pytest.approx(abs(a - b).max())
    assert float(row["relative"]) == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(a))
    assert float(row["correlation"]) == pytest.approx(stats.pearsonr(a.ravel(), b.ravel()).statistic)
    assert (int(row["n_samples"]), int(row["n_units"])) == (9, 3)
    per_unit = result["/populations/E/r"].to_dataset()
    assert per_unit.sizes == {"phase": 1, "unit": 3}
    for i in range(3):
        assert float(per_unit["rms"][0, i]) == pytest.approx(np.sqrt(np.mean((a[:, i] - b[:, i]) ** 2)))
        assert float(per_unit["correlation"][0, i]) == pytest.approx(stats.pearsonr(a[:, i], b[:, i]).statistic)


def test_weights_per_phase_and_post() -> None:
    w = RANDOM.random((2, 4, 9))
    changed = w.copy()
    changed[1, 2] *= 1.1
    result = compare(make_tree(w=w), make_tree(w=changed))
    assert float(entry(result, "/synapses/S_to_E/w", "initial")["rms"]) == 0
    per_unit = result["/synapses/S_to_E/w"].to_dataset()
    assert per_unit["phase"].values.tolist() == ["initial", "learn"]
    np.testing.assert_allclose(per_unit["relative"].values, [[0, 0, 0, 0], [0, 0, 0.1, 0]], atol=1e-12)


def test_presentations_are_joined_by_their_number() -> None:
    """A comparison by position would see differences between equal runs that recorded other presentations."""
    r = RANDOM.random((12, 4))
    thin = make_tree(r=r[::3], presentation=np.arange(0, 12, 3))
    row = entry(compare(make_tree(r=r), thin), "/populations/E/r", "probe")
    assert float(row["rms"]) == 0
    assert int(row["n_samples"]) == 4


def test_order_of_rows_does_not_matter() -> None:
    r, order = RANDOM.random((12, 4)), RANDOM.permutation(12)
    row = entry(compare(make_tree(r=r), make_tree(r=r[order], presentation=order)), "/populations/E/r", "probe")
    assert float(row["rms"]) == 0


def test_recordings_at_intervals_compare_with_recordings_at_the_end() -> None:
    end = RANDOM.random((3, 4))
    path = np.concatenate([0.5 * end, end])
    dense = make_tree(r=path, presentation=np.tile(np.arange(3), 2), within=np.repeat([0.05, 0.1], 3))
    assert float(entry(compare(make_tree(r=end), dense), "/populations/E/r", "probe")["rms"]) == 0


def test_the_last_snapshots_of_a_phase_belong_together() -> None:
    w = RANDOM.random((3, 4, 9))
    fine = make_tree(w=w, a=np.ones((3, 2, 4)), gain=np.ones((3, 4)), snapshots=["initial", "learn", "learn"])
    coarse = make_tree(w=w[[0, 2]], a=np.ones((2, 2, 4)))
    row = entry(compare(fine, coarse), "/synapses/S_to_E/w", "learn")
    assert float(row["rms"]) == 0
    assert int(row["n_samples"]) == 1


def test_units_are_joined_by_their_number() -> None:
    r = RANDOM.random((5, 4))
    part = make_tree(r=r[:, [3, 1]], unit=[3, 1], w=np.ones((2, 4, 9)), a=np.ones((2, 2, 4)), gain=np.ones((2, 2)))
    result = compare(make_tree(r=r), part)
    per_unit = result["/populations/E/r"].to_dataset()
    assert per_unit["unit"].values.tolist() == [1, 3]
    assert (per_unit["rms"] == 0).all()


def test_what_only_one_has_is_named() -> None:
    a, b = make_tree(), make_tree()
    del b["slow"]
    b["/populations/E"].dataset = b["/populations/E"].to_dataset().drop_vars("inhibition")
    result = compare(a, b)
    assert result.attrs["only_a"] == ["/populations/E/inhibition", "/slow/E/gain"]
    assert result.attrs["only_b"] == []


def test_difference_of_zeros_and_constants() -> None:
    zeros, ones = np.zeros(3), np.ones(3)
    assert float(difference(zeros, zeros)["relative"]) == 0
    assert float(difference(zeros, ones)["relative"]) == np.inf
    assert float(difference(ones, zeros)["relative"]) == 1
    assert np.isnan(difference(ones, ones)["correlation"])


def test_swapping_changes_only_the_reference() -> None:
    a, b = RANDOM.random(20), 3 * RANDOM.random(20)
    forward, back = difference(a, b), difference(b, a)
    for name in ("rms", "largest", "correlation"):
        assert float(forward[name]) == pytest.approx(float(back[name]))
    assert float(forward["relative"]) > float(back["relative"])


def other_phase() -> xr.DataTree:
    return make_tree(phase="test", snapshots=["start", "train"])


BAD = {
    "other phases": (
        make_tree,
        other_phase,
        ["nothing to compare", "a has", "'/synapses/S_to_E/w'", "'probe'", "'train'"],
    ),
    "empty tree": (make_tree, xr.DataTree, ["nothing to compare", "b has none in phases none"]),
    "other size": (
        make_tree,
        lambda: make_tree(w=np.ones((2, 4, 16))),
        ["'/populations/S/r' cannot be compared", "'unit': 9", "'unit': 16", "circuits differ"],
    ),
    "no unit in common": (
        lambda: make_tree(r=np.ones((3, 1)), unit=[0]),
        lambda: make_tree(r=np.ones((3, 1)), unit=[1]),
        ["'/populations/E/r' cannot be compared", "no unit in common"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    a, b, words = BAD[case]
    with pytest.raises(ValidationError) as error:
        compare(a(), b())
    assert all(word in str(error.value) for word in words), str(error.value)
