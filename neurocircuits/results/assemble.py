"""Assembling: collected rows as a labelled tree, in memory or streamed into a store part by part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.results.collect import Collector
from neurocircuits.results.storage import write_parts

if TYPE_CHECKING:
    import xarray as xr

_COORDINATES = ("time", "phase", "presentation", "label", "time_in_presentation")


def assemble(collector: Collector, attributes: dict[str, Any]) -> xr.DataTree:
    """Return everything collected as one tree in memory.

    Parameters
    ----------
    collector : Collector
        What was collected.
    attributes : dict
        Root attributes.
    """
    import xarray as xr

    blocks: dict[str, list[np.ndarray]] = {}
    for part in collector.rows():
        for key, rows in part.items():
            blocks.setdefault(key, []).append(rows)
    gathered = {key: np.concatenate(rows) for key, rows in blocks.items()}
    cut = not attributes.get("complete", 1)
    return xr.DataTree.from_dict({**_frame(collector, attributes), **_datasets(collector, gathered, cut)})


def stream(collector: Collector, attributes: dict[str, Any], path: str | os.PathLike[str]) -> xr.DataTree:
    """Write everything collected to a store, one part in memory at a time, and return the tree that reads from it.

    Parameters
    ----------
    collector : Collector
        What was collected.
    attributes : dict
        Root attributes.
    path : path
        A folder; an earlier result there is replaced.
    """
    import xarray as xr

    cut = not attributes.get("complete", 1)
    write_parts(_frame(collector, attributes), (_datasets(collector, part, cut) for part in collector.rows()), path)
    return xr.open_datatree(path, engine="zarr", decode_times=False, chunks=None)


def _frame(collector: Collector, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the groups that are there whatever was recorded."""
    import xarray as xr

    frame: dict[str, Any] = {"/": xr.Dataset(attrs=attributes)}
    for name, population in collector.plan.populations.items():
        frame[f"/populations/{name}"] = xr.Dataset(attrs=_population_attributes(population))
    for name, pathway in collector.plan.pathways.items():
        frame[f"/synapses/{name}"] = xr.Dataset(attrs=_pathway_attributes(collector, pathway))
    frame["/diagnostics"] = xr.Dataset()
    frame["/diagnostics/phases"] = _phases(collector)
    return frame


def _population_attributes(population: Any) -> dict[str, int]:
    declared = population.declaration
    return {"sign": declared.sign_value, "n_units": declared.n_units, "spiking": int(declared.is_spiking)}


def _pathway_attributes(collector: Collector, pathway: Any) -> dict[str, Any]:
    attributes = {
        "pre": pathway.pre,
        "post": pathway.post,
        "sign": pathway.sign,
        "plastic": int(pathway.rule is not None or (pathway.events is not None and pathway.events.learns)),
    }
    n_kept = collector.keeps(pathway.name)
    attributes |= {} if n_kept is None else {"kept": n_kept}
    tied = not pathway.owns and not pathway.part
    return attributes | ({"tied_to": pathway.owner, "transposed": int(pathway.transposed)} if tied else {})


def _datasets(collector: Collector, rows: dict[str, np.ndarray], cut: bool = False) -> dict[str, Any]:
    """Return the groups that have rows; ``cut`` leaves out a row that a run did not finish writing."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key, values in rows.items():
        group, _, name = key.rpartition("/")
        groups.setdefault(group.rstrip("/"), {})[name] = values
    if cut:
        for group, variables in groups.items():
            n_whole = min(len(values) for values in variables.values())
            groups[group] = {name: values[:n_whole] for name, values in variables.items()}
    datasets = {}
    plan = collector.plan
    for group, variables in groups.items():
        kind, _, name = group.partition("/")
        if kind == "populations":
            datasets[f"/{group}"] = _dataset(
                collector, variables, ("time", "unit"), _population_attributes(plan.populations[name])
            )
            if name in collector.units:
                datasets[f"/{group}"] = datasets[f"/{group}"].assign_coords(unit=list(collector.units[name]))
        elif kind == "synapses":
            pairs = collector.pairs.get(name)
            dims = ("time", "post", "pre") if pairs is None else ("time", "synapse")
            datasets[f"/{group}"] = _dataset(
                collector, variables, dims, _pathway_attributes(collector, plan.pathways[name])
            )
            if pairs is not None:
                coordinates = {key: ("synapse", values) for key, values in pairs.items()}
                datasets[f"/{group}"] = datasets[f"/{group}"].assign_coords(coordinates)
        elif kind == "spikes":
            datasets[f"/{group}"] = _dataset(collector, variables, ("event",), {})
        elif kind == "stimuli":
            datasets[f"/{group}"] = _dataset(collector, variables, ("presentation",), {})
        else:
            datasets[f"/{group}"] = _dataset(collector, variables, ("time", "unit"), {})
    return datasets


def _dataset(
    collector: Collector, rows: dict[str, np.ndarray], dims: tuple[str, ...], attributes: dict[str, Any]
) -> Any:
    import xarray as xr

    names = np.array(collector.phases)
    coordinates: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for key, values in rows.items():
        if dims == ("event",):
            variables[key] = ("event", values)
        elif dims == ("presentation",):
            (coordinates if key == "presentation" else variables)[key] = ("presentation", values)
        elif key in _COORDINATES:
            coordinates[key] = ("time", names[values] if key == "phase" else values)
        else:
            variables[key] = (dims[: values.ndim], values)
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)


def _phases(collector: Collector) -> Any:
    import xarray as xr

    summaries = collector.summaries
    n = np.array([s["n_presentations"] for s in summaries], dtype=int)
    values = {
        "residual_worst": [s["residual_worst"] for s in summaries],
        "iterations_mean": [s["iterations"] / max(s["n_presentations"], 1.0) for s in summaries],
        "distance_worst": [s["distance_worst"] for s in summaries],
    }
    data: dict[str, Any] = {key: ("phase", np.array(value, dtype=float)) for key, value in values.items()}
    data["n_presentations"] = ("phase", n)
    return xr.Dataset(data, coords={"phase": np.array(collector.phases[1:])})
