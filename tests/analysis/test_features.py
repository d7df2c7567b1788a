"""Activity, sparseness, selectivity and receptive fields against closed forms and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neurocircuits.analysis import (
    activity,
    receptive_fields,
    response_weighted_average,
    selectivity,
    selectivity_measures,
    sparseness,
    treves_rolls,
    vinje_gallant,
)
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(11)


def test_activity() -> None:
    rates = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    result = activity(make_tree(r=rates))
    assert result["power"].values.tolist() == [5.0, 0.0, 2.0]
    assert float(result["median_power"]) == 2.0
    assert result["silent"].values.tolist() == [False, True, False]
    assert int(result["n_silent"]) == 1
    assert result["fraction"].values.tolist() == [1.0, 0.0, 0.5]
    assert float(result["fraction_active"]) == 0.5


@pytest.mark.parametrize("n_on", [1, 3, 10])
def test_sparseness_of_on_off_responses(n_on: int) -> None:
    rates = np.zeros(10)
    rates[:n_on] = 7.0
    fraction = n_on / 10
    assert float(treves_rolls(rates)) == pytest.approx(fraction)
    assert float(vinje_gallant(rates)) == pytest.approx((1 - fraction) / 0.9)


def test_sparseness_of_known_distributions() -> None:
    """<r>^2/<r^2> is 1/2 for exponential rates and 2/pi for half-normal ones."""
    assert float(treves_rolls(RANDOM.exponential(size=400_000))) == pytest.approx(0.5, abs=0.01)
    assert float(treves_rolls(np.abs(RANDOM.normal(size=400_000)))) == pytest.approx(2 / np.pi, abs=0.01)


def test_lifetime_runs_over_presentations_and_population_over_units() -> None:
    rates = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    result = sparseness(make_tree(r=rates))
    np.testing.assert_allclose(result["lifetime"], [0, 1, np.nan])
    np.testing.assert_allclose(result["population"], [1, 1, (1 - (1 / 1) / (5 / 3)) / (2 / 3), 1])
    assert float(result["mean_lifetime"]) == pytest.approx(0.5)
    np.testing.assert_allclose(sparseness(make_tree(r=100 * rates))["population"], result["population"])


def test_selectivity_against_a_loop_and_the_analysis_of_variance() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 0])
    rates = RANDOM.exponential(size=(8, 3))
    response, index, explained = selectivity_measures(rates, labels)
    for i in range(3):
        means = [np.mean([rates[t, i] for t in range(8) if labels[t] == k]) for k in range(3)]
        np.testing.assert_allclose(response[i], means)
        best, others = max(means), sorted(means)[:-1]
        assert index[i] == pytest.approx((best - np.mean(others)) / (best + np.mean(others)))
        f = stats.f_oneway(*(rates[labels == k, i] for k in range(3))).statistic
        assert explained[i] == pytest.approx(f * 2 / (f * 2 + 5))


@pytest.mark.parametrize("names", [[3, 7], ["cat", "dog"], [0.5, 1.5]])
def test_labels_of_any_kind(names: list[object]) -> None:
    labels = np.array(names * 3)
    rates = np.column_stack([labels == names[0], labels == names[1], np.ones(6), np.zeros(6)]).astype(float)
    result = selectivity(make_tree(r=rates, label=labels))
    assert result["class"].values.tolist() == names
    assert result["preferred"].values.tolist()[:2] == names
    np.testing.assert_allclose(result["index"], [1, 1, 0, np.nan])
    np.testing.assert_allclose(result["explained"], [1, 1, np.nan, np.nan])


def test_presentations_without_a_label_do_not_count() -> None:
    labels = np.array([0, 1, -1, -1])
    rates = np.array([[1.0], [0.0], [50.0], [60.0]])
    result = selectivity(make_tree(r=rates, label=labels))
    assert result["class"].values.tolist() == [0, 1]
    assert result["response"].values.tolist() == [[1.0, 0.0]]


def test_receptive_fields_keep_the_order_of_the_inputs() -> None:
    w = np.arange(24.0).reshape(1, 2, 12)
    tree = make_tree(w=w, r=np.ones((3, 2)), a=np.ones((1, 2, 2)), snapshots=["initial"])
    fields = receptive_fields(tree, shape=(3, 4))
    assert fields.dims == ("unit", "row", "column")
    assert float(fields[1, 2, 1]) == 12 + 2 * 4 + 1
    assert receptive_fields(make_tree()).shape == (4, 3, 3)


def test_response_weighted_average_against_a_loop() -> None:
    tree = make_tree()
    r, u = (tree[f"/populations/{name}"]["r"].values for name in ("E", "S"))
    average = response_weighted_average(tree)
    for i in range(4):
        expected = sum(r[t, i] * u[t] for t in range(12)) / sum(r[t, i] for t in range(12))
        np.testing.assert_allclose(average.values[i].ravel(), expected)


def test_response_weighted_average_joins_by_presentation() -> None:
    """Joining by position would pair responses with the wrong stimuli when one population was thinned."""
    tree = make_tree()
    whole = response_weighted_average(tree).values
    source = tree["/populations/S"].to_dataset().isel(time=[2, 3, 5, 7])
    tree["/populations/S"].dataset = source
    r = tree["/populations/E"]["r"].values[[2, 3, 5, 7]]
    expected = (r.T @ source["r"].values) / r.sum(axis=0)[:, None]
    average = response_weighted_average(tree).values.reshape(4, -1)
    np.testing.assert_allclose(average, expected)
    assert not np.allclose(average, whole.reshape(4, -1))


def test_silent_units_have_no_average() -> None:
    rates = np.ones((12, 4))
    rates[:, 2] = 0
    assert np.isnan(response_weighted_average(make_tree(r=rates)).values[2]).all()


def no_presentation_in_common() -> None:
    tree = make_tree()
    tree["/populations/S"].dataset = (
        tree["/populations/S"].to_dataset().assign_coords(presentation=("time", np.arange(50, 62)))
    )
    response_weighted_average(tree)


BAD = {
    "not square": (lambda: receptive_fields(make_tree(), "E_to_I", (3, 3)), "4 inputs do not fill an image of 3 x 3"),
    "no image": (lambda: receptive_fields(make_tree(), "I_to_E"), r"2 inputs do not fill an image of 1 x 1.*shape="),
    "one response": (lambda: vinje_gallant(np.ones((1, 3))), "1 response along axis 0"),
    "one label": (lambda: selectivity(make_tree(label=np.zeros(12, int))), r"two labels or more.*\[0\].*labels="),
    "no labels": (lambda: selectivity(make_tree(label=np.full(12, -1))), r"two labels or more.*\[\]"),
    "disjoint": (no_presentation_in_common, "'E' and 'S' have no recorded presentation in common"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, words = BAD[case]
    with pytest.raises(ValidationError, match=words):
        call()
