"""figure: the exit code is 0 only if every claim holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurocircuits import reproduce
from neurocircuits.errors import DataError

FIGURE = '''
"""A figure that computes one number."""

from __future__ import annotations

import xarray as xr

from neurocircuits import reproduce


def compute(quick, engine, seed):
    return xr.DataTree(xr.Dataset({{"x": ((), {value} + seed)}}, attrs={{"engine": "{{}}"}}))


def draw(trees):
    from neurocircuits.plotting import panels

    figure, axes = panels()
    axes.plot([float(tree["x"]) for tree in trees])
    return figure


CLAIM = reproduce.Claim("number", "the number is small", lambda tree: reproduce.at_most(float(tree["x"]), 2.5))
FIGURE = reproduce.Figure("{name}", "A number", "Nobody (2030)", compute, draw, (CLAIM,))
'''


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the figures by two, one of which holds."""
    import neurocircuits.figures

    folder = tmp_path / "modules"
    folder.mkdir()
    for name, value in (("nobody2030_holds", 1), ("nobody2030_fails", 3)):
        (folder / f"{name}.py").write_text(FIGURE.format(name=name, value=value), encoding="utf-8")
    monkeypatch.setattr(neurocircuits.figures, "__path__", [str(folder)])
    monkeypatch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("figures")
def test_a_figure_that_holds(invoke, tmp_path: Path) -> None:
    text = invoke("figure", "nobody2030_holds", "--quick", "--seeds", "2", "--out", "out")
    assert "holds" in text
    assert "FAILS" not in text
    content = json.loads((tmp_path / "out" / "nobody2030_holds.json").read_text(encoding="utf-8"))
    assert content["seeds"] == [0, 1]
    assert content["setting"] == "quick"
    assert (tmp_path / "out" / "nobody2030_holds.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("figures")
def test_a_claim_that_fails_fails_the_command(invoke) -> None:
    # Rejects: an exit code that says only that a picture was drawn.
    text = invoke("figure", "nobody2030_fails", "--quick", "--out", "out", code=1)
    assert "FAILS" in text
    assert "in: nobody2030_fails" in text


@pytest.mark.usefixtures("figures")
def test_one_seed_that_fails_is_enough(invoke) -> None:
    invoke("figure", "nobody2030_holds", "--seeds", "3", "--out", "out", code=1)


@pytest.mark.usefixtures("figures")
def test_all_goes_on_after_a_failure(invoke, tmp_path: Path) -> None:
    text = invoke("figure", "--all", "--quick", "--out", "out", code=1)
    assert text.count(".png") == 2
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


@pytest.mark.usefixtures("figures")
def test_all_goes_on_where_data_are_missing(invoke, tmp_path: Path, monkeypatch) -> None:
    def refuse(name: str, *_: object, **__: object) -> dict:
        raise DataError(f"{name}: the data are missing. Get them.")

    monkeypatch.setattr(reproduce, "regenerate", refuse)
    text = invoke("figure", "--all", "--out", "out", code=1)
    assert text.count("the data are missing") == 2
    assert "Traceback" not in text
    assert invoke("figure", "nobody2030_holds", code=1).startswith("DataError: nobody2030_holds")
