"""The container: lazy scaling, row indexing, seeded splits, one constant for unit power."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurocircuits.datasets import Dataset
from neurocircuits.errors import ValidationError


def numbered(n: int = 20, **settings: object) -> Dataset:
    """Row k holds 3k, 3k + 1, 3k + 2 and is labelled k."""
    return Dataset("numbered", np.arange(3 * n, dtype=np.uint8).reshape(n, 3), labels=np.arange(n), **settings)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bytes_are_scaled_when_read_and_white_is_exactly_one(dtype: str) -> None:
    data = Dataset("d", np.array([[0, 255]], dtype=np.uint8), scale=1 / 255, dtype=dtype)
    assert data.stored.dtype == np.uint8
    assert data.values.dtype == dtype
    assert data.values.tolist() == [[0.0, 1.0]]


def test_rows_keep_their_labels_and_slices_share_memory() -> None:
    data = numbered()
    assert np.shares_memory(data[5:9].stored, data.stored)
    for rows in (slice(5, 9), [5, 8], data.labels % 3 == 0):
        part = data[rows]
        np.testing.assert_array_equal(part.values[:, 0], 3 * part.labels)
    assert data[[8, 5]].labels.tolist() == [8, 5]
    assert len(data[[]]) == 0


@pytest.mark.parametrize("rows", [3, (slice(None), 0), [[1, 2]], [0.5], "first"])
def test_an_index_that_is_not_rows_is_refused(rows: object) -> None:
    with pytest.raises(ValidationError, match="data\\[:100\\]"):
        numbered()[rows]


@pytest.mark.parametrize(
    ("rows", "words"),
    [([7], "no row 7; it has 2 rows"), ([-3, 0], "no row -3"), ([True], "mask of 1 values for 2 rows")],
)
def test_rows_that_are_not_there_are_named(rows: list, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Dataset("two", np.eye(2))[rows]


def test_images_are_rows_before_columns() -> None:
    data = numbered(4, image_shape=(1, 3))
    assert data.images.shape == (4, 1, 3)
    assert data.images[2, 0].tolist() == [6, 7, 8]
    with pytest.raises(ValidationError, match="not images"):
        _ = numbered().images


def test_it_cannot_be_changed_and_leaves_the_given_array_writable() -> None:
    given_array = np.ones((2, 3))
    data = Dataset("d", given_array)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.scale = 2.0
    with pytest.raises(ValueError, match="read-only"):
        data.values[0, 0] = 5
    given_array[0, 0] = 2


@given(n=st.integers(2, 60), fraction=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_a_split_is_a_seeded_partition_in_order(n: int, fraction: float, seed: int) -> None:
    n_validation = 1 + round(fraction * (n - 2))
    data = numbered(n)
    training, validation = data.split(n_validation, seed)
    assert len(validation) == n_validation
    assert sorted([*training.labels, *validation.labels]) == list(range(n))
    assert (np.diff(training.labels) > 0).all()
    assert (np.diff(validation.labels) > 0).all()
    np.testing.assert_array_equal(validation.labels, data.split(n_validation, seed)[1].labels)


def test_another_seed_splits_otherwise_and_every_row_is_as_likely() -> None:
    data = numbered()
    chosen = np.array([data.split(5, seed)[1].labels for seed in range(400)])
    assert len({tuple(row) for row in chosen}) > 350
    counts = np.bincount(chosen.ravel(), minlength=20)
    assert abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize("n_validation", [0, 20, -1])
def test_a_split_with_an_empty_part_is_refused(n_validation: int) -> None:
    with pytest.raises(ValidationError, match="between 1 and 19"):
        numbered().split(n_validation, 0)


@given(
    hnp.arrays(np.float64, (7, 4), elements=st.floats(0, 100)).filter(lambda array: array.max() > 1e-3),
    st.floats(1e-3, 1e3),
)
def test_unit_power_is_one_constant_for_all(values: np.ndarray, scale: float) -> None:
    data = Dataset("d", values, scale=scale)
    scaled, constant = data.unit_power()
    assert np.mean(np.sum(scaled.values**2, axis=1)) == pytest.approx(1)
    np.testing.assert_allclose(scaled.values, constant * data.values, atol=1e-300)  # products of the least of numbers
    np.testing.assert_allclose(data.scaled(constant).values, scaled.values, atol=1e-300)


def test_unit_power_of_bytes_does_not_overflow_and_stays_bytes() -> None:
    data = Dataset("d", np.full((5000, 100), 255, dtype=np.uint8), scale=1 / 255)
    scaled, constant = data.unit_power()
    assert constant == pytest.approx(0.1)
    assert scaled.stored is not None
    assert scaled.stored.dtype == np.uint8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stored": np.zeros(3)}, "flatten"),
        ({"stored": np.zeros((2, 3), dtype=int)}, "uint8, float32, float64"),
        ({"stored": np.array([[0.0, 1.0], [np.nan, 1.0]])}, "1 of 4 values are not finite .*row 1, feature 0"),
        ({"labels": [1, 2]}, "for 3 stimuli"),
        ({"image_shape": (2, 2)}, "4 pixels, a stimulus 6"),
        ({"scale": 0.0}, "not a positive finite number"),
        ({"scale": float("inf")}, "not a positive finite number"),
        ({"dtype": "int8"}, "float32, float64"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=f"Dataset\\('odd'\\).*{words}"):
        Dataset(**{"name": "odd", "stored": np.zeros((3, 6)), **settings})


def test_zero_stimuli_have_no_unit_power() -> None:
    with pytest.raises(ValidationError, match="every value is zero"):
        Dataset("dark", np.zeros((3, 6))).unit_power()
