"""A wrong program must leave nothing behind: what it drew is kept for reuse, and is dropped here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from neurocircuits.declare import stimulus


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    stimulus._permutation.cache_clear()
    stimulus._choices.cache_clear()
    yield
    stimulus._permutation.cache_clear()
    stimulus._choices.cache_clear()
