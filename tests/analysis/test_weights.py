"""Sparsity, duplicates and matched features of weights whose structure is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from neurocircuits.analysis import (
    duplicate_features,
    duplicate_pairs,
    match_templates,
    matched_features,
    nonzero,
    nonzero_weights,
)
from neurocircuits.errors import ValidationError
from tests.analysis.conftest import make_tree

RANDOM = np.random.default_rng(4)


def bars(side: int) -> np.ndarray:
    rows = np.stack([np.repeat(np.eye(side)[k], side).reshape(side, side) for k in range(side)])
    return np.concatenate([rows, rows.transpose(0, 2, 1)])


def learned(w: np.ndarray) -> object:
    w = np.stack([np.ones_like(w), w])
    return make_tree(w=w, r=np.ones((3, w.shape[1])), a=np.ones((2, 2, w.shape[1])))


def test_nonzero_fraction_is_relative_to_the_largest_of_each_unit() -> None:
    w = np.array([[1.0, 1e-6, 0.0, 0.5], [1e-9, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert nonzero(w).sum(axis=1).tolist() == [2, 1, 0]
    result = nonzero_weights(learned(w))
    assert result["fraction_per_unit"].values.tolist() == [0.5, 0.25, 0.0]
    assert float(result["fraction"]) == pytest.approx(0.25)
    assert float(nonzero_weights(learned(w), phase="initial")["fraction"]) == 1
    np.testing.assert_array_equal(nonzero(1e5 * w), nonzero(w))


def test_duplicates_against_scikit_learn() -> None:
    w = RANDOM.random((7, 20)) * (RANDOM.random((7, 20)) < 0.5)
    w[5] = 3 * w[1] + 0.01
    w[6] = w[2]
    first, second, cosine, largest = duplicate_pairs(w)
    expected = cosine_similarity(w)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(2, 6), (1, 5)]
    np.testing.assert_allclose(cosine, [expected[2, 6], expected[1, 5]])
    assert largest == pytest.approx(1)
    every = [(i, j) for i in range(7) for j in range(i + 1, 7) if expected[i, j] > 0.3]
    assert len(duplicate_pairs(w, 0.3)[0]) == len(every)


def test_dead_units_are_no_duplicates() -> None:
    w = np.zeros((3, 5))
    w[0] = 1
    result = duplicate_features(learned(w))
    assert int(result["n_pairs"]) == 0
    assert np.isnan(float(result["largest_cosine"]))


def test_all_bars_are_found_in_any_order_scale_and_offset() -> None:
    order = RANDOM.permutation(8)
    templates = bars(4)
    w = RANDOM.uniform(0.5, 2, size=(8, 1)) * templates.reshape(8, -1)[order] + 0.1
    result = matched_features(learned(w), templates)
    assert int(result["n_found"]) == 8
    np.testing.assert_array_equal(order[result["unit"].values], np.arange(8))
    np.testing.assert_allclose(result["correlation"], 1)
    assert int(matched_features(learned(w), templates, phase="initial")["n_found"]) == 0


def test_one_unit_finds_one_bar() -> None:
    """Counting templates that any unit resembles would call one unit for two templates a success."""
    templates = bars(4).reshape(8, -1)
    copies = np.repeat(templates[:1], 8, axis=0)
    assert int(match_templates(copies, templates)["n_found"]) == 1
    same = np.stack([templates[0], templates[0]])
    result = match_templates(templates[:1], same)
    assert int(result["n_found"]) == 1
    assert sorted(result["unit"].values.tolist()) == [-1, 0]


def test_the_assignment_finds_as_many_as_any_assignment() -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        templates = random.random((4, 6))
        w = templates[random.integers(4, size=4)] + 0.25 * random.random((4, 6))
        correlation = np.corrcoef(templates, w)[:4, 4:]
        best = max(
            sum(correlation[t, u] > 0.9 for t, u in enumerate(units)) for units in itertools.permutations(range(4))
        )
        assert int(match_templates(w, templates)["n_found"]) == best


def test_correlation_is_that_of_numpy() -> None:
    w, templates = RANDOM.random((5, 12)), RANDOM.random((3, 3, 4))
    result = match_templates(w, templates)
    for t in range(3):
        u = int(result["unit"][t])
        assert float(result["correlation"][t]) == pytest.approx(np.corrcoef(templates[t].ravel(), w[u])[0, 1])


def test_constant_weights_match_nothing() -> None:
    result = match_templates(np.full((4, 4), 0.1), np.eye(4))
    assert int(result["n_found"]) == 0
    np.testing.assert_array_equal(result["correlation"], 0)


BAD = {
    "other inputs": (
        lambda: match_templates(np.ones((2, 9)), np.eye(4)),
        "templates have 4 values, but units 9 inputs",
    ),
    "constant template": (lambda: match_templates(np.ones((2, 3)), [[1, 2, 3], [1, 1, 1]]), "template 1 is constant"),
    "one unit": (lambda: duplicate_pairs(np.ones((1, 4))), "1 unit has no pairs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, words = BAD[case]
    with pytest.raises(ValidationError, match=words):
        call()
