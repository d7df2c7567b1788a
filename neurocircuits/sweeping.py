"""Measure at every point of a grid of settings and seeds: side by side, labelled, and restartable."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import xarray as xr

from neurocircuits.declare.checks import is_whole
from neurocircuits.errors import InterruptedRun, RunError, StorageError, ValidationError, listed
from neurocircuits.progress import Progress
from neurocircuits.results.storage import read_tree, write_tree

_ABOUT = "sweep.json"


def sweep(
    measure: Callable[..., Any],
    over: Mapping[str, Sequence[Any]],
    seeds: int | Iterable[int] = 1,
    store: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    progress: bool = True,
) -> xr.Dataset:
    """Measure at every point of a grid, and return one labelled data set.

    Parameters
    ----------
    measure : callable
        ``measure(**point, seed=seed)`` runs something and returns what is of interest: a mapping of names to numbers,
        arrays or DataArrays, or a Dataset, with the same names, shapes and coordinates at every point. The dimensions
        of a plain array ``x`` are called x_0, x_1 and so on.
    over : mapping of str to sequence
        Values of each setting. Numbers, text and bools label the result; other values do by their position.
    seeds : int or iterable of int
        How many, from 0 on, or which.
    store : path, optional
        Folder where each point is kept as soon as it is measured. A sweep that was cut off goes on there, and one over
        more values measures only those that are new. It belongs to one ``measure``, which is told from others by its
        text and what is bound to it: arguments of a ``functools.partial``, closures, the object of a method.
    n_jobs : int
        Processes, as joblib counts them (-1 for all cores). Within ``joblib.parallel_config(backend=...)`` they are
        where its backend has them: threads, dask.distributed, Ray.
    progress : bool
        Whether to show progress.

    Returns
    -------
    xarray.Dataset
        Each variable with a dimension for each setting and ``seed`` before its own.

    Raises
    ------
    ValidationError
        If the grid is empty, a name is used twice, or ``measure`` returns other names, shapes or coordinates at some
        points.
    StorageError
        If the folder holds another sweep, a point of it cannot be read, or something is bound to ``measure`` that
        cannot be told from others.
    RunError
        If ``measure`` fails somewhere, after all other points; ``tree`` holds what was measured, with NaN elsewhere.
    InterruptedRun
        If the user interrupts; ``tree`` likewise, or None if no point was done.

    Examples
    --------
    >>> import neurocircuits as nc
    >>> found = nc.sweep(lambda a, b, seed: {"sum": a + b + seed}, {"a": [1, 2, 3], "b": [10, 20]}, seeds=2)
    >>> dict(found.sizes), found["sum"].sel(a=3, b=20, seed=1).item()
    ({'a': 3, 'b': 2, 'seed': 2}, 24)
    """
    for name, values in over.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValidationError(
                f"sweep: the values of {name!r} are {values!r}. Give a sequence, such as [{values!r}]."
            )
    grid = {name: list(values) for name, values in over.items()}
    grid["seed"] = list(range(seeds)) if is_whole(seeds) else list(seeds)  # type: ignore[arg-type]
    if "seed" in over:
        raise ValidationError("sweep: 'seed' is in over; give seeds=... instead.")
    if not all(grid.values()):
        raise ValidationError(f"sweep: no values of {listed(k for k, v in grid.items() if not v)}; give one or more.")
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    files = [None if store is None else Path(store) / f"{joblib.hash(point)}.zip" for point in points]
    if store is not None:
        _claim(Path(store), measure)
    found: list[xr.Dataset | None] = [_read(file) for file in files]
    todo = [k for k, each in enumerate(found) if each is None]
    failed: dict[int, str] = {}
    jobs = (joblib.delayed(_measured)(measure, k, points[k], files[k]) for k in todo)
    try:
        with Progress(len(points), len(points) - len(todo), progress, "points") as bar:
            for k, data, failure in joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs):
                _check_names(data, grid)
                found[k] = data
                failed |= {k: failure} if failure else {}
                bar.update(1)
    except KeyboardInterrupt:
        done = sum(each is not None for each in found)
        again = "" if store is None else f" Call it again with store='{store}' to go on."
        raise InterruptedRun(
            f"sweep: interrupted after {done} of {len(points)} points, which are in the error's attribute 'tree'."
            f"{again}",
            _together(found, grid, points) if done else None,
        ) from None
    if failed:
        k, failure = next(iter(sorted(failed.items())))
        raise RunError(
            f"sweep: {len(failed)} of {len(points)} points failed; the first, {_named(points[k])}: {failure}"
            + "\n  The others are in the error's attribute 'tree', with NaN for these." * (len(failed) < len(points)),
            _together(found, grid, points) if len(failed) < len(points) else None,
        )
    return _together(found, grid, points)


def _measured(
    measure: Callable[..., Any], k: int, point: dict[str, Any], file: Path | None
) -> tuple[int, xr.Dataset | None, str]:
    """Return the number of a point with what was measured there, or why not; runs in a process of its own."""
    try:
        result = measure(**point)
        data = result if isinstance(result, xr.Dataset) else _dataset(result)
        if file is not None:
            write_tree(xr.DataTree(data), file, overwrite=True)
    except InterruptedRun:
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 (whatever it is, the other points are kept)
        return k, None, f"{type(error).__name__}: {error}"
    return k, data, ""


def _together(found: list[xr.Dataset | None], grid: dict[str, list[Any]], points: list[dict[str, Any]]) -> xr.Dataset:
    """Return one data set of those of all points; NaN where there is none."""
    first, like = next((k, each) for k, each in enumerate(found) if each is not None)
    for point, each in zip(points, found, strict=True):
        if each is None:
            continue
        if _form(each) != _form(like):
            other = f"{_form(like)} at {_named(points[first])}"
            raise ValidationError(
                f"sweep: measure returned {_form(each)} at {_named(point)}, but {other}."
                " Return the same names with the same shapes, for example means over what differs in number."
            )
        for name in like.coords:
            if name not in each.coords or not each[name].equals(like[name]):
                raise ValidationError(
                    f"sweep: the coordinate {name!r} of what measure returned is "
                    f"{each[name].values if name in each.coords else 'missing'} at {_named(point)}, but "
                    f"{like[name].values} at {_named(points[first])}. Return the same coordinates at every point, and "
                    "what differs as a variable."
                )
    empty = xr.full_like(like, np.nan, dtype=float) if any(each is None for each in found) else like
    shape = tuple(len(values) for values in grid.values())
    variables = {}
    for name, variable in like.data_vars.items():
        values = np.stack([(empty if each is None else each)[name].values for each in found])
        dims = (*grid, *(str(dim) for dim in variable.dims))
        variables[str(name)] = (dims, values.reshape(*shape, *variable.shape), variable.attrs)
    labels = {name: _labels(values) for name, values in grid.items()}
    return xr.Dataset(variables, coords={**{name: like[name] for name in like.coords}, **labels}, attrs=like.attrs)


def _dataset(result: Mapping[str, Any]) -> xr.Dataset:
    """Return named values as a data set; plain arrays have dimensions of their own."""
    variables = {}
    for name, value in dict(result).items():
        if not isinstance(value, (xr.DataArray, xr.Variable, tuple)):
            array = np.asarray(value)
            value = ([f"{name}_{k}" for k in range(array.ndim)], array)
        variables[name] = value
    return xr.Dataset(variables)


def _check_names(data: xr.Dataset | None, grid: dict[str, list[Any]]) -> None:
    twice = [] if data is None else [name for name in grid if name in data.variables or name in data.dims]
    if twice:
        raise ValidationError(
            f"sweep: {listed(twice)} names a setting, or the seeds, and also something that measure returned. Return "
            "it under another name."
        )


def _labels(values: list[Any]) -> list[Any]:
    plain = all(isinstance(value, (str, bool, int, float, np.generic)) for value in values)
    return values if plain else list(range(len(values)))


def _form(data: xr.Dataset) -> dict[str, dict[str, int]]:
    return {str(name): {str(k): n for k, n in variable.sizes.items()} for name, variable in data.data_vars.items()}


def _named(point: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {str(value)[:40]}" for name, value in point.items())


def _claim(folder: Path, measure: Callable[..., Any]) -> None:
    """Say in the folder which function's results it holds, or refuse if it holds those of another one."""
    about, bound = _described(measure)
    about |= {"bound": joblib.hash(bound)} if bound else {}
    file = folder / _ABOUT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = json.loads(file.read_text()) if file.exists() else None
        if known is None:
            file.write_text(json.dumps(about))
    except (OSError, ValueError) as error:
        raise StorageError(f"sweep: store '{folder}' cannot be used: {error}. Choose another folder.") from error
    if known not in (None, about):
        what = "another text of it, or other values bound to it," * (known.get("measure") == about["measure"])
        what = what or repr(known.get("measure"))
        raise StorageError(
            f"sweep: store '{folder}' holds what {what} measured, not this {about['measure']!r}. Choose another folder,"
            " or delete that one."
        )


