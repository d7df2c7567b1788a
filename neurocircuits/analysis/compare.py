"""Comparison of two runs: per variable, phase and unit, whichever engines made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neurocircuits.analysis._select import Array, Values, labelled, last_of_presentation, members, ratio
from neurocircuits.errors import ValidationError, listed

_MEASURES = {
    "rms": "root mean square of b - a",
    "largest": "largest |b - a|",
    "relative": "rms over the root mean square of a",
    "correlation": "Pearson correlation of a and b",
}


class _Pair(NamedTuple):
    """Values of one variable in one phase that belong together, both (samples, unit, ...), and the units' names."""

    path: str
    phase: str
    a: Array
    b: Array
    unit: Array


def compare(a: xr.DataTree, b: xr.DataTree) -> xr.DataTree:
    """Compare two result trees of the same circuit and protocol.

    Activity is aligned by phase and running number of the presentation (last sample of each, so recordings at intervals
    and at the end compare), weights and slow variables by phase and their order in it counted from its end, units by
    their index. What only one tree has is left out and named.

    Parameters
    ----------
    a, b : xarray.DataTree
        Results; ``a`` is the reference of relative differences.

    Returns
    -------
    xarray.DataTree
        Root: one entry per variable and phase with its measures over all units, dims ``(entry,)``: ``variable`` (path,
        such as "/synapses/S_to_E/w"), ``phase``, ``n_samples``, ``n_units``, ``rms``, ``largest``, ``relative``,
        ``correlation`` (`difference`); attributes ``only_a``, ``only_b`` list what was left out. Below, a group of the
        name of each variable: the same measures per ``(phase, unit)``; the unit of a weight is its ``post``.

    Raises
    ------
    ValidationError
        If the trees have nothing in common that can be compared, or a shared variable has different units.

    Notes
    -----
    A correlation near 1 says nothing of scale, and a relative difference is judged best beside that of two seeds.
    """
    found_a, found_b = dict(_variables(a)), dict(_variables(b))
    pairs = [pair for path in found_a if path in found_b for pair in _pairs(path, found_a[path], found_b[path])]
    if not pairs:
        contents = "\n  ".join(_contents(name, found) for name, found in (("a", found_a), ("b", found_b)))
        raise ValidationError(f"nothing to compare: no variable, phase and presentation in common.\n  {contents}")
    entries = [difference(pair.a, pair.b) for pair in pairs]
    values: Values = {
        name: (("entry",), [float(entry[name]) for entry in entries], _units(name), text)
        for name, text in _MEASURES.items()
    }
    values |= {
        "variable": (("entry",), [pair.path for pair in pairs], "1", "path in both trees"),
        "phase": (("entry",), [pair.phase for pair in pairs], "1", "phase of the protocol"),
        "n_samples": (("entry",), [pair.a.shape[0] for pair in pairs], "1", "presentations or snapshots compared"),
        "n_units": (("entry",), [pair.a.shape[1] for pair in pairs], "1", "units compared"),
    }
    only: dict[str, Any] = {
        "only_a": [path for path in found_a if path not in found_b],
        "only_b": [path for path in found_b if path not in found_a],
    }
    groups = {"/": labelled(values, **only)}
    for path in dict.fromkeys(pair.path for pair in pairs):
        groups[path] = _per_unit([pair for pair in pairs if pair.path == path])
    return xr.DataTree.from_dict(groups)


