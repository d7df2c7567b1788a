"""An Axes on an Agg canvas in the style of the package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from matplotlib.axes import Axes

from neurocircuits.plotting import panels, style


@pytest.fixture
def ax() -> Iterator[Axes]:
    with style():
        yield panels()[1]