def _described(measure: Any, above: tuple[int, ...] = ()) -> tuple[dict[str, str], list[Any]]:
    """Return name and text of a function, and what is bound to it: arguments, closures, defaults, the object."""
    bound: list[Any] = []
    while isinstance(measure, functools.partial):
        bound += [measure.args, sorted(measure.keywords.items())]
        measure = measure.func
    if inspect.ismethod(measure):
        bound.append(measure.__self__)
        measure = measure.__func__
    elif not inspect.isroutine(measure):  # an object that can be called
        bound.append(measure)
        measure = type(measure).__call__
    bound += [cell.cell_contents for cell in getattr(measure, "__closure__", None) or ()]
    bound += [
        each for each in (getattr(measure, "__defaults__", None), getattr(measure, "__kwdefaults__", None)) if each
    ]
    try:
        text = inspect.getsource(measure)
    except (OSError, TypeError):  # typed at a prompt, or compiled
        code = getattr(measure, "__code__", None)
        plain = [] if code is None else [c for c in code.co_consts if isinstance(c, (str, int, float))]
        text = "" if code is None else repr((code.co_code, code.co_names, code.co_varnames, plain))
    name = f"{getattr(measure, '__module__', '')}.{getattr(measure, '__qualname__', type(measure).__name__)}"
    above = (*above, id(measure))
    return {"measure": name, "text": joblib.hash(text)}, [_value(each, above) for each in bound]


def _value(value: Any, above: tuple[int, ...]) -> Any:
    """Return what tells a bound value from others: its hash; of a function what it is and what is bound to it."""
    if isinstance(value, (tuple, list)):
        return [_value(each, above) for each in value]
    if isinstance(value, functools.partial) or inspect.isroutine(value):
        return None if id(value) in above else _described(value, above)
    if inspect.ismodule(value):
        return value.__name__
    try:
        return joblib.hash(value)
    except Exception as error:  # pickle raises all kinds for what it cannot keep
        raise StorageError(
            f"sweep: what is bound to measure, a {type(value).__qualname__}, cannot be told from others of its kind "
            f"({error}), so a store might hold another one's results. Give measure what it is made from, or leave out "
            "store."
        ) from error


def _read(file: Path | None) -> xr.Dataset | None:
    return read_tree(file).to_dataset() if file is not None and file.exists() else None