def difference(a: Array, b: Array, axis: int | tuple[int, ...] | None = None) -> dict[str, Array]:
    """Measure how arrays of one shape differ, over an axis, axes, or everything.

    Returns
    -------
    dict
        ``rms`` sqrt(<(b - a)^2>), ``largest`` max |b - a|, ``relative`` rms/sqrt(<a^2>) (0 for equal arrays of zeros,
        infinite if only a is zero), ``correlation`` (Pearson, NaN if either does not vary). The first two are in the
        unit of the arrays.

    Raises
    ------
    ValidationError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> result = difference(np.array([3.0, 4.0]), np.array([6.0, 8.0]))
    >>> float(result["relative"]), float(result["largest"])
    (1.0, 4.0)
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        raise ValidationError(f"difference: a {a.shape} and b {b.shape}; give arrays of one shape.")
    rms, size = (np.sqrt(np.mean(x**2, axis=axis)) for x in (b - a, a))
    relative = np.where(rms == 0, 0.0, np.where(size == 0, np.inf, ratio(rms, size)))
    centred_a, centred_b = (x - np.mean(x, axis=axis, keepdims=True) for x in (a, b))
    spread = np.sqrt(np.sum(centred_a**2, axis=axis) * np.sum(centred_b**2, axis=axis))
    correlation = np.asarray(ratio(np.sum(centred_a * centred_b, axis=axis), spread))
    return {"rms": rms, "largest": np.max(np.abs(b - a), axis=axis), "relative": relative, "correlation": correlation}


def _units(measure: str) -> str:
    return "as the variable" if measure in ("rms", "largest") else "1"


def _variables(tree: xr.DataTree) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield path and values of every variable that can be compared, activity at the end of presentations."""
    for kind in ("populations", "slow", "synapses"):
        for name, node in members(tree, kind).items():
            data = node.to_dataset()
            if "time_in_presentation" in data.coords:
                data = data.isel(time=last_of_presentation(data))
            for variable, array in data.data_vars.items():
                if array.dtype.kind in "iufb" and array.sizes.get("time", 0):
                    yield f"/{kind}/{name}/{variable}", array


def _pairs(path: str, a: xr.DataArray, b: xr.DataArray) -> Iterator[_Pair]:
    """Yield what two recordings of one variable have in common, one pair per phase."""
    if a.dims != b.dims:
        raise ValidationError(f"'{path}' cannot be compared: dimensions {a.dims} in a, {b.dims} in b.")
    (a, b), unit = _same_units(path, a, b)
    keys_a, keys_b = _keys(a), _keys(b)
    phases = a["phase"].values
    for phase in dict.fromkeys(phases.tolist()):
        shared = [key for key in keys_a if key[0] == phase and key in keys_b]
        if shared:
            rows_a, rows_b = ([keys[key] for key in shared] for keys in (keys_a, keys_b))
            yield _Pair(path, phase, _by_unit(a.values[rows_a]), _by_unit(b.values[rows_b]), unit)


def _keys(array: xr.DataArray) -> dict[tuple[str, int], int]:
    """Return the row of each (phase, presentation), or of each (phase, order from its end) for snapshots."""
    phases = array["phase"].values.tolist()
    if "presentation" in array.coords:
        return {key: row for row, key in enumerate(zip(phases, array["presentation"].values.tolist(), strict=True))}
    return {(phase, phases[row + 1 :].count(phase)): row for row, phase in enumerate(phases)}


def _same_units(path: str, a: xr.DataArray, b: xr.DataArray) -> tuple[tuple[xr.DataArray, xr.DataArray], Array]:
    """Return both arrays restricted to the units that they share, and the indices of these units."""
    dim = next((d for d in ("unit", "post", "synapse") if d in a.dims), None)
    if dim is None:
        return (a, b), np.arange(1)
    if dim == "unit" and ("unit" in a.coords or "unit" in b.coords):
        names_a, names_b = (x["unit"].values if "unit" in x.coords else np.arange(x.sizes["unit"]) for x in (a, b))
        unit, rows_a, rows_b = np.intersect1d(names_a, names_b, return_indices=True)
        a, b = a.isel(unit=rows_a), b.isel(unit=rows_b)
    else:
        unit = np.arange(a.sizes[dim])
    if a.shape[1:] != b.shape[1:] or unit.size == 0:
        sizes = " and ".join(str({str(d): n for d, n in x.sizes.items() if d != "time"}) for x in (a, b))
        raise ValidationError(f"'{path}' cannot be compared: {sizes}, or no unit in common. The circuits differ.")
    return (a, b), unit


def _by_unit(values: Array) -> Array:
    """Return values (samples, unit, ...) with a unit axis even where a variable has one value per sample."""
    return values if values.ndim > 1 else values[:, np.newaxis]


def _per_unit(pairs: list[_Pair]) -> xr.Dataset:
    per_phase = [difference(pair.a, pair.b, axis=(0, *range(2, pair.a.ndim))) for pair in pairs]
    values: Values = {
        name: (("phase", "unit"), np.stack([entry[name] for entry in per_phase]), _units(name), text)
        for name, text in _MEASURES.items()
    }
    return labelled(values, {"phase": [pair.phase for pair in pairs], "unit": pairs[0].unit})


def _contents(name: str, found: dict[str, xr.DataArray]) -> str:
    phases = dict.fromkeys(phase for array in found.values() for phase in array["phase"].values.tolist())
    return f"{name} has {listed(found)} in phases {listed(phases)}"
