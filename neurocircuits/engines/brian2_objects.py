"""Brian 2 objects from a plan: groups with our flags taken out, and the one place that owns Brian 2's global state."""

from __future__ import annotations

import gc
import importlib
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from neurocircuits.compile.equations import brian_functions
from neurocircuits.compile.plan import PathwayPlan, Plan, PopulationPlan
from neurocircuits.engines.brian2_headers import precompiled_headers
from neurocircuits.engines.values import PopulationValues
from neurocircuits.errors import UnsupportedError, ValidationError
from neurocircuits.units import Dimension, import_brian2, unit_text

PACE = "pace"
_PREFERENCES = (
    "codegen.target",
    "core.default_float_dtype",
    "devices.cpp_standalone.extra_make_args_unix",
)


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

    Raises
    ------
    UnsupportedError
        If a standalone program is asked for while the caller has one of its own in the making.
    """
    b2 = import_brian2()
    from brian2.core.network import Network
    from brian2.utils.logger import BrianLogger

    devices: Any = importlib.import_module("brian2.devices.device")  # the name in the package is the present device
    kept = {key: b2.prefs[key] for key in _PREFERENCES}
    filters, running = list(BrianLogger.console_handler.filters), Network._globally_running
    before, earlier = devices.get_device(), list(devices.previous_devices)
    clocks = [each.defaultclock for each in devices.all_devices.values() if each.defaultclock is not None]
    steps = [float(clock.dt_) for clock in clocks]
    if device != "runtime" and before is devices.all_devices[device]:
        raise UnsupportedError(
            f"Brian2: this process has set Brian 2's device {device!r} itself, and what it built there would be "
            "lost. Call "
            f"brian2.set_device('runtime') first, or use Brian2(device='runtime')."
        )
    frozen = gc.get_freeze_count()
    try:
        if device != "runtime":
            devices.set_device(device, directory=directory, build_on_run=False)
            devices.get_device().reinit()
            devices.get_device().activate(directory=directory, build_on_run=False)
            b2.prefs["devices.cpp_standalone.extra_make_args_unix"] = ["-j2"]
            devices.get_device().extra_compile_args = precompiled_headers()
        elif before is not devices.runtime_device:
            devices.set_device("runtime")
        b2.prefs["codegen.target"] = target
        b2.prefs["core.default_float_dtype"] = np.dtype(dtype).type
        if not frozen:
            gc.freeze()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="overflow encountered", category=RuntimeWarning)
            b2.BrianLogger.suppress_hierarchy("brian2.codegen")
            yield b2
    finally:
        if not frozen:
            gc.unfreeze()
        Network._globally_running = running
        BrianLogger.console_handler.filters[:] = filters
        for key, value in kept.items():
            b2.prefs[key] = value
        if devices.get_device() is not before:
            devices.get_device().reinit()
            devices.reset_device(before)
            devices.previous_devices[:] = earlier
        for clock, step in zip(clocks, steps, strict=True):
            if float(clock.dt_) != step:
                clock.dt = step * b2.second


def quantity_of(value: float, dimension: Dimension) -> Any:
    """Return a Brian 2 quantity."""
    from brian2.units.fundamentalunits import Quantity, get_or_create_dimension

    return Quantity.with_dimensions(value, get_or_create_dimension(dimension)) if any(dimension) else value


def group_equations(
    population: PopulationPlan, shared: Collection[str], paced: bool, summed: str = "", own: Sequence[str] = ()
) -> str:
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
    own : sequence of str
        Further lines.
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
            flags = " (constant over dt)" if name in population.drawn else ""
            lines.append(f"{name} = {text} : {unit}{flags}")
    lines += own
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
    own: Sequence[str] = (),
    **spiking: Any,
) -> Any:
    """Return a group for the fast states of a population; ``spiking`` is what makes it spike."""
    namespace = {
        key: quantity_of(value, population.dimensions[key])
        for key, value in population.parameters.items()
        if key not in shared
    }
    group = b2.NeuronGroup(
        copies * population.n_units,
        group_equations(population, shared, paced, summed, own),
        method=method,
        clock=clock,
        dtype=np.dtype(dtype).type,
        namespace={**namespace, **brian_functions()},
        name=name or f"neurocircuits_{population.name}*",
        **spiking,
    )
    for key in shared:
        setattr(group, f"{key}_", population.parameters[key]) if any(population.dimensions[key]) else setattr(
            group, key, population.parameters[key]
        )
    if paced:
        setattr(group, PACE, 1.0)
    return group


def bound_values(values: PopulationValues, group: Any, copies: int) -> None:
    """Bind the variables of a population to the buffers of its group, (copies, unit); one copy shares slow ones.

    The buffers get the values that the variables had.
    """
    plan = values.plan
    for name in (*plan.states, *plan.inputs, *plan.drawn, *(plan.slow if copies == 1 else ())):
        buffer = group.variables[name].get_value()
        buffer = buffer if name in plan.slow else buffer.reshape(copies, plan.n_units)
        buffer[...] = values.data[name]
        values.data[name] = buffer


def weight_dimension(plan: Plan, pathway: PathwayPlan) -> Dimension:
    """Return the dimension of the weights of a pathway."""
    unit = pathway.declaration.unit
    return unit.dimension if unit is not None else plan.populations[pathway.post].dimensions[pathway.input]


def with_unit(value: float, unit: str) -> str:
    """Write a number with a unit."""
    number = "inf" if value == np.inf else "-inf" if value == -np.inf else repr(float(value))
    return number if unit == "1" else f"({number})*{unit}"


def multiple(value: float, unit: float, what: str, of: str) -> int:
    """Return how often ``unit`` goes into ``value``.

    Raises
    ------
    ValidationError
        If it is not a whole number of times.
    """
    ratio = value / unit
    if ratio < 0.5 or abs(ratio - round(ratio)) > 1e-6 * ratio:
        raise ValidationError(f"{what}: {value:g} s is not a multiple of {of} = {unit:g} s. Change one of them.")
    return round(ratio)
