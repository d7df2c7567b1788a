"""Brian 2 objects from a plan: groups with our flags taken out, and the one place that owns Brian 2's global state."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from neurocircuits.compile.equations import brian_functions
from neurocircuits.compile.plan import PopulationPlan
from neurocircuits.units import Dimension, import_brian2, unit_text

PACE = "pace"


@contextmanager
def owned(target: str, dtype: str = "float64", device: str = "runtime", directory: str = "") -> Iterator[Any]:
    """Own Brian 2's global state (device, preferences, log level) and give it back.

    Parameters
    ----------
    target : str
        Code generation target of runtime code.
    dtype : str
        Default precision of floats.
    device : str
        ``runtime`` or ``cpp_standalone``.
    directory : str
        Where a standalone program is built.

    Yields
    ------
    module
        brian2.
    """
    b2 = import_brian2()
    from brian2.core.network import Network
    from brian2.devices.device import get_device, reset_device, set_device

    kept = {key: b2.prefs[key] for key in ("codegen.target", "core.default_float_dtype", "devices.cpp_standalone.extra_make_args_unix")}
    level = b2.logging.getLogger("brian2").level if hasattr(b2, "logging") else None
    before = get_device()
    try:
        if device == "runtime":
            set_device("runtime")
        else:
            set_device(device, directory=directory, build_on_run=False)
            get_device().reinit()
            get_device().activate(directory=directory, build_on_run=False)
            b2.prefs["devices.cpp_standalone.extra_make_args_unix"] = ["-j2"]
        b2.prefs["codegen.target"] = target
        b2.prefs["core.default_float_dtype"] = np.dtype(dtype).type
        gc.freeze()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="overflow encountered", category=RuntimeWarning)
            b2.BrianLogger.suppress_hierarchy("brian2.codegen")
            yield b2
    finally:
        gc.unfreeze()
        Network._globally_running = False
        for key, value in kept.items():
            b2.prefs[key] = value
        if get_device() is not before:
            get_device().reinit()
            reset_device(before)
        if level is not None:
            b2.logging.getLogger("brian2").setLevel(level)


def quantity_of(value: float, dimension: Dimension) -> Any:
    """Return a Brian 2 quantity."""
    from brian2.units.fundamentalunits import Quantity, get_or_create_dimension

    return Quantity.with_dimensions(value, get_or_create_dimension(dimension)) if any(dimension) else value


def group_equations(population: PopulationPlan, shared: Collection[str], paced: bool, summed: str = "") -> str:
    """Return the equations of a group: inputs, slow variables and overridden parameters become parameters.

    Parameters
    ----------
    population : PopulationPlan
        The population.
    shared : collection of str
        Parameters that change between phases.
    paced : bool
        Whether time steps differ between windows, so that the slopes are multiplied by the ratio of the steps.
    summed : str
        Equations that replace the inputs, for standalone programs.
    """
    dims, lines = population.dimensions, []
    for name, text in population.texts.items():
        unit = unit_text(dims[name])
        if name in population.states:
            flags = f" ({', '.join(population.flags[name])})" if population.flags.get(name) else ""
            lines.append(f"d{name}/dt = {f'{PACE}*({text})' if paced else text} : {unit}{flags}")
        elif name in population.slow:
            lines.append(f"{name} : {unit}")
        else:
            lines.append(f"{name} = {text} : {unit}")
    if summed:
        lines.append(summed)
    else:
        lines += [f"{name} : {unit_text(dims[name])}" for name in population.inputs]
    lines += [f"{name} : {unit_text(dims[name])} (shared)" for name in shared]
    if paced:
        lines.append(f"{PACE} : 1 (shared)")
    return "\n".join(lines)


def build_group(
    b2: Any,
    population: PopulationPlan,
    clock: Any,
    method: str,
    dtype: str,
    copies: int = 1,
    shared: Collection[str] = (),
    paced: bool = False,
    name: str = "",
    summed: str = "",
) -> Any:
    """Return a group for the fast states of a population, initial values set."""
    namespace = {key: quantity_of(value, population.dimensions[key]) for key, value in population.parameters.items() if key not in shared}
    group = b2.NeuronGroup(
        copies * population.n_units,
        group_equations(population, shared, paced, summed),
        method=method,
        clock=clock,
        dtype=np.dtype(dtype).type,
        namespace={**namespace, **brian_functions()},
        name=name or f"neurocircuits_{population.name}*",
    )
    for key, value in population.declaration.initial.items():
        if key in population.states or key in population.slow:
            setattr(group, f"{key}_", float(value)) if any(population.dimensions[key]) else setattr(group, key, float(value))
    for key in shared:
        setattr(group, f"{key}_", population.parameters[key]) if any(population.dimensions[key]) else setattr(
            group, key, population.parameters[key]
        )
    if paced:
        setattr(group, PACE, 1.0)
    return group
