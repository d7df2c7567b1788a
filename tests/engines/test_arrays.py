"""Operations on large arrays, in the form that is fast, against the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from neurocircuits.engines import arrays

SHOWN = {
    "everywhere": slice(None),
    "in the middle": slice(11, 61),
    "from the start": slice(0, 40),
    "to the end": slice(33, None),
    "nowhere": slice(0),
    "but for one": slice(1, None),
}


def sides(n_rows: int, shown: slice = slice(None), dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_rows)
    factor, matrix = np.zeros((n_rows, 70), dtype), rng.normal(size=(93, 70)).astype(dtype)
    factor[:, shown] = rng.normal(size=factor[:, shown].shape)
    return factor, matrix


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("n_rows", [1, 2, 20, 128, 129])
def test_a_product_is_the_plain_product(n_rows: int, shown: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a panel that is left out, turned the wrong way or cut short, and inputs that are taken for silent."""
    monkeypatch.setattr(arrays, "_LARGE", 0)
    monkeypatch.setattr(arrays, "_PANEL", 400)  # several panels, the last of which is smaller
    factor, matrix = sides(n_rows, shown)
    found = arrays.product(factor, matrix)
    assert found.flags.c_contiguous or n_rows == 1
    np.testing.assert_allclose(found, factor @ matrix.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_input_of_one_presentation_is_not_silent(sign: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a look at sums, at maxima alone or at the first presentation."""
    monkeypatch.setattr(arrays, "_LARGE", 0)
    factor, matrix = sides(20, slice(30, 40))
    factor[7, 3], factor[11, 66], factor[12, 66] = sign, sign, -sign
    np.testing.assert_allclose(arrays.product(factor, matrix), factor @ matrix.T, rtol=0, atol=1e-12)


def test_products_keep_the_type_of_their_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a product of small numbers that comes back as large ones, or the other way round."""
    monkeypatch.setattr(arrays, "_LARGE", 0)
    factor, matrix = sides(20, dtype="float32")
    assert arrays.product(factor, matrix).dtype == np.float32
    assert arrays.product(factor.astype(float), matrix).dtype == np.float64
    np.testing.assert_allclose(arrays.product(csr_array(factor), matrix), factor @ matrix.T, rtol=0, atol=1e-5)
