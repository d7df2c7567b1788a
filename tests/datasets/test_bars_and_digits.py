"""The sets that need no download: statistics from independence, and the images of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from neurocircuits.datasets import bar_templates, bars, digits, photographs
from neurocircuits.errors import ValidationError


def test_an_image_is_the_union_of_the_bars_in_its_labels() -> None:
    data = bars(300, side=5, probability=0.3, rng=1)
    for image, present in zip(data.images, data.labels, strict=True):
        drawn = np.zeros((5, 5))
        for k in np.flatnonzero(present):
            if k < 5:
                drawn[k, :] = 1
            else:
                drawn[:, k - 5] = 1
        np.testing.assert_array_equal(image, drawn)


def test_a_sum_counts_crossings_twice() -> None:
    data = bars(300, rng=1, combine="sum")
    np.testing.assert_array_equal(data.values, data.labels @ bar_templates(8))
    np.testing.assert_array_equal(bars(300, rng=1).values, np.minimum(data.values, 1))


def test_templates_are_the_images_of_single_bars() -> None:
    templates = bar_templates(3).reshape(6, 3, 3)
    for k in range(3):
        assert templates[k, k].all()
        assert templates[k].sum() == 3
        assert templates[3 + k][:, k].all()
        assert templates[3 + k].sum() == 3


@pytest.mark.parametrize("probability", [1 / 8, 0.4])
def test_statistics_are_those_of_independent_bars(probability: float) -> None:
    """Rejects a fixed number of bars, dependent bars and rows drawn more often than columns.

    A pixel is dark when both its bars are absent, so with a = 1 - probability its mean is 1 - a^2. Two pixels of one
    row share one bar: E[u v] = 1 - 2 a^2 + a^3. Two pixels of different rows and columns share none.
    """
    n, side = 40_000, 8
    data = bars(n, side, probability, rng=7)
    absent = 1 - probability
    error = 5 / np.sqrt(n)  # five standard errors of a variable in 0 to 1 are at most 2.5 / sqrt(n)
    assert np.abs(data.labels.mean(axis=0) - probability).max() < error
    counts = data.labels.sum(axis=1)
    assert counts.var() == pytest.approx(2 * side * probability * absent, rel=0.05)
    np.testing.assert_allclose(np.corrcoef(data.labels.T), np.eye(2 * side), atol=error)
    mean = data.values.mean(axis=0)
    assert np.abs(mean - (1 - absent**2)).max() < error
    second = (data.values.T @ data.values / n).reshape(side, side, side, side)
    shared = 1 - 2 * absent**2 + absent**3
    assert abs(second[2, 3, 2, 6] - shared) < error
    assert abs(second[2, 3, 5, 3] - shared) < error
    assert abs(second[2, 3, 5, 6] - (1 - absent**2) ** 2) < error


def test_equal_seeds_draw_equal_bars_and_a_generator_moves_on() -> None:
    np.testing.assert_array_equal(bars(50, rng=3).values, bars(50, rng=3).values)
    assert (bars(50, rng=3).values != bars(50, rng=4).values).any()
    generator = np.random.default_rng(0)
    assert (bars(50, rng=generator).values != bars(50, rng=generator).values).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": -1}, "n >= 0"),
        ({"side": 0}, "side >= 1"),
        ({"probability": 1.5}, "between 0 and 1"),
        ({"combine": "xor"}, "union, sum"),
        ({"rng": -1}, "non-negative"),
    ],
)
def test_impossible_bars_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        bars(**{"n": 3, "rng": 0, **settings})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_digits_are_those_of_scikit_learn(dtype: str) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    data = digits(dtype=dtype)
    assert data.values.dtype == dtype
    np.testing.assert_array_equal(data.images, bunch.images / 16)
    np.testing.assert_array_equal(data.labels, bunch.target)
    assert (data.values.min(), data.values.max()) == (0, 1)
    assert data.labels[:10].tolist() == list(range(10))


@pytest.mark.parametrize("size", [8, 50, 427])
def test_photographs_are_cut_into_squares(size: int) -> None:
    from sklearn.datasets import load_sample_images

    data, pictures = photographs(size), load_sample_images().images
    assert data.image_shape == (3, size, size)
    across, per_picture = 640 // size, (427 // size) * (640 // size)
    assert len(data) == 2 * per_picture
    for place in (0, across - 1, per_picture - 1, 2 * per_picture - 1):
        down, right = divmod(place % per_picture, across)
        square = pictures[place // per_picture][down * size : (down + 1) * size, right * size : (right + 1) * size]
        assert np.allclose(data.images[place], np.moveaxis(square, 2, 0) / 255)
        assert data.labels[place] == place // per_picture


@pytest.mark.parametrize("size", [0, -1, 428, 8.0, True])
def test_photographs_of_no_size_are_refused(size: object) -> None:
    with pytest.raises(ValidationError, match="photographs: size"):
        photographs(size)  # type: ignore[arg-type]
