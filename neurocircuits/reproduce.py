"""Published figures: computed once and kept, drawn from what was computed, judged by claims that can fail.

A figure is a module of `neurocircuits.figures` with a ``FIGURE``. Its ``compute`` never draws, its ``draw`` never
computes. Claims are judged over several seeds, with the spread between the seeds as the yardstick.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import logging
import math
import os
import pkgutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.datasets import cache_folder
from neurocircuits.declare.serialise import to_json
from neurocircuits.errors import NeurocircuitsError, StorageError, ValidationError, listed
from neurocircuits.results.provenance import git_hash, provenance, versions
from neurocircuits.results.storage import read_tree, write_tree

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Picture

    from neurocircuits.engines.base import Engine

Verdict = dict[str, Any]
VARIABLE = "NEUROCIRCUITS_CACHE"
SETTINGS = ("quick", "full")
_PACKAGE = Path(__file__).resolve().parent
_NOT_COMPUTING = ("cli", "plotting", "figures", "reproduce.py")
logger = logging.getLogger("neurocircuits")


@dataclass(frozen=True)
class Claim:
    """State what a correct reproduction must show.

    Parameters
    ----------
    name : str
        Short name.
    text : str
        The claim as a sentence.
    check : callable
        ``check(tree)`` takes what one seed computed and returns a verdict: `at_least`, `at_most` or `near`.
    source : str
        Where the claim comes from.
    when : tuple of str
        Settings in which it is made, of "quick" and "full".
    beyond_spread : bool
        Whether, with two seeds or more, the mean must also keep from the target by more than the standard deviation
        between the seeds: for claims that one thing is larger than another.
    """

    name: str
    text: str
    check: Callable[[xr.DataTree], Verdict]
    source: str = ""
    when: tuple[str, ...] = SETTINGS
    beyond_spread: bool = False


@dataclass(frozen=True)
class Figure:
    """Declare a figure.

    Parameters
    ----------
    name : str
        Name of the module.
    title : str
        What it shows.
    source : str
        The publication.
    compute : callable
        ``compute(quick, engine, seed)`` returns an `xarray.DataTree`; ``engine`` is None for the figure's own. An
        attribute ``partial`` says what is missing.
    draw : callable
        ``draw(trees)`` takes what each seed computed and returns a Matplotlib figure.
    claims : tuple of Claim
        What must hold.
    seeds_quick, seeds_full : int
        How many seeds each setting takes unless told otherwise.
    needs : tuple of str
        Data sets that the full setting needs.
    """

    name: str
    title: str
    source: str
    compute: Callable[[bool, Any, int], xr.DataTree]
    draw: Callable[[list[xr.DataTree]], Picture]
    claims: tuple[Claim, ...]
    seeds_quick: int = 1
    seeds_full: int = 3
    needs: tuple[str, ...] = ()


def at_least(value: Any, target: float) -> Verdict:
    """Return the verdict on ``value >= target``; NaN fails.

    Examples
    --------
    >>> at_least(0.99, 0.95)["holds"]
    True
    """
    return _verdict(value, ">=", target, 0.0, float(value) >= target)


def at_most(value: Any, target: float) -> Verdict:
    """Return the verdict on ``value <= target``; NaN fails."""
    return _verdict(value, "<=", target, 0.0, float(value) <= target)


def near(value: Any, target: float, tolerance: float) -> Verdict:
    """Return the verdict on ``|value - target| <= tolerance``; NaN fails."""
    return _verdict(value, "==", target, tolerance, abs(float(value) - target) <= tolerance)


def _verdict(value: Any, relation: str, target: float, tolerance: float, holds: bool) -> Verdict:
    numbers = {"value": float(value), "relation": relation, "target": float(target), "tolerance": float(tolerance)}
    return {**numbers, "holds": bool(holds)}


def figures() -> dict[str, Figure]:
    """Return all figures by name, found by listing the modules of `neurocircuits.figures`."""
    package = importlib.import_module("neurocircuits.figures")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: importlib.import_module(f"{package.__name__}.{name}").FIGURE for name in names if name[0] != "_"}


def regenerate(
    name: str,
    out: str | os.PathLike[str],
    quick: bool = False,
    seeds: int | Sequence[int] | None = None,
    cache: bool = True,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Compute, judge and draw a figure, and write ``NAME.png`` and ``NAME.json``.

    Parameters
    ----------
    name : str
        Name of the figure.
    out : path
        Folder to write to; made if it does not exist.
    quick : bool
        The quick setting on embedded data instead of the full one.
    seeds : int or sequence of int, optional
        Number of seeds (0, 1, ...) or the seeds; what the figure says unless given.
    cache : bool
        Whether what was computed before is used again.
    engine : Engine, optional
        Another engine than the figure's own.

    Returns
    -------
    dict
        What the JSON file holds: ``holds`` (every claim), ``claims`` with values, targets, tolerances and verdicts,
        seeds, setting, hashes and versions.

    Raises
    ------
    ValidationError
        If there is no such figure, or no seed.
    StorageError
        If the folder cannot be written.
    DataError
        If the full setting needs data that cannot be had.
    """
    known = figures()
    if name not in known:
        raise ValidationError(f"figure {name!r} does not exist. Figures: {listed(known)}.")
    figure, start = known[name], time.perf_counter()
    default = figure.seeds_quick if quick else figure.seeds_full
    chosen = seeds if seeds is not None else default
    numbers = list(range(chosen)) if isinstance(chosen, int) else [int(seed) for seed in chosen]
    if not numbers:
        raise ValidationError(f"figure {name!r}: {seeds!r} names no seed. Give a positive number, or a list of seeds.")
    folder = _writable(Path(out))
    trees = [computed(figure, quick, seed, engine, cache) for seed in numbers]
    claims = [judge(claim, trees) for claim in figure.claims if SETTINGS[not quick] in claim.when]
    keys = [tree.attrs["key"] for tree in trees]
    content: dict[str, Any] = {
        "figure": name,
        "title": figure.title,
        "source": figure.source,
        "setting": SETTINGS[not quick],
        "seeds": numbers,
        "holds": all(claim["holds"] for claim in claims),
        "claims": claims,
        "content_hash": hashlib.sha256("".join(keys).encode()).hexdigest(),
        "computed": [tree.attrs["computed"] for tree in trees],
        "partial": [tree.attrs.get("partial", "") for tree in trees],
        "engine": [json.loads(tree.attrs["engine"]) for tree in trees][0],
        "versions": versions(),
        "git_hash": git_hash(),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_time": round(time.perf_counter() - start, 3),
    }
    _write_picture(figure, trees, folder / f"{name}.png", content["content_hash"])
    _replace(folder / f"{name}.json", json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")
    return content


def judge(claim: Claim, trees: Sequence[xr.DataTree]) -> Verdict:
    """Judge a claim over seeds.

    Parameters
    ----------
    claim : Claim
        The claim.
    trees : sequence of xarray.DataTree
        What each seed computed.

    Returns
    -------
    dict
        ``value`` (mean over seeds), ``values``, ``spread`` (standard deviation between seeds, NaN for one), ``relation,
        target, tolerance``, ``n_holds``, ``holds`` (in every seed, and beyond the spread if the claim asks for it) and,
        where a check could not be made, ``error``.
    """
    verdicts, error = [], ""
    for tree in trees:
        try:
            verdicts.append(claim.check(tree))
        except NeurocircuitsError as problem:
            verdicts.append(_verdict(math.nan, "==", math.nan, 0.0, False))
            error = str(problem)
    values = np.array([verdict["value"] for verdict in verdicts])
    mean, spread = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan
    last = verdicts[-1]
    apart = abs(mean - last["target"]) > spread if claim.beyond_spread and len(values) > 1 else True
    result = {
        "name": claim.name,
        "text": claim.text,
        "source": claim.source,
        "value": mean,
        "values": values.tolist(),
        "spread": spread,
        "relation": last["relation"],
        "target": last["target"],
        "tolerance": last["tolerance"],
        "beyond_spread": claim.beyond_spread,
        "n_holds": sum(verdict["holds"] for verdict in verdicts),
        "holds": bool(all(verdict["holds"] for verdict in verdicts) and apart),
    }
    return {**result, "error": error} if error else result


def computed(figure: Figure, quick: bool, seed: int, engine: Engine | None = None, cache: bool = True) -> xr.DataTree:
    """Return what a figure computes for a seed, from the cache if it is there and whole.

    Parameters
    ----------
    figure : Figure
        The figure.
    quick : bool
        Which setting.
    seed : int
        The seed.
    engine : Engine, optional
        Another engine than the figure's own.
    cache : bool
        Whether to look into the cache; what is computed is kept there in any case.

    Returns
    -------
    xarray.DataTree
        With the attributes ``figure, setting, seed, engine`` (JSON), ``key, versions, git_hash`` and ``computed``,
        the time at which it was. One with an attribute ``partial``, which says what is missing, is not kept, so that
        the next call goes on.
    """
    name = key(figure, quick, seed, engine)
    path = figure_cache() / f"{figure.name}-{name[:32]}.zip"
    if cache and path.exists():
        try:
            tree = read_tree(path)
            if tree.attrs.get("key") == name:
                return tree
            logger.warning("figure %s: '%s' holds something else and is computed again.", figure.name, path)
        except StorageError as error:
            logger.warning("figure %s: the cache is computed again. %s", figure.name, error)
    tree = figure.compute(quick, engine, seed)
    origin = provenance("{}", "{}", tree.attrs["engine"], seed)
    tree.attrs |= {"figure": figure.name, "setting": SETTINGS[not quick], "seed": seed, "key": name}
    tree.attrs |= {"versions": origin["versions"], "git_hash": origin["git_hash"], "computed": origin["created_at"]}
    if partial := tree.attrs.get("partial"):
        logger.warning("figure %s: %s", figure.name, partial)
        return tree
    try:
        path.unlink(missing_ok=True)
        write_tree(tree, path)
    except (StorageError, OSError) as error:
        logger.warning("figure %s: what was computed is not kept. %s", figure.name, error)
    return tree


def figure_cache() -> Path:
    """Return the folder of what figures computed: ``NEUROCIRCUITS_CACHE``, or the user's cache folder."""
    setting = os.environ.get(VARIABLE)
    return (Path(setting).expanduser() if setting else cache_folder()) / "figures"


def key(figure: Figure, quick: bool, seed: int, engine: Engine | None = None) -> str:
    """Return the identity of a computation: figure, setting, seed, engine, versions and the source that computes it.

    What only draws or claims does not count, so a picture can be improved without computing again.
    """
    parts = [figure.name, SETTINGS[not quick], int(seed), None if engine is None else to_json(engine), versions()]
    text = json.dumps([*parts, _figure_source(figure), _package_source()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _figure_source(figure: Figure) -> str:
    """Return the source of a figure's module and of the helpers beside it, less what draws and claims."""
    module = sys.modules[figure.compute.__module__]
    own = Path(str(module.__file__))
    helpers = sorted(path for path in own.parent.glob("_*.py") if path != own)
    kept = []
    for path in (own, *helpers):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [getattr(node, "name", "")]
            if isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if not any(name.lstrip("_").lower().startswith(("draw", "claim", "figure")) for name in names):
                kept.append(ast.dump(node))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _package_source() -> str:
    """Return a hash of the modules of the package that can change a number."""
    digest = hashlib.sha256()
    for path in _modules(_PACKAGE):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _modules(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _NOT_COMPUTING:
            continue
        if path.is_dir():
            yield from _modules(path)
        elif path.suffix == ".py":
            yield path


def _writable(folder: Path) -> Path:
    """Make a folder and try to write there, before anything is computed for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".neurocircuits-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(f"'{folder}' cannot be written: {error}. Choose another folder with out=.") from error
    return folder


def _write_picture(figure: Figure, trees: list[xr.DataTree], path: Path, content_hash: str) -> None:
    from neurocircuits.plotting import style

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with style():
        figure.draw(trees).savefig(partial, format="png", metadata={"Title": figure.title, "Comment": content_hash})
    os.replace(partial, path)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _plain(value: Any) -> Any:
    """Return content without NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
