"""Figures and claims: judged over seeds, computed once, drawn from what was computed, written with their numbers."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from neurocircuits import reproduce
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import StorageError, ValidationError
from neurocircuits.plotting import panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

CALLS: list[tuple[bool, int]] = []
VALUES = {0: 1.0, 1: 1.2, 2: 0.8}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    CALLS.append((quick, seed))
    tree = xr.DataTree.from_dict({"/measures": xr.Dataset({"value": ((), VALUES.get(seed, 1.0))})})
    tree.attrs["engine"] = to_json(engine or SteadyState())
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    figure, ax = panels()
    ax.plot([float(tree["/measures"].ds["value"]) for tree in trees], "o")
    return figure


def value(tree: xr.DataTree) -> float:
    return float(tree["/measures"].ds["value"])


def figure(*claims: Claim) -> Figure:
    good = Claim("positive", "The value is positive.", lambda tree: at_least(value(tree), 0.0), "here")
    return Figure("toy", "A toy", "nowhere", compute, draw, (good, *claims), seeds_full=3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(reproduce, "_package_source", lambda: "as it is")  # someone may be editing meanwhile
    CALLS.clear()
    return tmp_path / "cache" / "figures"


def install(monkeypatch: pytest.MonkeyPatch, toy: Figure) -> None:
    monkeypatch.setattr(reproduce, "figures", lambda: {"toy": toy})


# -- verdicts ------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "holds"),
    [
        (at_least(1.0, 1.0), True),
        (at_least(0.999, 1.0), False),
        (at_least(math.nan, 0.0), False),
        (at_most(1.0, 1.0), True),
        (at_most(1.001, 1.0), False),
        (at_most(math.nan, 0.0), False),
        (near(1.1, 1.0, 0.11), True),
        (near(0.8, 1.0, 0.11), False),
        (near(math.nan, 1.0, 9.0), False),
    ],
)
def test_verdicts(verdict: dict[str, Any], holds: bool) -> None:
    assert verdict["holds"] is holds


def test_a_claim_must_hold_in_every_seed() -> None:
    # Rejects: judging the mean over seeds, which one good seed can save.
    claim = Claim("large", "The value is at least 0.9.", lambda tree: at_least(value(tree), 0.9))
    found = reproduce.judge(claim, [compute(True, None, seed) for seed in (0, 1, 2)])
    assert found["value"] == pytest.approx(1.0) and found["n_holds"] == 2 and not found["holds"]
    assert found["spread"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("target", "beyond_spread", "holds"),
    [(0.795, True, True), (0.81, True, False), (0.8, False, True), (0.81, False, False), (0.5, True, True)],
)
def test_spread_between_seeds_is_the_yardstick(target: float, beyond_spread: bool, holds: bool) -> None:
    # Rejects: a difference that is smaller than what another seed would make of it. Mean 1.0, spread 0.2.
    claim = Claim("larger", "It is.", lambda tree: at_least(value(tree), target), beyond_spread=beyond_spread)
    assert reproduce.judge(claim, [compute(True, None, seed) for seed in (0, 1, 2)])["holds"] is holds


@pytest.mark.parametrize(("lowest", "holds"), [(0.79, True), (0.9, False)])
def test_values_within_the_spread_of_the_target(lowest: float, holds: bool) -> None:
    # All seeds are on the right side, but by less than they differ: 0.9 <= 0.91, 1.0, 1.2.
    values = {0: lowest + 0.01, 1: 1.0, 2: 1.2}
    trees = [compute(True, None, seed) for seed in values]
    for tree, number in zip(trees, values.values(), strict=True):
        tree["/measures"] = xr.Dataset({"value": ((), number)})
    claim = Claim("larger", "It is.", lambda tree: at_least(value(tree), lowest), beyond_spread=True)
    assert reproduce.judge(claim, trees)["holds"] is holds


def test_one_seed_has_no_spread() -> None:
    claim = Claim("larger", "It is larger.", lambda tree: at_least(value(tree), 0.99), beyond_spread=True)
    found = reproduce.judge(claim, [compute(True, None, 0)])
    assert found["holds"] and math.isnan(found["spread"])


def test_a_check_that_cannot_be_made_is_a_failure() -> None:
    def check(tree: xr.DataTree) -> dict[str, Any]:
        raise ValidationError("population 'E' has no active cells")

    found = reproduce.judge(Claim("broken", "It works.", check), [compute(True, None, 0)])
    assert not found["holds"] and "no active cells" in found["error"]


# -- regenerate ------------------------------------------------------------


def test_writes_picture_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, figure())
    content = reproduce.regenerate("toy", tmp_path / "out", quick=False)
    assert content["holds"] and content["seeds"] == [0, 1, 2] and content["setting"] == "full"
    written = json.loads((tmp_path / "out" / "toy.json").read_text())
    assert written["claims"][0]["values"] == [1.0, 1.2, 0.8]
    for name in ("value", "target", "tolerance", "holds", "relation", "spread", "source", "text"):
        assert name in written["claims"][0]
    assert len(written["content_hash"]) == 64 and written["versions"]["numpy"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"toy.png", "toy.json"}


def test_a_broken_claim_is_reported_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rejects: a figure that is a success because its picture was drawn.
    install(monkeypatch, figure(Claim("huge", "The value is huge.", lambda tree: at_least(value(tree), 100.0))))
    content = reproduce.regenerate("toy", tmp_path, quick=True)
    assert content["holds"] is False
    assert [claim["holds"] for claim in content["claims"]] == [True, False]
    assert json.loads((tmp_path / "toy.json").read_text())["holds"] is False
    assert (tmp_path / "toy.png").exists()


def test_claims_of_the_other_setting_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = lambda tree: at_least(0.0, 1.0)  # noqa: E731
    install(monkeypatch, figure(Claim("full", "Only in full.", never, when=("full",))))
    assert reproduce.regenerate("toy", tmp_path, quick=True)["holds"]
    assert not reproduce.regenerate("toy", tmp_path, quick=False)["holds"]


def test_nan_is_null_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, figure(Claim("nan", "It is.", lambda tree: at_least(math.nan, 0.0))))
    reproduce.regenerate("toy", tmp_path, quick=True, seeds=1)
    text = (tmp_path / "toy.json").read_text()
    assert json.loads(text)["claims"][1]["value"] is None and "NaN" not in text


@pytest.mark.parametrize(("seeds", "expected"), [(2, [0, 1]), ([5, 7], [5, 7]), (None, [0])])
def test_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Any, expected: list[int]) -> None:
    install(monkeypatch, figure())
    assert reproduce.regenerate("toy", tmp_path, quick=True, seeds=seeds)["seeds"] == expected


@pytest.mark.parametrize("seeds", [0, []])
def test_no_seed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Any) -> None:
    install(monkeypatch, figure())
    with pytest.raises(ValidationError, match="names no seed"):
        reproduce.regenerate("toy", tmp_path, quick=True, seeds=seeds)


def test_unknown_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, figure())
    with pytest.raises(ValidationError, match="'tow' does not exist. Figures: 'toy'"):
        reproduce.regenerate("tow", tmp_path)


def test_unwritable_folder_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, figure())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        reproduce.regenerate("toy", tmp_path / "file" / "out", quick=True)
    assert not CALLS


# -- cache ------------------------------------------------------------


def test_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, figure())
    first = reproduce.regenerate("toy", tmp_path, quick=True)
    again = reproduce.regenerate("toy", tmp_path, quick=True)
    assert CALLS == [(True, 0)]
    assert first["content_hash"] == again["content_hash"] and first["computed"] == again["computed"]
    assert first["claims"] == again["claims"] or math.isnan(first["claims"][0]["spread"])


def test_what_is_partial_is_drawn_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Rejects a cache that takes an interrupted computation for the whole."""
    toy = figure()

    def half(quick: bool, engine: Any, seed: int) -> xr.DataTree:
        tree = compute(quick, engine, seed)
        tree.attrs["partial"] = "1 of 2 trainings"
        return tree

    install(monkeypatch, dataclasses.replace(toy, compute=half))
    written = [reproduce.regenerate("toy", tmp_path, quick=True)["partial"] for _ in range(2)]
    assert written == [["1 of 2 trainings"]] * 2
    assert len(CALLS) == 2 and (tmp_path / "toy.png").exists() and "1 of 2 trainings" in caplog.text


