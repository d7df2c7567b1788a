"""One way to take samples, weights and slow variables; what is missing is named together with what there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neurocircuits import analysis
from neurocircuits.analysis._select import active, samples, slow, weights
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

OF_POPULATIONS: dict[str, Callable[..., Any]] = {
    name: getattr(analysis, name)
    for name in ("ei_balance", "decorrelation", "activity", "sparseness", "selectivity", "settling_time", "ringing")
}
OF_PATHWAYS: dict[str, Callable[..., Any]] = {
    "receptive_fields": analysis.receptive_fields,
    "nonzero_weights": analysis.nonzero_weights,
    "duplicate_features": analysis.duplicate_features,
    "matched_features": lambda tree, **options: analysis.matched_features(tree, np.eye(9), **options),
}


def two_phases() -> xr.DataTree:
    """Return a tree in which learning (rates 1, 2, 3) and probing (4, 5) were recorded, one unit."""
    rates = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    return make_tree(r=rates, phase=["learn"] * 3 + ["probe"] * 2)


def test_a_phase_is_taken_alone() -> None:
    tree = two_phases()
    assert samples(tree, "E", phase="learn")["r"].values.ravel().tolist() == [1, 2, 3]
    data = samples(tree, "E", ("excitation", "r"), phase="probe")
    assert data["presentation"].values.tolist() == [3, 4]
    assert set(data.data_vars) == {"r", "excitation"}


def test_phases_are_never_mixed_by_default() -> None:
    """A default that took everything would mix activity during learning into the test."""
    with pytest.raises(ValidationError, match=r"several phases: 'learn', 'probe'.*phase="):
        samples(two_phases(), "E")


def test_recordings_at_intervals_are_reduced_to_the_last_sample() -> None:
    tree = make_tree(
        r=[[1.0], [7.0], [10.0], [2.0], [20.0], [6.0]],
        presentation=[1, 0, 2, 1, 2, 0],
        within=[0.1, np.nan, 0.1, 0.2, 0.2, 0.2],
    )
    data = samples(tree, "E")
    assert data["presentation"].values.tolist() == [0, 1, 2]
    assert data["r"].values.ravel().tolist() == [7, 2, 20]
    assert samples(tree, "E", ends=False).sizes["time"] == 6


def test_weights_are_those_at_the_end_of_the_phase() -> None:
    w = np.arange(3)[:, None, None] * np.ones((3, 4, 9))
    tree = make_tree(w=w, a=np.ones((3, 2, 4)), snapshots=["initial", "learn", "learn"])
    assert [float(weights(tree, "S_to_E", phase)[0, 0]) for phase in ("initial", "learn", None)] == [0, 2, 2]


def test_a_tied_pathway_is_the_transpose_of_its_owner() -> None:
    tree = make_tree()
    owner, tied = weights(tree, "E_to_I"), weights(tree, "I_to_E")
    assert tied.dims == ("post", "pre")
    np.testing.assert_array_equal(tied.values, owner.values.T)


def test_a_sparse_pathway_becomes_dense() -> None:
    tree = make_tree()
    old = tree["/synapses/S_to_E"].to_dataset(inherit=False)
    coords = {k: old[k] for k in ("time", "phase")} | {"pre": ("synapse", [8, 0]), "post": ("synapse", [0, 3])}
    tree["/synapses/S_to_E"].dataset = xr.Dataset({"w": (("time", "synapse"), [[1, 2], [3, 4]])}, coords, old.attrs)
    expected = np.zeros((4, 9))
    expected[0, 8], expected[3, 0] = 3, 4
    np.testing.assert_array_equal(weights(tree, "S_to_E").values, expected)


def test_slow_variables() -> None:
    tree = make_tree(gain=[[1, 2, 3, 4], [5, 6, 7, 8]])
    assert slow(tree, "E", "gain").values.tolist() == [5, 6, 7, 8]
    assert slow(tree, "E", "gain", "initial").values.tolist() == [1, 2, 3, 4]


def test_active_is_the_same_for_zero_and_for_almost_zero() -> None:
    """Rates of silent cells decay but never vanish in continuous time: r > 0 would call all of them active."""
    steady = np.array([[0.0, 2.0], [1.0, 0.0]])
    continuous = steady + 1e-5
    np.testing.assert_array_equal(active(continuous), active(steady))
    np.testing.assert_array_equal(active(1e6 * continuous), active(continuous))
    assert active(continuous, 0.0).all()
    assert not active(np.zeros((3, 2))).any()
    assert active(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("name", OF_POPULATIONS)
def test_what_a_population_lacks_is_named(name: str) -> None:
    function = OF_POPULATIONS[name]
    tree = make_tree()
    cases = {
        "X": (tree, {"population": "X"}, ["'/populations/X'", "'S', 'E', 'I'"]),
        "I": (tree, {"population": "I"}, ["population 'I' has no recorded activity", "record=Record("]),
        "phase": (tree, {"phase": "test"}, ["not recorded in a phase 'test'", "recorded phases: 'probe'"]),
        "empty": (make_tree(r=np.zeros((0, 4)), phase=np.array([], "U1")), {}, ["has no recorded activity"]),
        "no tree": (xr.DataTree(), {}, ["it has populations: none"]),
    }
    for case, (given, options, words) in cases.items():
        with pytest.raises(ValidationError) as error:
            function(given, **options)
        assert all(word in str(error.value) for word in words), (case, str(error.value))


@pytest.mark.parametrize("name", OF_PATHWAYS)
def test_what_a_pathway_lacks_is_named(name: str) -> None:
    function = OF_PATHWAYS[name]
    cases = {
        "pathway": ({"pathway": "S_E"}, ["'/synapses/S_E'", "'S_to_E', 'E_to_I', 'I_to_E'"]),
        "phase": ({"phase": "probe"}, ["synapses 'S_to_E'", "'probe'", "'initial', 'learn'"]),
    }
    for case, (options, words) in cases.items():
        with pytest.raises(ValidationError) as error:
            function(make_tree(), **options)
        assert all(word in str(error.value) for word in words), (case, str(error.value))


def test_missing_inputs_and_slow_variables_are_named() -> None:
    tree = make_tree()
    with pytest.raises(
        ValidationError, match=r"population 'S' has no recorded activity of 'excitation', 'inhibition'.*'r'"
    ):
        analysis.ei_balance(tree, "S")
    with pytest.raises(ValidationError, match=r"no 'threshold'; it has 'gain'"):
        slow(tree, "E", "threshold")
    with pytest.raises(ValidationError, match=r"no group '/slow/I'; it has slow: 'E'"):
        slow(tree, "I", "gain")


@pytest.mark.parametrize("name", [n for n in OF_POPULATIONS if n not in ("settling_time", "ringing")])
def test_nothing_depends_on_the_order_of_presentations_or_units(name: str) -> None:
    tree = make_tree()
    order, units = np.random.default_rng(1).permutation(12), np.random.default_rng(2).permutation(4)
    data = tree["/populations/E"].to_dataset()
    shuffled = make_tree(
        **{v: data[v].values[order][:, units] for v in ("r", "excitation", "inhibition")}, label=(order % 3)
    )
    a, b = OF_POPULATIONS[name](tree), OF_POPULATIONS[name](shuffled)
    for variable in a.data_vars:
        expected = a[variable]
        for dim, index in (("unit", units), ("other", units), ("time", order)):
            if dim in expected.dims:
                expected = expected.isel({dim: index})
        tolerance = {"rtol": 1e-9, "atol": 1e-12} if variable != "copositivity" else {"rtol": 0.5}
        np.testing.assert_allclose(b[variable].values, expected.values, **tolerance, err_msg=variable)


@pytest.mark.parametrize("name", [*OF_POPULATIONS, *OF_PATHWAYS])
def test_every_number_has_a_unit_and_a_description(name: str) -> None:
    within = np.tile([0.01, 0.02, 0.03, 0.04], 3)
    tree = make_tree(presentation=np.repeat([0, 1, 2], 4), within=within)
    result = (OF_POPULATIONS | OF_PATHWAYS)[name](tree)
    arrays = [result] if isinstance(result, xr.DataArray) else list(result.data_vars.values())
    assert arrays
    assert all(array.attrs["units"] for array in arrays)


@pytest.mark.parametrize("name", [n for n in OF_POPULATIONS if n not in ("settling_time", "ringing")])
def test_recorded_units_keep_their_numbers(name: str) -> None:
    full = make_tree()
    data = full["/populations/E"].to_dataset()
    chosen = {v: data[v].values[:, [3, 1]] for v in ("r", "excitation", "inhibition")}
    part = make_tree(**chosen, unit=[3, 1], w=np.ones((2, 4, 9)), a=np.ones((2, 2, 4)), gain=np.ones((2, 2)))
    assert OF_POPULATIONS[name](part)["unit"].values.tolist() == [3, 1]


# --- what cannot be measured


@pytest.mark.parametrize("name", ["ei_balance", "decorrelation", "activity", "sparseness"])
def test_rates_that_are_nan_are_refused(name: str) -> None:
    """Rejects counts in which NaN is a silent cell, and the advice to raise the input."""
    rates = np.ones((5, 3))
    rates[2, 1] = np.nan
    with pytest.raises(ValidationError, match=r"population 'E': r is NaN in 1 of 15 places, the first at \[2, 1\]"):
        OF_POPULATIONS[name](make_tree(r=rates))


def test_thresholds_are_fractions() -> None:
    for threshold in (np.nan, -1.0):
        with pytest.raises(ValidationError, match="threshold = .* must be a fraction >= 0"):
            analysis.activity(make_tree(r=np.ones((5, 3))), threshold=threshold)


def test_trees_that_lost_a_dimension_are_told_from_trees_without_a_recording() -> None:
    tree = make_tree(r=np.ones((5, 3)))
    with pytest.raises(ValidationError, match=r"'/populations/E' was reduced to one time.*tree.isel\(time=\[...\]\)"):
        analysis.activity(tree.isel(time=-1))
    assert analysis.activity(tree.isel(time=[-1]))["n_silent"] == 0
    with pytest.raises(ValidationError, match="Dataset is no result tree"):
        analysis.activity(tree["/populations/E"].to_dataset())


ONES = np.ones((4, 3))
UNEQUAL: dict[str, tuple[Callable[[], Any], str]] = {
    "selectivity_measures": (
        lambda: analysis.selectivity_measures(ONES, [0, 1]),
        r"rates \(4, 3\), labels \(2,\) do not fit; give rates \(T, n\), labels \(T\)",
    ),
    "one class": (lambda: analysis.selectivity_measures(ONES, [1] * 4), "1 class among the labels; two or more"),
    "reconstruction_error": (lambda: analysis.reconstruction_error(ONES, ONES, np.ones((2, 3))), "give images"),
    "settled_after": (lambda: analysis.settled_after(np.arange(3), ONES), "do not fit; give times"),
    "nothing settled": (lambda: analysis.settled_after(np.arange(0), ONES[:0]), "no samples"),
    "correlation_peak": (
        lambda: analysis.correlation_peak(np.arange(3), ONES),
        r"lags \(lag\), correlation \(lag, unit\)",
    ),
    "difference": (lambda: analysis.difference(ONES, ONES[0]), r"a \(4, 3\) and b \(3,\); give arrays of one shape"),
    "scale_free_currents": (lambda: analysis.scale_free_currents(ONES, np.ones(4), 3), r"image \(n_inputs\)"),
    "lyapunov": (lambda: analysis.lyapunov(ONES, np.ones(3), 0), "p = 0 must be a positive number"),
    "stability": (lambda: analysis.stability(np.nan * ONES, 1.0, 0.01), "must be .n_I, n_E. and finite"),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_arrays_that_do_not_fit_are_named(case: str) -> None:
    measure, words = UNEQUAL[case]
    with pytest.raises(ValidationError, match=words):
        measure()


def test_leading_dimensions_are_free() -> None:
    """One layer of rows, and snapshots of it."""
    snapshots = np.random.default_rng(0).random((2, 4, 3))
    many = analysis.scale_free_currents(snapshots, np.ones(3), 2)
    np.testing.assert_allclose(many[1], analysis.scale_free_currents(snapshots[1], np.ones(3), 2))
