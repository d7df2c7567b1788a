"""Result trees made by hand: a disynaptic circuit's tree with whatever numbers a test wants in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

ROOT: dict[str, Any] = {
    "schema_version": 1,
    "circuit": "{}",
    "protocol": "{}",
    "engine": "{}",
    "seed": 0,
    "content_hash": "0" * 64,
    "versions": "{}",
    "created_at": "2024-01-01T00:00:00+00:00",
    "wall_time": 1.5,
    "git_hash": "",
    "platform": "any",
    "dale_violations": 0,
    "unconstrained": 0,
    "complete": 1,
}


def make_tree(
    r: Any = None,
    excitation: Any = None,
    inhibition: Any = None,
    source: Any = None,
    w: Any = None,
    a: Any = None,
    gain: Any = None,
    phase: Sequence[str] | str = "probe",
    presentation: Any = None,
    label: Any = None,
    within: Any = None,
    snapshots: Sequence[str] = ("initial", "learn"),
    unit: Any = None,
    **root: Any,
) -> xr.DataTree:
    """Return a legal tree of S (n_S), E (n_E) and I (n_I), S_to_E, E_to_I and I_to_E tied to it.

    Activity is (time, unit), snapshots (time, post, pre) or (time, unit); random where it is not given. ``within`` is
    the time in the presentation of recordings at intervals, ``unit`` the recorded units of E, ``root``
    changes attributes.
    """
    random = np.random.default_rng(0)
    n = len(snapshots)
    r = random.exponential(size=(12, 4)) * (random.random((12, 4)) < 0.5) if r is None else np.asarray(r)
    n_time, n_e = r.shape
    w = random.random((n, n_e, 9)) if w is None else np.asarray(w)
    a = random.random((n, 2, n_e)) if a is None else np.asarray(a)
    gain = np.ones((n, n_e)) if gain is None else np.asarray(gain)
    source = random.random((n_time, w.shape[2])) if source is None else np.asarray(source)
    excitation = r + 1.0 if excitation is None else np.asarray(excitation)
    inhibition = np.full(r.shape, 1.0) if inhibition is None else np.asarray(inhibition)
    presentation = np.arange(n_time) if presentation is None else np.asarray(presentation)
    phases = np.full(n_time, phase) if isinstance(phase, str) else np.array(phase)
    names = np.unique(phases)
    times = {
        "time": ("time", 0.1 * (presentation + 1.0)),
        "phase": ("time", phases),
        "presentation": ("time", presentation),
        "label": ("time", np.arange(n_time) % 3 if label is None else np.asarray(label)),
    }
    if within is not None:
        times["time_in_presentation"] = ("time", np.asarray(within, float))
    instants = {"time": ("time", np.arange(float(n))), "phase": ("time", np.array(snapshots))}
    e_units = {} if unit is None else {"unit": np.asarray(unit)}

    def population(sign: int, size: int, coords: dict[str, Any] | None = None, **variables: Any) -> xr.Dataset:
        data = {name: (("time", "unit"), values) for name, values in variables.items()}
        return xr.Dataset(data, times | (coords or {}), {"sign": sign, "n_units": size, "spiking": 0})

    n_units = n_e if unit is None else max(n_e, int(np.max(unit)) + 1)
    every = {} if within is None else {"time_in_presentation": times["time_in_presentation"]}
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs=ROOT | root),
            "/populations/S": population(1, source.shape[1], r=source),
            "/populations/E": population(1, n_units, e_units, r=r, excitation=excitation, inhibition=inhibition),
            "/populations/I": xr.Dataset(attrs={"sign": -1, "n_units": a.shape[1], "spiking": 0}),
            "/slow/E": xr.Dataset({"gain": (("time", "unit"), gain)}, instants | e_units),
            "/synapses/S_to_E": pathway(w, instants, pre="S", post="E", sign=1, plastic=1),
            "/synapses/E_to_I": pathway(a, instants, pre="E", post="I", sign=1, plastic=1),
            "/synapses/I_to_E": xr.Dataset(attrs={"pre": "I", "post": "E", "sign": -1, "tied_to": "E_to_I"}),
            "/stimuli/S": stimuli(np.unique(presentation)),
            "/diagnostics": xr.Dataset({"residual": ("time", np.full(n_time, np.nan))}, times | every),
            "/diagnostics/phases": xr.Dataset({"residual_worst": ("phase", np.zeros(names.size))}, {"phase": names}),
        }
    )


def pathway(weights: np.ndarray, instants: dict[str, Any], **attrs: Any) -> xr.Dataset:
    return xr.Dataset({"w": (("time", "post", "pre"), weights)}, instants, attrs)


def stimuli(presentation: np.ndarray) -> xr.Dataset:
    n = presentation.size
    values = {"onset": 0.1 * presentation, "duration": np.full(n, 0.1), "label": np.arange(n), "index": np.arange(n)}
    return xr.Dataset({k: ("presentation", v) for k, v in values.items()}, {"presentation": presentation})