def test_without_cache_it_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, figure())
    for _ in range(2):
        reproduce.regenerate("toy", tmp_path, quick=True, cache=False)
    assert len(CALLS) == 2


def test_settings_seeds_engines_and_sources_have_their_own_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rejects: a cache that answers for another setting, seed, engine or source.
    toy = figure()
    keys = {
        reproduce.key(toy, True, 0),
        reproduce.key(toy, False, 0),
        reproduce.key(toy, True, 1),
        reproduce.key(toy, True, 0, SteadyState(batch=3)),
    }
    monkeypatch.setattr(reproduce, "_package_source", lambda: "changed")
    keys.add(reproduce.key(toy, True, 0))
    monkeypatch.setattr(reproduce, "_figure_source", lambda figure: "changed")
    keys.add(reproduce.key(toy, True, 0))
    assert len(keys) == 6


MODULE = '''
"""A figure."""
N = {n}


def compute(quick, engine, seed):
    return helper(N)


def helper(n):
    return n + {offset}


def draw(trees):
    return {drawn!r}


def claim_large(tree):
    return {claimed!r}


FIGURE = {figure!r}
'''


def test_only_what_computes_counts_as_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Rejects: a new computation that is answered from the cache, and hours of computing again for a new colour.
    path = tmp_path / "toy_module.py"
    module = types.ModuleType("toy_module")
    module.__file__ = str(path)
    monkeypatch.setitem(__import__("sys").modules, "toy_module", module)
    toy = types.SimpleNamespace(compute=types.FunctionType((lambda: None).__code__, {"__name__": "toy_module"}))
    toy.compute.__module__ = "toy_module"

    def source(**changes: Any) -> str:
        text = {"n": 1, "offset": 0, "drawn": "red", "claimed": "small", "figure": "title", **changes}
        path.write_text(MODULE.format(**text))
        return reproduce._figure_source(toy)  # type: ignore[arg-type]

    first = source()
    assert source(drawn="blue") == source(claimed="large") == source(figure="other") == first
    assert len({first, source(n=2), source(offset=1)}) == 3
    (tmp_path / "_helper.py").write_text("X = 1\n")
    assert source() != first


