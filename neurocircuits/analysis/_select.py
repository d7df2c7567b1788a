"""The one way in which analysis takes samples, weights and slow variables out of a result tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.errors import ValidationError, listed

ACTIVE = 1e-3
"""A sample is active above this fraction of the root mean square rate; see `active`."""

Array = np.ndarray
Values = dict[str, tuple[Any, ...]]
"""``name: (dims, values, units, description)``, what `labelled` makes a dataset of."""


def members(tree: xr.DataTree, kind: str) -> dict[str, xr.DataTree]:
    """Return the groups of one kind ("populations", "synapses", "slow") that a tree has, by name."""
    if not isinstance(tree, xr.DataTree):
        raise ValidationError(
            f"analysis: {type(tree).__name__} is no result tree. Give what run or load returned, an xarray.DataTree."
        )
    return dict(tree.children[kind].children) if kind in tree.children else {}


def group(tree: xr.DataTree, kind: str, name: str) -> xr.Dataset:
    """Return the dataset of ``/kind/name``; a ValidationError says what the tree has instead."""
    found = members(tree, kind)
    if name not in found:
        raise ValidationError(f"the tree has no group '/{kind}/{name}'; it has {kind}: {listed(found)}.")
    data = found[name].to_dataset()
    lost = [dim for dim in ("time", "unit") if dim in data.coords and data[dim].ndim == 0]
    if lost:
        raise ValidationError(
            f"'/{kind}/{name}' was reduced to one {lost[0]}. Keep it as a dimension: tree.isel({lost[0]}=[...])."
        )
    return data


def samples(
    tree: xr.DataTree,
    population: str,
    variables: Sequence[str] = ("r",),
    phase: str | None = None,
    ends: bool = True,
) -> xr.Dataset:
    """Take what was recorded of one population in one phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Result of a run.
    population : str
        Name of the population.
    variables : sequence of str
        Variables that are needed.
    phase : str or None
        Name of the phase; None if only one was recorded.
    ends : bool
        Whether recordings at intervals are reduced to the last sample of each presentation.

    Returns
    -------
    xarray.Dataset
        Those variables, dims ``time`` and ``unit``, with their coordinates.

    Raises
    ------
    ValidationError
        If the population, a variable or the phase is not in the tree, if the phase is not given and not unique, or if a
        sample is NaN.
    """
    data = group(tree, "populations", population)
    missing = [name for name in variables if name not in data.data_vars]
    if missing or data.sizes.get("time", 0) == 0:
        raise ValidationError(
            f"population '{population}' has no recorded activity of {listed(missing or variables)}; recorded: "
            f"{listed(data.data_vars)}. Ask for it in the phase: record=Record({', '.join(map(repr, variables))})."
        )
    phases = data["phase"].values
    names = list(dict.fromkeys(phases.tolist()))
    if phase is None and len(names) > 1:
        raise ValidationError(
            f"population '{population}' was recorded in several phases: {listed(names)}. Name one: phase=..."
        )
    if phase is not None and phase not in names:
        raise ValidationError(
            f"population '{population}' was not recorded in a phase '{phase}'; recorded phases: {listed(names)}."
        )
    data = data[list(variables)].isel(time=np.flatnonzero(phases == (names[0] if phase is None else phase)))
    data = data.isel(time=last_of_presentation(data)) if ends and "time_in_presentation" in data.coords else data
    for variable in variables:
        check_no_nan(data[variable].values, f"population '{population}': {variable}")
    return data


def check_no_nan(values: Array, what: str) -> None:
    """Raise a ValidationError if some values are NaN: nothing that is counted or ranked among them would be right."""
    n = int(np.isnan(values).sum()) if np.issubdtype(values.dtype, np.inexact) else 0
    if n:
        where = ", ".join(map(str, np.argwhere(np.isnan(values))[0]))
        raise ValidationError(
            f"{what} is NaN in {n} of {values.size} places, the first at [{where}]. Leave those presentations or units "
            "out, or find where they came from."
        )


def check_shapes(owner: str, **arrays: tuple[Any, str]) -> None:
    """Raise a ValidationError unless arrays, each with its dimensions such as "time unit", agree in their sizes."""
    sizes: dict[str, int] = {}
    for array, dims in arrays.values():
        names, shape = dims.split(), np.shape(array)
        if names[0] == "...":
            names, shape = names[1:], shape[max(len(shape) - len(names) + 1, 0) :]
        if len(names) != len(shape) or any(
            sizes.setdefault(*pair) != pair[1] for pair in zip(names, shape, strict=True)
        ):
            given = ", ".join(f"{name} {np.shape(each)}" for name, (each, _) in arrays.items())
            needed = ", ".join(f"{name} ({', '.join(of.split())})" for name, (_, of) in arrays.items())
            raise ValidationError(f"{owner}: {given} do not fit; give {needed}.")


def last_of_presentation(data: xr.Dataset) -> Array:
    """Return the row of the last sample of each presentation, in the order of presentations."""
    within = np.nan_to_num(data["time_in_presentation"].values, nan=np.inf)
    presentation = data["presentation"].values
    order = np.lexsort((within, presentation))
    is_last = np.append(np.diff(presentation[order]) != 0, True)
    return order[is_last]


def weights(tree: xr.DataTree, pathway: str, phase: str | None = None) -> xr.DataArray:
    """Take the weights of a pathway at the end of a phase.

    Parameters
    ----------
    tree : xarray.DataTree
        Result of a run.
    pathway : str
        Name of the synapses; a tied pathway is read from the one that owns its array.
    phase : str or None
        Name of the phase, "initial" for the start of the run, None for the end of the run.

    Returns
    -------
    xarray.DataArray
        Magnitudes, dims ``(post, pre)``; pairs that a sparse pathway does not connect are 0.

    Raises
    ------
    ValidationError
        If the pathway or the phase is not in the tree.
    """
    data = group(tree, "synapses", pathway)
    if "tied_to" in data.attrs:
        owner = weights(tree, data.attrs["tied_to"], phase)
        if not data.attrs.get("transposed", 1):
            return owner
        return owner.rename(post="pre", pre="post").transpose("post", "pre")
    last = snapshot(data, f"synapses '{pathway}'", "w", phase)
    if "synapse" not in last.dims:
        return last.transpose("post", "pre")
    post, pre = (data[side].values for side in ("post", "pre"))
    sizes = [tree[f"/populations/{data.attrs[side]}"].attrs["n_units"] for side in ("post", "pre")]
    dense = np.zeros(sizes)
    dense[post, pre] = last.values
    return xr.DataArray(dense, dims=("post", "pre"), name="w")


def slow(tree: xr.DataTree, population: str, variable: str, phase: str | None = None) -> xr.DataArray:
    """Take a slow variable, dims ``(unit,)``, at the end of a phase; parameters and errors as for `weights`."""
    return snapshot(group(tree, "slow", population), f"slow variables of '{population}'", variable, phase)


def snapshot(data: xr.Dataset, owner: str, variable: str, phase: str | None) -> xr.DataArray:
    """Return the last snapshot of a variable in a phase, or of all when the phase is None."""
    if variable not in data.data_vars or data.sizes.get("time", 0) == 0:
        raise ValidationError(f"{owner}: the tree has no '{variable}'; it has {listed(data.data_vars)}.")
    phases = data["phase"].values
    rows = np.arange(phases.size) if phase is None else np.flatnonzero(phases == phase)
    if rows.size == 0:
        raise ValidationError(
            f"{owner}: no snapshot of a phase '{phase}'; phases: {listed(dict.fromkeys(phases.tolist()))}."
        )
    return data[variable].isel(time=rows[-1])


def active(rates: Array, threshold: float = ACTIVE) -> Array:
    """Return where rates count as active: above ``threshold`` times the root mean square of all of them.

    At a steady state silent cells are exactly zero. In continuous time their rates decay exponentially and never are,
    so that ``r > 0`` would call every cell active; the fraction makes both engines comparable and is free of scale.
    """
    if not threshold >= 0:
        raise ValidationError(f"threshold = {threshold} must be a fraction >= 0 of the root mean square rate.")
    if rates.size == 0:
        return np.zeros(rates.shape, bool)
    return rates > threshold * np.sqrt(np.mean(np.square(rates, dtype=float)))


def ratio(numerator: Any, denominator: Any) -> Any:
    """Divide elementwise; NaN where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)[()]


def labelled(values: Values, coords: dict[str, Any] | None = None, **attrs: Any) -> xr.Dataset:
    """Build a dataset; keywords become its attributes."""
    data = {name: (dims, np.asarray(v), {"units": u, "description": d}) for name, (dims, v, u, d) in values.items()}
    return xr.Dataset(data, coords=coords, attrs=attrs)


def units_of(data: xr.Dataset) -> dict[str, Any]:
    """Return the coordinate ``unit`` of a recording as coordinates for a result, empty if all units were recorded."""
    return {"unit": data["unit"].values} if "unit" in data.coords else {}
