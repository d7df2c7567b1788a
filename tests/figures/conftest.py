"""Figures of the tests compute into a cache of their own, so that what passed before proves nothing."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path_factory.mktemp("figure_cache")))
        yield