def test_every_module_that_can_change_a_number_counts() -> None:
    # Rejects: numbers of an older engine, model or rule that are shown as those of this one.
    names = {path.relative_to(reproduce._PACKAGE).as_posix() for path in reproduce._modules(reproduce._PACKAGE)}
    assert {"engines/steady_state.py", "models/seung2018.py", "protocols/features.py", "declare/rules.py"} <= names
    assert not {name for name in names if name.startswith(("cli/", "plotting/", "figures/")) or name == "reproduce.py"}


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "foreign"])
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, figure())
    first = reproduce.regenerate("toy", tmp_path, quick=True)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    if damage == "foreign":
        other = reproduce.computed(figure(), True, 1)
        assert other.attrs["seed"] == 1
        entry.write_bytes(next(path for path in cache.iterdir() if path != entry).read_bytes())
        CALLS.clear()
        CALLS.append((True, 0))
    else:
        entry.write_bytes({"truncate": whole[: len(whole) // 2], "garbage": b"x" * 100, "empty": b""}[damage])
    with caplog.at_level("WARNING"):
        again = reproduce.regenerate("toy", tmp_path, quick=True)
    assert CALLS == [(True, 0), (True, 0)]
    assert again["claims"][0]["value"] == first["claims"][0]["value"]
    assert "computed again" in caplog.text
    reproduce.regenerate("toy", tmp_path, quick=True)
    assert len(CALLS) == 2


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    monkeypatch.setenv("NEUROCIRCUITS_CACHE", str(tmp_path / "blocked"))
    install(monkeypatch, figure())
    with caplog.at_level("WARNING"):
        assert reproduce.regenerate("toy", tmp_path / "out", quick=True)["holds"]
    assert "not kept" in caplog.text


def test_modules_are_listed_without_registration() -> None:
    found = reproduce.figures()
    assert found and all(name == figure.name and not name.startswith("_") for name, figure in found.items())
