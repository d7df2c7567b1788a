"""The written schema of a result tree, and the check that every tree passes before it is returned or stored.

A result is a plain `xarray.DataTree`. Both engines produce it, analysis reads it and never asks which engine ran.
All quantities are SI (times in seconds) or dimensionless; ``N(p)`` is the number of units of population p.

``/`` has no variables. Attributes:

==================  ==========  ================================================================================
``schema_version``  int         1
``circuit``         JSON text   the declaration; likewise ``protocol`` and ``engine``
``seed``            int
``content_hash``    text        SHA-256 of circuit, protocol, engine and seed (`neurocircuits.results.content_hash`)
``versions``        JSON text   of Python and the packages
``created_at``      text        ISO 8601, UTC
``wall_time``       float >= 0  seconds
``git_hash``        text        commit of the package's checkout, empty if it has none
``platform``        text
``dale_violations`` int >= 0    weights that had the wrong sign
``unconstrained``   0 or 1      1: the circuit was declared without Dale's law
``complete``        0 or 1      0: the run was cut off; the numbers may then be NaN or infinite
==================  ==========  ================================================================================

``/populations/<name>``: what was recorded, ``(time, unit)`` or ``(time,)``, numeric or bool; usually ``r``,
``excitation`` and ``inhibition``. The last two are magnitudes, >= 0 to rounding, unless the circuit is unconstrained
or the population spiking (a synaptic current changes sign at its reversal potential). Attributes ``sign`` (+1 or -1;
0 too if unconstrained), ``n_units`` (int > 0), ``spiking`` (0 or 1). Coordinates on ``time``: ``time`` (float, s, end
of the presentation; the presentations of a batch share it), ``phase`` (text), ``presentation`` (int, running number
over the protocol), ``label`` (int, float, bool or text; -1 if there is none). Recording at intervals adds
``time_in_presentation`` (float, s; NaN for samples at the end). Without it ``presentation`` is unique. If fewer units
than ``n_units`` were recorded, the coordinate ``unit`` holds their distinct indices.

``/slow/<population>``: slow variables ``(time, unit)``, float, and sub-expressions of them; snapshots at the start of
the run (phase "initial") and at the end of each phase. Coordinates on ``time``: ``time``, ``phase``.

``/synapses/<pathway>``: ``w(time, post, pre)``, or ``w(time, synapse)`` with int coordinates ``post(synapse)`` and
``pre(synapse)``, and ``delay(synapse)`` (float >= 0, s) where delays differ; float, magnitudes >= 0 unless
unconstrained; snapshots as in ``/slow``. Attributes ``pre``, ``post``
(names), ``sign`` (that of ``pre``), ``plastic`` (0 or 1). A tied pathway has no variables and the attributes
``tied_to``, the pathway whose array it reads, and ``transposed`` (0 or 1). ``kept`` (int) says how many synapses the
protocol keeps, where it does not keep all; with 0 there are no variables.

``/stimuli/<population>``: ``onset`` (float >= 0, s), ``duration`` (float > 0, s), ``label``, ``index`` (int), each
``(presentation,)``, with the int coordinate ``presentation``; recorded presentations only.

``/spikes/<population>``: ``unit`` (int, 0 to N - 1) and ``time`` (float, s), each ``(event,)``; where
presentations share a time, also ``presentation`` (int).

``/diagnostics``: ``residual``, ``iterations``, ``distance``, each ``(time,)``, with the coordinates of the
populations; NaN where an engine has none. ``/diagnostics/phases``: per ``(phase,)``, with the text coordinate
``phase``: ``residual_worst``, ``iterations_mean``, ``distance_worst``, ``n_presentations``.

Groups that would be empty may be absent. Text is fixed-width (NumPy kind "U"). Other attributes are allowed, other
top-level groups are not.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from neurocircuits.errors import ValidationError, listed

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = 1
INITIAL = "initial"

_GROUPS = ("populations", "slow", "synapses", "stimuli", "spikes", "diagnostics")
_TEXT, _INT, _FLOAT, _NUMBER, _LABEL = "U", "iu", "f", "iufb", "iufbU"
_KINDS = {_TEXT: "text", _INT: "int", _FLOAT: "float", _NUMBER: "numeric or bool", _LABEL: "int, float, bool or text"}
_ROUNDING = 1e-9


def validate(tree: xr.DataTree) -> xr.DataTree:
    """Check a result tree against the written schema (the text of this module).

    Parameters
    ----------
    tree : xarray.DataTree
        The tree of one run.

    Returns
    -------
    xarray.DataTree
        The same tree.

    Raises
    ------
    ValidationError
        At the first departure; the message names group, variable, value and remedy.
    """
    unconstrained, complete = _check_root(tree)
    for name in tree.children:
        if name not in _GROUPS:
            _fail(
                f"/{name}", "unknown group", f"Groups are {listed(_GROUPS)}; keep other results in a tree of their own."
            )
    checks = {
        "populations": _check_population,
        "slow": _check_slow,
        "stimuli": _check_stimulus,
        "spikes": _check_spikes,
    }
    for kind, check in checks.items():
        for name, node in _members(tree, kind).items():
            check(f"/{kind}/{name}", node.to_dataset(inherit=False), tree, unconstrained)
    for name, node in _members(tree, "synapses").items():
        _check_pathway(f"/synapses/{name}", node.to_dataset(inherit=False), tree, unconstrained)
    if "diagnostics" in tree.children:
        _check_diagnostics(tree)
    if complete:
        _check_finite(tree)
    return tree


def _fail(group: str, what: str, remedy: str) -> NoReturn:
    raise ValidationError(f"result tree, group '{group}': {what}.\n  {remedy}")


def _members(tree: xr.DataTree, kind: str) -> dict[str, xr.DataTree]:
    if kind not in tree.children:
        return {}
    if tree.children[kind].to_dataset(inherit=False).variables:
        _fail(f"/{kind}", "has variables of its own", f"Variables belong to '/{kind}/<name>'.")
    return dict(tree.children[kind].children)


def _attribute(
    group: str, attrs: Mapping[Any, Any], name: str, kind: type, allowed: Iterable[Any] | None = None
) -> Any:
    """Return an attribute after checking its type and, where they are listed, its values."""
    words: dict[type, str] = {str: "text", Integral: "an int", Real: "a number"}
    if name not in attrs:
        _fail(group, f"attribute '{name}' is missing", f"It is {words[kind]}; the attributes are {listed(attrs)}.")
    value = attrs[name]
    if not isinstance(value, kind) or (kind is not str and isinstance(value, bool)):
        _fail(group, f"attribute '{name}' is {value!r} ({type(value).__name__})", f"It must be {words[kind]}.")
    if allowed is not None and value not in allowed:
        _fail(group, f"attribute '{name}' is {value!r}", f"Allowed: {listed(allowed)}.")
    return value


def _check_root(tree: xr.DataTree) -> tuple[bool, bool]:
    attrs = tree.attrs
    version = _attribute("/", attrs, "schema_version", Integral)
    if version != SCHEMA_VERSION:
        remedy = f"This version reads {SCHEMA_VERSION}; install the version of neurocircuits named in 'versions'."
        _fail("/", f"attribute 'schema_version' is {version}", remedy)
    for name in ("circuit", "protocol", "engine", "versions"):
        text = _attribute("/", attrs, name, str)
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            _fail("/", f"attribute '{name}' is not JSON: {error}", "Store the declaration as JSON text.")
    for name in ("content_hash", "created_at", "git_hash", "platform"):
        _attribute("/", attrs, name, str)
    _attribute("/", attrs, "seed", Integral)
    if not _attribute("/", attrs, "wall_time", Real) >= 0:
        _fail("/", f"attribute 'wall_time' is {attrs['wall_time']!r}", "It is the seconds that the run took, >= 0.")
    if _attribute("/", attrs, "dale_violations", Integral) < 0:
        _fail("/", f"attribute 'dale_violations' is {attrs['dale_violations']!r}", "It is a count, >= 0.")
    unconstrained = _attribute("/", attrs, "unconstrained", Integral, (0, 1))
    complete = _attribute("/", attrs, "complete", Integral, (0, 1))
    if tree.to_dataset(inherit=False).variables:
        _fail("/", "has variables", "The root carries attributes only.")
    return bool(unconstrained), bool(complete)


def _variable(group: str, data: xr.Dataset, name: str, kinds: str, dims: Collection[tuple[str, ...]]) -> xr.DataArray:
    """Return a variable or coordinate after checking that it exists, its dimensions and its dtype."""
    allowed = " or ".join(str(d) for d in dims)
    if name not in data.variables:
        _fail(
            group,
            f"'{name}' is missing",
            f"It is {_KINDS[kinds]} over {allowed}; the group has {listed(data.variables)}.",
        )
    array = data[name]
    if array.dims not in dims:
        _fail(group, f"'{name}' has dimensions {array.dims}", f"It must have {allowed}.")
    if array.dtype.kind not in kinds:
        _fail(group, f"'{name}' has dtype {array.dtype}", f"It must be {_KINDS[kinds]}.")
    return array


def _not_negative(group: str, array: xr.DataArray, tolerance: float, remedy: str) -> None:
    """Refuse values below zero by more than ``tolerance`` times the largest magnitude; NaN is judged elsewhere."""
    values = array.values
    below = values < -tolerance * np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
    if below.any():
        first = tuple(int(i) for i in np.argwhere(below)[0])
        at = ", ".join(f"{dim} {i}" for dim, i in zip(array.dims, first, strict=True))
        what = f"{int(below.sum())} of {values.size} values of '{array.name}' are negative"
        _fail(group, f"{what} (first: {values[first]:.6g} at {at})", remedy)


def _check_snapshot_times(group: str, data: xr.Dataset) -> None:
    for name, kinds in (("time", _FLOAT), ("phase", _TEXT)):
        _variable(group, data, name, kinds, [("time",)])


def _check_sample_times(group: str, data: xr.Dataset) -> None:
    _check_snapshot_times(group, data)
    key = _variable(group, data, "presentation", _INT, [("time",)]).values[:, np.newaxis].astype(float)
    _variable(group, data, "label", _LABEL, [("time",)])
    if "time_in_presentation" in data.variables:
        within = _variable(group, data, "time_in_presentation", _FLOAT, [("time",)])
        key = np.column_stack([key, np.nan_to_num(within.values, nan=np.inf)])
    distinct, counts = np.unique(key, axis=0, return_counts=True)
    if (counts > 1).any():
        repeated = int(distinct[np.argmax(counts > 1), 0])
        remedy = (
            "It runs over the whole protocol; samples within a presentation need the coordinate 'time_in_presentation'."
        )
        _fail(group, f"'presentation' holds {repeated} more than once", remedy)


def _check_population(group: str, data: xr.Dataset, tree: xr.DataTree, unconstrained: bool) -> None:
    _attribute(group, data.attrs, "sign", Integral, (-1, 0, 1) if unconstrained else (-1, 1))
    n_units = _attribute(group, data.attrs, "n_units", Integral)
    spiking = _attribute(group, data.attrs, "spiking", Integral, (0, 1))
    if n_units < 1:
        _fail(group, f"attribute 'n_units' is {n_units}", "A population has at least one unit.")
    if not data.data_vars:
        return
    _check_sample_times(group, data)
    _check_units(group, data, n_units)
    for name in map(str, data.data_vars):
        array = _variable(group, data, name, _NUMBER, [("time", "unit"), ("time",)])
        if name in ("excitation", "inhibition") and not (unconstrained or spiking):
            remedy = (
                "It is a magnitude; the sign belongs to the source. Rectify the rates of the source (a negative rate "
                "turns its sign around), or declare the circuit with dale='unconstrained'."
            )
            _not_negative(group, array, _ROUNDING, remedy)


def _check_units(group: str, data: xr.Dataset, n_units: int) -> None:
    if "unit" in data.coords:
        unit = _variable(group, data, "unit", _INT, [("unit",)]).values
        if unit.size != np.unique(unit).size:
            _fail(group, f"coordinate 'unit' is {unit.tolist()}", f"It holds distinct indices from 0 to {n_units - 1}.")
        _check_index(group, data["unit"], n_units)
    elif data.sizes.get("unit", n_units) != n_units:
        what = f"{data.sizes['unit']} units are recorded of n_units = {n_units}"
        _fail(group, what, "Record all of them, or name those recorded in the coordinate 'unit'.")


def _check_slow(group: str, data: xr.Dataset, tree: xr.DataTree, unconstrained: bool) -> None:
    _check_snapshot_times(group, data)
    for name in map(str, data.data_vars):
        _variable(group, data, name, _FLOAT, [("time", "unit")])
    n_units = _n_units(tree, group.rsplit("/", 1)[1])
    if n_units is not None:
        _check_units(group, data, n_units)


def _n_units(tree: xr.DataTree, population: str) -> int | None:
    path = f"/populations/{population}"
    return int(tree[path].attrs["n_units"]) if population in _members(tree, "populations") else None


def _check_pathway(group: str, data: xr.Dataset, tree: xr.DataTree, unconstrained: bool) -> None:
    sides = {side: _attribute(group, data.attrs, side, str) for side in ("post", "pre")}
    sign = _attribute(group, data.attrs, "sign", Integral, (-1, 0, 1) if unconstrained else (-1, 1))
    populations = _members(tree, "populations")
    if sides["pre"] in populations and not unconstrained and populations[sides["pre"]].attrs["sign"] != sign:
        owner = populations[sides["pre"]].attrs["sign"]
        what = f"attribute 'sign' is {sign:+d}, but its source '{sides['pre']}' has {owner:+d}"
        _fail(group, what, "Every pathway of a population has the population's sign (Dale's law).")
    if "tied_to" in data.attrs:
        owner = _attribute(group, data.attrs, "tied_to", str, tuple(_members(tree, "synapses")))
        if data.data_vars or "tied_to" in tree[f"/synapses/{owner}"].attrs:
            what = "has weights of its own" if data.data_vars else f"'{owner}' is tied itself"
            _fail(group, f"is tied to '{owner}', but {what}", "One pathway owns the array; the tied one reads it.")
        return
    _attribute(group, data.attrs, "plastic", Integral, (0, 1))
    if not data.data_vars and "kept" in data.attrs and _attribute(group, data.attrs, "kept", Integral) == 0:
        return
    weights = _variable(group, data, "w", _FLOAT, [("time", "post", "pre"), ("time", "synapse")])
    _check_snapshot_times(group, data)
    for side, population in sides.items():
        n_units = _n_units(tree, population)
        if "synapse" in weights.dims:
            _check_index(group, _variable(group, data, side, _INT, [("synapse",)]), n_units)
        elif n_units is not None and weights.sizes[side] != n_units:
            what = f"'w' has {weights.sizes[side]} along '{side}', but population '{population}' has {n_units} units"
            _fail(group, what, "Weights are (time, post, pre), one row per unit of post; perhaps they are transposed.")
    if "delay" in data.coords:
        _not_negative(group, _variable(group, data, "delay", _FLOAT, [("synapse",)]), 0.0, "A delay is a time in s.")
    if not unconstrained:
        source = f"Weights are magnitudes; the sign comes from population '{sides['pre']}'"
        remedy = f"{source}. Signed weights need dale='unconstrained'."
        _not_negative(group, weights, 0.0, remedy)


def _check_stimulus(group: str, data: xr.Dataset, tree: xr.DataTree, unconstrained: bool) -> None:
    kinds = {"onset": _FLOAT, "duration": _FLOAT, "label": _LABEL, "index": _INT, "presentation": _INT}
    for name, kind in kinds.items():
        _variable(group, data, name, kind, [("presentation",)])
    _not_negative(group, data["onset"], 0.0, "It is the time since the start of the run, in seconds.")
    if not (data["duration"].values > 0).all():
        _fail(
            group,
            f"the shortest 'duration' is {data['duration'].values.min():g} s",
            "A presentation lasts longer than 0 s.",
        )


def _check_spikes(group: str, data: xr.Dataset, tree: xr.DataTree, unconstrained: bool) -> None:
    _variable(group, data, "time", _FLOAT, [("event",)])
    _check_index(group, _variable(group, data, "unit", _INT, [("event",)]), _n_units(tree, group.rsplit("/", 1)[1]))
    if "presentation" in data:
        _variable(group, data, "presentation", _INT, [("event",)])


def _check_index(group: str, index: xr.DataArray, n_units: int | None) -> None:
    """Refuse indices that are not those of units; the number of units is not known if the population is not stored."""
    values = index.values
    if values.size and (values.min() < 0 or (n_units is not None and values.max() >= n_units)):
        what = f"'{index.name}' runs from {values.min()} to {values.max()}"
        _fail(group, what, f"It holds indices of units, counted from 0; the population has {n_units}.")


def _check_diagnostics(tree: xr.DataTree) -> None:
    node = tree.children["diagnostics"]
    data = node.to_dataset(inherit=False)
    if data.data_vars:
        _check_sample_times("/diagnostics", data)
        for name in map(str, data.data_vars):
            _variable("/diagnostics", data, name, _NUMBER, [("time",)])
    if "phases" in node.children:
        phases = node.children["phases"].to_dataset(inherit=False)
        _variable("/diagnostics/phases", phases, "phase", _TEXT, [("phase",)])
        for name in map(str, phases.data_vars):
            _variable("/diagnostics/phases", phases, name, _NUMBER, [("phase",)])


def _check_finite(tree: xr.DataTree) -> None:
    """Refuse NaN and infinity everywhere but in the diagnostics, the labels and the place within a presentation."""
    for kind in _GROUPS[:-1]:
        for name, node in _members(tree, kind).items():
            for variable, array in node.to_dataset(inherit=False).variables.items():
                if array.dtype.kind != "f" or variable in ("label", "time_in_presentation"):
                    continue
                bad = ~np.isfinite(array.values)
                if bad.any():
                    what = f"{int(bad.sum())} of {bad.size} values of '{variable}' are NaN or infinite"
                    remedy = "A finished run has finite results; one that was cut off or diverged has complete = 0."
                    _fail(f"/{kind}/{name}", what, remedy)
