"""Seeded splits, by chance alone or by shares of classes, and stimuli of unit length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurocircuits.datasets import Dataset
from neurocircuits.errors import ValidationError


def of_classes(labels: object, n: int | None = None) -> Dataset:
    """Row k holds k, so that a row is known by its value."""
    n = len(labels) if n is None else n
    return Dataset("toy", np.arange(n, dtype=np.float64)[:, None], labels=labels)


def rows(data: Dataset) -> list[int]:
    return data.values[:, 0].astype(int).tolist()


@given(
    labels=st.lists(st.integers(-2, 4), min_size=2, max_size=60),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**32),
    stratified=st.booleans(),
)
def test_a_split_is_a_seeded_partition(labels: list[int], fraction: float, seed: int, stratified: bool) -> None:
    """Rejects rows in both parts or none, another number of them, labels of other rows, and the seed unused or shared."""
    n_second = 1 + round(fraction * (len(labels) - 2))
    data = of_classes(labels)
    first, second = data.split(n_second, seed, stratified=stratified)
    assert len(second) == n_second
    assert sorted(rows(first) + rows(second)) == list(range(len(labels)))
    for part in (first, second):
        assert part.labels.tolist() == [labels[row] for row in rows(part)]
        assert rows(part) == sorted(rows(part))
    assert rows(data.split(n_second, seed, stratified=stratified)[1]) == rows(second)
    if stratified:
        for label in set(labels):
            share = n_second * labels.count(label) / len(labels)
            assert abs(second.labels.tolist().count(label) - share) < 1


@pytest.mark.parametrize(
    "labels", [np.repeat(["a", "b"], [21, 9]), np.repeat([0.5, 2.5, -1.0], [3, 9, 18]), np.zeros(30, dtype=bool)]
)
def test_labels_of_any_type_are_classes(labels: object) -> None:
    second = of_classes(labels).split(10, 0, stratified=True)[1]
    values, counts = np.unique(np.asarray(labels), return_counts=True)
    np.testing.assert_array_equal(counts / 3, [(second.labels == value).sum() for value in values])


@pytest.mark.parametrize("stratified", [False, True])
def test_every_row_is_as_likely_and_seeds_differ(stratified: bool) -> None:
    """Rejects the first rows of each class, and one order for all seeds."""
    data = of_classes(np.repeat([0, 1], [8, 12]))
    chosen = np.array([rows(data.split(5, seed, stratified=stratified)[1]) for seed in range(400)])
    assert len({tuple(row) for row in chosen}) > 300
    counts = np.bincount(chosen.ravel(), minlength=20)
    assert abs(counts - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize(
    ("stratified", "expected"),
    [(False, [0, 1, 5, 8, 11, 13, 15, 17, 18, 19]), (True, [0, 1, 5, 8, 11, 12, 13, 15, 17, 18])],
)
def test_splits_are_what_they_were(stratified: bool, expected: list[int]) -> None:
    """Rejects other random numbers for the same seed, which would move stimuli from tuning to validation."""
    data = of_classes(np.repeat([0, 1], [14, 6]))
    assert rows(data.split(10, 2019, stratified=stratified)[1]) == expected


def test_bytes_stay_bytes_and_settings_stay() -> None:
    data = Dataset("images", np.ones((10, 4), np.uint8), image_shape=(2, 2), scale=0.1, dtype="float32", source="here")
    for part in data.split(3, 0):
        assert part.stored.dtype == np.uint8
        assert (part.image_shape, part.scale, part.dtype, part.source) == ((2, 2), 0.1, "float32", "here")


@pytest.mark.parametrize("n_second", [0, 20, 21, -1, 5.0, 0.25, "5", None, True])
def test_an_impossible_size_is_refused(n_second: object) -> None:
    with pytest.raises(ValidationError, match=r"Dataset\('toy'\)\.split: n_second .*whole number between 1 and 19"):
        of_classes(np.arange(20)).split(n_second, 0)


def test_a_size_from_numpy_is_a_whole_number() -> None:
    assert len(of_classes(np.arange(20)).split(np.int64(5), 0)[1]) == 5


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_an_impossible_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValidationError, match="not a non-negative integer"):
        of_classes(np.arange(20)).split(5, seed)


@pytest.mark.parametrize(
    ("labels", "words"), [(None, "there are none"), (np.zeros((20, 3)), r"they have shape \(20, 3\)")]
)
def test_shares_need_one_label_for_each(labels: object, words: str) -> None:
    data = of_classes(labels, 20)
    with pytest.raises(ValidationError, match=rf"one label for each stimulus, and {words}.*stratified=False"):
        data.split(5, 0, stratified=True)
    assert len(data.split(5, 0)[1]) == 5


# --- unit length


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(
    values=hnp.arrays(np.float64, (7, 4), elements=st.floats(-1e3, 1e3)).filter(lambda array: array.any(axis=1).all()),
    scale=st.floats(1e-3, 1e3),
)
def test_each_row_gets_length_one_and_keeps_its_direction(dtype: str, values: np.ndarray, scale: float) -> None:
    """Rejects one constant for all rows, a length in another norm, and the scale of the set applied again."""
    unit = Dataset("d", values, scale=scale, dtype=dtype).unit_length()
    assert unit.stored.dtype == np.float32
    assert unit.values.dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(unit.values.astype(float), axis=1), 1, rtol=1e-6)
    largest = np.abs(values).max(axis=1, keepdims=True)
    directions = values / largest / np.linalg.norm(values / largest, axis=1, keepdims=True)
    np.testing.assert_allclose(unit.values, directions, atol=1e-6)


def test_bytes_are_scaled_in_every_chunk_without_overflow() -> None:
    """Rejects squares of bytes, which overflow, and rows beyond the first chunk that are left out."""
    data = Dataset("d", np.full((10_000, 100), 255, dtype=np.uint8), labels=np.arange(10_000), scale=1 / 255)
    unit = data.unit_length()
    np.testing.assert_allclose(unit.values, 0.1, rtol=1e-6)
    assert (unit.labels == data.labels).all()


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e308])
def test_tiny_and_huge_rows_have_a_direction_too(size: float) -> None:
    unit = Dataset("d", size * np.array([[0.6, 0.8]])).unit_length()
    np.testing.assert_allclose(unit.values, [[0.6, 0.8]], rtol=1e-6)


def test_rows_without_a_direction_are_named_and_the_remedy_works() -> None:
    data = Dataset("d", np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, 1.0], [0.0, 0.0]]), labels=[1, 2, 3, 4])
    with pytest.raises(ValidationError, match=r"Dataset\('d'\)\.unit_length: 2 of 4 stimuli are zero .*first: row 1\)"):
        data.unit_length()
    kept = data[data.stored.any(axis=1)].unit_length()
    assert kept.labels.tolist() == [1, 3]


def test_an_empty_set_stays_empty() -> None:
    assert len(Dataset("d", np.zeros((0, 3))).unit_length()) == 0
