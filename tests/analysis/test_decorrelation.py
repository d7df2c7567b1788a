"""Cosines and their bound against scikit-learn, NumPy and circuits whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from neurocircuits.analysis import (
    bound_excess,
    copositivity,
    copositivity_form,
    cosine_bound,
    cosine_matrix,
    decorrelation,
    pearson_matrix,
    second_moment,
)
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(3)


def on_off(n_presentations: int, n_units: int, fraction: float) -> np.ndarray:
    return (np.random.default_rng(0).random((n_presentations, n_units)) < fraction).astype(float)


def test_against_scikit_learn_and_numpy() -> None:
    rates = RANDOM.exponential(size=(40, 5)) * (RANDOM.random((40, 5)) < 0.6)
    result = decorrelation(make_tree(r=rates))
    expected = cosine_similarity(rates.T)
    np.testing.assert_allclose(result["cosine"], expected, rtol=1e-12)
    pairs = [expected[i, j] for i in range(5) for j in range(i)]
    assert float(result["mean_cosine"]) == pytest.approx(np.mean(pairs))
    assert float(result["percentile_95"]) == pytest.approx(np.percentile(pairs, 95))
    assert float(result["largest_cosine"]) == pytest.approx(max(pairs))
    pearson = np.corrcoef(rates.T)
    assert float(result["pearson_rms"]) == pytest.approx(
        np.sqrt(np.mean([pearson[i, j] ** 2 for i in range(5) for j in range(i)]))
    )
    loop = np.array([[np.mean([x[i] * x[j] for x in rates]) for j in range(5)] for i in range(5)])
    np.testing.assert_allclose(result["second_moment"], loop, rtol=1e-12)


def test_the_denominator_has_a_square_root() -> None:
    """Without it (as one talk prints it) the cosine of a unit with itself would be one over its power."""
    rates = 3.0 * RANDOM.exponential(size=(20, 3))
    np.testing.assert_allclose(np.diag(cosine_matrix(rates)), 1)


def test_independent_on_off_units_have_the_cosine_of_their_activity() -> None:
    cosine = cosine_matrix(on_off(200_000, 2, 0.2))
    assert cosine[0, 1] == pytest.approx(0.2, abs=0.01)


def test_scale_of_units_does_not_matter_but_that_of_one_column_of_ones_does() -> None:
    rates = RANDOM.exponential(size=(30, 4))
    np.testing.assert_allclose(cosine_matrix(rates * [1, 10, 1e3, 1e-3]), cosine_matrix(rates), rtol=1e-12)
    assert not np.allclose(cosine_matrix(rates + 1), cosine_matrix(rates)), "cosines are not centred"
    np.testing.assert_allclose(pearson_matrix(rates + 1), pearson_matrix(rates), rtol=1e-9)


def test_silent_units_are_named_and_left_out() -> None:
    rates = np.column_stack([on_off(50, 3, 0.5), np.zeros(50)])
    with_silent, without = decorrelation(make_tree(r=rates)), decorrelation(make_tree(r=rates[:, :3]))
    assert with_silent["silent"].values.tolist() == [False, False, False, True]
    assert np.isnan(with_silent["cosine"].values[3]).all()
    for name in ("mean_cosine", "percentile_95", "largest_cosine", "pearson_rms"):
        assert float(with_silent[name]) == float(without[name])


def test_units_that_do_not_vary_have_no_pearson_correlation() -> None:
    rates = np.column_stack([np.full(30, 0.1), RANDOM.random(30), RANDOM.random(30)])
    matrix = pearson_matrix(rates)
    assert np.isnan(matrix[0]).all()
    assert float(decorrelation(make_tree(r=rates))["pearson_rms"]) == pytest.approx(
        abs(np.corrcoef(rates[:, 1:].T)[0, 1])
    )


def test_the_bound_is_met_where_it_must_be() -> None:
    """Powers q^2 and moments p^2 make C = D: cosines at the bound, nothing above it, the form zero everywhere."""
    p, q, n = 0.3, 1.0, 4
    d = (q**2 - p**2) * np.eye(n) + p**2
    rates = np.sqrt(n) * np.linalg.cholesky(d).T  # X^T X / n = D; entries are >= 0
    assert (rates >= 0).all()
    result = decorrelation(make_tree(r=rates), p=p, q=q)
    assert float(result["bound"]) == pytest.approx(0.09)
    assert float(result["largest_cosine"]) == pytest.approx(0.09)
    for name in ("largest_excess", "mean_excess", "copositivity"):
        assert float(result[name]) == pytest.approx(0, abs=1e-9)


def test_excess_over_the_bound() -> None:
    result = bound_excess(np.array([0.1, 0.2, 0.6]), 0.2)
    assert result == pytest.approx({"mean_excess": 0.4 / 3, "largest_excess": 0.4, "fraction_above": 1 / 3})
    assert bound_excess(np.array([0.1]), 0.2)["largest_excess"] == pytest.approx(-0.1)


def test_copositivity_finds_what_it_must() -> None:
    p, q, n = 0.3, 1.0, 5
    d = (q**2 - p**2) * np.eye(n) + p**2
    assert copositivity(0.5 * d, p, q) == pytest.approx(-0.5)
    power, pair = d.copy(), d.copy()
    power[2, 2] *= 1.2
    pair[1, 3] = pair[3, 1] = 0.9
    assert copositivity(power, p, q, n_random=0) == pytest.approx(0.2)
    assert copositivity(pair, p, q, n_random=0) == pytest.approx((2 * q**2 + 2 * 0.9) / (2 * q**2 + 2 * p**2) - 1)
    everywhere = d + 0.05 * (1 - np.eye(n))
    assert copositivity(everywhere, p, q) >= (everywhere.sum() / d.sum() - 1) * (1 - 1e-12) > 0


def test_the_form_against_a_plain_loop_and_its_own_scale() -> None:
    p, q, n = 0.4, 1.3, 6
    c, a = second_moment(RANDOM.random((9, n))), RANDOM.random((7, n))
    d = (q**2 - p**2) * np.eye(n) + p**2
    expected = [v @ (c - d) @ v / (v @ d @ v) for v in a]
    np.testing.assert_allclose(copositivity_form(c, p, q, a), expected, rtol=1e-9)
    np.testing.assert_allclose(copositivity_form(c, p, q, 1e3 * a), expected, rtol=1e-9)
    assert copositivity(c, p, q, vectors=a) >= max(expected) - 1e-12


def test_a_learned_row_makes_the_form_zero() -> None:
    """At the fixed point of the anti-Hebbian rule A C = A D where A > 0, so a^T (C - D) a = 0 for each row a."""
    p, q, n = 0.3, 1.0, 4
    d = (q**2 - p**2) * np.eye(n) + p**2
    a = np.array([1.0, 1.0, 0.0, 0.0])
    c = d - 0.2 * np.outer([1.0, -1.0, 0.5, 0.0], [1.0, -1.0, 0.5, 0.0])  # a is in the null space of C - D
    assert copositivity_form(c, p, q, a[None])[0] == pytest.approx(0, abs=1e-12)


def test_large_populations_do_not_need_all_pairs_in_memory() -> None:
    moment = np.eye(3000)
    assert copositivity(moment, 0.3, 1.0, n_random=5) == pytest.approx(0)


BAD = {
    "p above q": (lambda: cosine_bound(1.0, 0.5), "0 < p < q"),
    "p zero": (lambda: copositivity(np.eye(2), 0.0, 1.0), "p = 0.0 and q = 1.0"),
    "negative vectors": (
        lambda: copositivity(np.eye(2), 0.1, 1, vectors=[[1, -1]]),
        r"\(1, 2\) must be \(m, 2\) and >= 0",
    ),
    "wrong vectors": (lambda: copositivity(np.eye(2), 0.1, 1, vectors=[[1, 1, 1]]), r"must be \(m, 2\)"),
    "one unit": (lambda: decorrelation(make_tree(r=np.ones((3, 1)))), "1 of 1 units are active, and cosines need two"),
    "all silent": (lambda: decorrelation(make_tree(r=np.zeros((3, 4)))), "0 of 4 units are active"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, words = BAD[case]
    with pytest.raises(ValidationError, match=words):
        call()
