"""Fields and counts of cells that learned from images: orientation, correlations, reconstruction."""

from __future__ import annotations

import numpy as np
import pytest

from neurocircuits import analysis
from neurocircuits.errors import ValidationError


def test_orientation_is_that_of_the_spectrum() -> None:
    """Rejects a measure that depends on the angle, counts the mean of a field, or takes opposite directions apart."""
    down, across = np.mgrid[:10, :10] - 4.5
    angles = np.linspace(0, np.pi, 7)
    hump = np.exp(-(down**2 + across**2) / 12)
    gabors = [hump * np.cos(1.5 * (down * np.sin(a) + across * np.cos(a))) for a in angles]
    found = analysis.orientation_index([*gabors, hump - hump.mean(), np.zeros((10, 10))])
    assert found[:7].min() > 0.8 and np.ptp(found[:7]) < 0.15
    assert found[7] < 0.05 and np.isnan(found[8])
    turned = analysis.preferred_orientation(gabors)
    np.testing.assert_allclose(np.angle(np.exp(2j * (turned - angles))), 0, atol=0.02)
    assert turned.min() >= 0 and turned.max() <= np.pi
    noise = np.random.default_rng(0).standard_normal((400, 10, 10))
    assert np.median(analysis.orientation_index(noise)) == pytest.approx(0.1, abs=0.02)
    with pytest.raises(ValidationError, match=r"fields of shape \(10, 100\)"):
        analysis.orientation_index(noise[0].reshape(1, -1).repeat(10, 0))


def test_correlations_in_groups_have_the_error_of_the_groups() -> None:
    """Rejects squares that are not averaged over pairs, and silent units that make everything NaN."""
    counts = np.random.default_rng(1).poisson(0.5, (20_000, 20)).astype(float)
    counts[:, 0] = 0
    assert analysis.rms_correlation(counts, 100) == pytest.approx(1 / np.sqrt(99), rel=0.05)
    assert analysis.rms_correlation(counts) == pytest.approx(1 / np.sqrt(20_000), rel=0.15)
    two = np.repeat(np.arange(50.0)[:, None], 2, axis=1)
    assert analysis.rms_correlation(two * [1, -1]) == pytest.approx(1)
    assert np.isnan(analysis.rms_correlation(np.ones((5, 3))))
    with pytest.raises(ValidationError, match="groups of 100"):
        analysis.rms_correlation(two, 100)


def test_an_image_that_is_not_related_is_off_by_the_square_root_of_two() -> None:
    """Rejects a scale that is fitted, or one for all images."""
    generator = np.random.default_rng(2)
    images = generator.standard_normal((300, 64))
    images = (images - images.mean(1, keepdims=True)) / images.std(1, keepdims=True)
    fields = images[::-1]
    equal = np.eye(300)[::-1] * generator.uniform(1, 5, (300, 1))
    assert analysis.reconstruction_error(images, equal, fields) == pytest.approx(0, abs=1e-7)
    assert analysis.reconstruction_error(images, np.zeros((300, 300)), fields) == pytest.approx(1)
    turned = np.roll(np.eye(300)[::-1], 7, axis=1)
    assert analysis.reconstruction_error(images, turned, fields) == pytest.approx(np.sqrt(2), rel=0.03)
