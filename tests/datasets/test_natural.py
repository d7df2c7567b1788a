"""The whitened natural images: patches, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neurocircuits import datasets
from neurocircuits.errors import DataError, ValidationError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROCIRCUITS_DATA", str(tmp_path))
    (tmp_path / "natural-images" / "olshausen-field").mkdir(parents=True)
    return tmp_path / "natural-images" / "olshausen-field" / "IMAGES.mat"


def test_patches_are_squares_of_the_images(folder: Path) -> None:
    """Rejects rows and columns that are swapped, another margin, and patches that are normalised together."""
    images = np.zeros((512, 512, 10), np.float32)
    images += np.arange(512)[:, None, None] * 3.0 + np.arange(512)[:, None] ** 2 * 0.01
    images[:4] = images[:, :4] = images[-4:] = images[:, -4:] = 1e9
    savemat(folder, {"IMAGES": images})
    data = datasets.natural_images(200, 6, rng=3)
    assert np.abs(data.values.mean(1)).max() < 1e-4 and np.abs(data.values.std(1) - 1).max() < 1e-4
    steps = np.diff(data.values.reshape(-1, 6, 6), axis=1)
    assert (steps > 0).all() and np.allclose(steps, steps[:, :1, :1], rtol=1e-2)  # rows go up by the same everywhere
    assert set(data.labels) == set(range(10))
    assert np.array_equal(datasets.natural_images(200, 6, rng=3).values, data.values)


def test_what_is_missing_or_wrong_is_said(folder: Path) -> None:
    with pytest.raises(DataError, match=r"not on this machine\. Get http.*DIR/natural-images/olshausen-field/IMAGES"):
        datasets.natural_images(5)
    savemat(folder, {"IMAGES": np.zeros((10, 10, 2))})
    with pytest.raises(DataError, match=r"does not hold 'IMAGES' of shape \(512, 512, 10\)"):
        datasets.natural_images(5)
    folder.write_bytes(b"no matlab file at all" * 20)
    with pytest.raises(DataError, match="cannot be read"):
        datasets.natural_images(5)
    for settings, word in (({"n": 0}, "n = 0"), ({"size": 600}, "size = 600"), ({"margin": -1}, "margin = -1")):
        with pytest.raises(ValidationError, match=word):
            datasets.natural_images(**settings)
