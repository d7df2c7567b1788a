"""Synapses that transmit spikes, as Brian 2 objects: transmission, short-term plasticity, rules and their traces.

A trace is a variable of the units whose spikes it counts, not of synapses. It decays exactly, whatever the method of
integration: its rate is the one for which a step of the method gives the decay of a time step. A postsynaptic trace is
raised by the reset, after the synapses of the step. A presynaptic one is raised when the spike arrives, before synapses
see it: in a program by a pathway from each unit to itself with the same delay, and live by an operation that keeps the
spikes on their way, since such a pathway takes a tenth of the time of a network of two million synapses. Where delays
of synapses differ, each has presynaptic traces of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from neurocircuits.compile.plan import EventPlan, PathwayPlan, Plan, PopulationPlan
from neurocircuits.declare.weights import first_illegal
from neurocircuits.engines.brian2_objects import quantity_of, weight_dimension, with_unit
from neurocircuits.engines.values import WeightStore
from neurocircuits.errors import UnsupportedError
from neurocircuits.units import DIMENSIONLESS, unit_text

LEARNING = "learning"  # the scale of the learning rate, a variable that the synapses of a pathway share
_BOUNDS = ("w_lowest", "w_highest")


class Traces:
    """The traces of all rules in event form; rules with equal time constants and delays share one.

    Parameters
    ----------
    plan : Plan
        The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.names: dict[tuple[str, str], str] = {}  # pathway and name in its rule: name in the group
        self._known: dict[tuple[str, str, float, float], str] = {}  # population, side, tau, delay: name in the group
        for pathway in plan.pathways.values():
            for trace, (side, tau) in (pathway.events.traces if pathway.events is not None else {}).items():
                if side == "pre" and pathway.declaration.delays_differ:
                    continue
                delay = pathway.declaration.delay if side == "pre" else 0.0
                key = (getattr(pathway, side), side, tau, delay)
                self.names[pathway.name, trace] = self._known.setdefault(key, f"trace_{len(self._known)}")

    def of(self, population: str) -> dict[str, float]:
        """Return the traces of a population and their time constants."""
        return {name: tau for (owner, _, tau, _), name in self._known.items() if owner == population}

    def raised(self, population: str) -> list[str]:
        """Return the traces that the reset of a population raises."""
        return [name for (owner, side, _, _), name in self._known.items() if owner == population and side == "post"]

    def arriving(self) -> dict[tuple[str, float], list[str]]:
        """Return the traces that arriving spikes raise, by population and delay."""
        found: dict[tuple[str, float], list[str]] = {}
        for (owner, side, _, delay), name in self._known.items():
            if side == "pre":
                found.setdefault((owner, delay), []).append(name)
        return found


def spiking_parts(population: PopulationPlan, traces: Traces, method: str, dt: float) -> dict[str, Any]:
    """Return threshold, reset and refractoriness of a group, and the equations of its traces as its own."""
    own = {"own": trace_equations(traces.of(population.name), method, dt)}
    if not population.is_spiking:
        return own
    raised = [f"{name} += 1" for name in traces.raised(population.name)]
    reset = "\n".join([*population.reset.splitlines(), *raised])
    parts: dict[str, Any] = {**own, "threshold": population.threshold, "reset": reset or None}
    if population.declaration.refractory is not None:
        parts["refractory"] = refractory_text(float(population.declaration.refractory.value), dt)
    return parts


def refractory_text(seconds: float, dt: float) -> str:
    """Return the condition under which a unit stays refractory, for whole time steps as Brian 2 counts them.

    A comparison of times in the middle of a step is exact, and takes a third of the division that a time would be.

    Parameters
    ----------
    seconds : float
        How long units are refractory.
    dt : float
        Time step in seconds.
    """
    n_steps = int((seconds + 1e-3 * dt) / dt)
    return f"t - lastspike < {(n_steps - 0.5) * dt!r}*second"


def arrival(b2: Any, clock: Any, dtype: Any, group: Any, delay: float, traces: list[str], name: str) -> Any:
    """Return the synapses of a program that raise traces of a group a delay after its units fire."""
    code = "\n".join(f"{trace}_post += 1" for trace in traces)
    synapses = b2.Synapses(group, group, on_pre=code, delay=delay * b2.second, clock=clock, dtype=dtype, name=name)
    every = np.arange(len(group), dtype=np.int32)
    synapses.connect(i=every, j=every)
    synapses.pre.order = -1
    return synapses


class EventPathways:
    """Build the synapses that transmit spikes, and what keeps their traces.

    Parameters
    ----------
    b2 : module
        Brian 2, with its state owned by the caller.
    plan : Plan
        The plan.
    store : WeightStore
        Weights and pairs.
    groups : dict
        Brian 2 groups by population, which have the variables of ``traces``.
    traces : Traces
        Traces.
    clock : Clock
        Clock of the groups.
    dtype : str
        Precision.
    arrive : callable
        Returns what raises traces of a group a delay after its units fire: (group, delay in seconds, traces, name).
    overridden : collection of str
        Parameters that phases override, ``"I_to_E.eta"``.
    further : callable, optional
        Returns further lines for the synapses of a pathway.
    elsewhere : collection of str
        Pathways that are not built here.

    Attributes
    ----------
    synapses : dict
        Brian 2 synapses by pathway.
    arrivals : list
        What ``arrive`` returned.
    """

    def __init__(
        self,
        b2: Any,
        plan: Plan,
        store: WeightStore,
        groups: dict[str, Any],
        traces: Traces,
        clock: Any,
        dtype: str,
        arrive: Callable[[Any, float, list[str], str], Any],
        overridden: Collection[str] = (),
        further: Callable[[PathwayPlan], list[str]] | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        self.b2, self.plan, self.store, self.groups, self.traces = b2, plan, store, groups, traces
        self.clock, self.dtype, self.overridden = clock, np.dtype(dtype).type, overridden
        self.further = further
        self.arrivals = [
            arrive(groups[name], delay, raised, f"arrival_{groups[name].name}_{number}")
            for number, ((name, delay), raised) in enumerate(traces.arriving().items())
        ]
        self.synapses: dict[str, Any] = {
            name: self._build(pathway, pathway.events)
            for name, pathway in plan.pathways.items()
            if pathway.events is not None and name not in elsewhere and len(store.pairs[name][0])
        }

    def _build(self, pathway: PathwayPlan, events: EventPlan) -> Any:
        b2, declaration, name = self.b2, pathway.declaration, pathway.name
        unit = weight_dimension(self.plan, pathway)
        weights, (post, pre) = self.store.arrays[name], self.store.pairs[name]
        namespace: dict[str, Any] = {}
        lines = [] if self.further is None else self.further(pathway)
        if weights.flags.writeable:
            lines.append(f"w : {unit_text(unit)}")
        else:
            namespace["w"] = quantity_of(float(weights[0]), unit)
        if events.learns:
            lines.append(f"{LEARNING} : 1 (shared)")
            lines += self._parameters(pathway, namespace)
        own = self._own_traces(pathway, events)
        lines += [f"d{variable}/dt = -{variable}/({tau!r}*second) : 1 (event-driven)" for variable, tau in own.items()]
        code, on_post = [*(f"{variable} += 1" for variable in own), self._transmission(pathway, events)], ""
        if (short := declaration.short_term) is not None:
            for variable, (rest, tau) in short.rest.items():
                namespace |= {f"rest_{variable}": rest, f"tau_{variable}": tau * b2.second}
                lines.append(f"d{variable}/dt = (rest_{variable} - {variable})/tau_{variable} : 1 (event-driven)")
            namespace |= {key: quantity_of(value.value, value.dimension) for key, value in short.parameters.items()}
            before, after = ([f"{k} = {v}" for k, v in part.items()] for part in (short.before, short.after))
            code = [*before, *code, *after]
        if events.on_pre:
            code.append(self._change(pathway, events.on_pre))
        if events.on_post:
            on_post = self._change(pathway, events.on_post)
        synapses = b2.Synapses(
            self.groups[pathway.pre],
            self.groups[pathway.post],
            "\n".join(lines),
            on_pre="\n".join(code),
            on_post=on_post or None,
            delay=({} if name in self.store.delays else {"pre": declaration.delay * b2.second})
            | ({"post": 0.0 * b2.second} if on_post else {}),
            namespace=namespace,
            clock=self.clock,
            dtype=self.dtype,
            method="exact",
            name=f"syn_{name}",
        )
        synapses.connect(i=pre, j=post)
        if name in self.store.delays:
            synapses.pre.variables["delay"].set_value(self._delays(name))  # an assignment would copy it several times
        if weights.flags.writeable:
            synapses.w = quantity_of(1.0, unit) * weights
        if short is not None:
            for variable, (rest, _) in short.rest.items():
                setattr(synapses, variable, rest)
        return synapses

    def _own_traces(self, pathway: PathwayPlan, events: EventPlan) -> dict[str, float]:
        """Return the traces that each synapse has for itself, since spikes reach it at times of its own."""
        if not pathway.declaration.delays_differ:
            return {}
        return {f"own_{trace}": tau for trace, (side, tau) in events.traces.items() if side == "pre"}

    def _delays(self, name: str) -> np.ndarray:
        """Return the delay of each synapse in seconds.

        Raises
        ------
        UnsupportedError
            If some are shorter than half a time step, so that they would be none.
        """
        delays, dt = self.store.delays[name], float(self.clock.dt_)
        allowed = (delays == 0) | (delays >= 0.5 * dt)
        if not allowed.all():
            raise UnsupportedError(
                f"Synapses({name!r}).delay: {first_illegal(delays, allowed)} delays are below half the time step "
                f"dt = {dt:g} s. Use a smaller dt, or cut them: Clipped(..., {dt:g}, ...)."
            )
        return delays

    def _parameters(self, pathway: PathwayPlan, namespace: dict[str, Any]) -> list[str]:
        """Return variables for the parameters of a rule that phases override; put the others into the namespace."""
        lines = []
        for name, value in pathway.declaration.rule.parameters.items():  # type: ignore[union-attr]
            if f"{pathway.name}.{name}" in self.overridden:
                lines.append(f"rule_{name} : {unit_text(value.dimension)} (shared)")
            else:
                namespace[f"rule_{name}"] = quantity_of(value.value, value.dimension)
        namespace |= {f"n_{side}": self.plan.populations[getattr(pathway, side)].n_units for side in ("pre", "post")}
        namespace["dale"] = pathway.sign
        unit = weight_dimension(self.plan, pathway)  # numbers, not texts whose units each time step would multiply
        namespace |= {key: quantity_of(b, unit) for key, b in zip(_BOUNDS, pathway.bounds, strict=True)}
        return lines

    def _transmission(self, pathway: PathwayPlan, events: EventPlan) -> str:
        """Return the statement of a transmission; what is more than a weight is cut at 0, so that no sign turns."""
        short, sent = pathway.declaration.short_term, events.transmits
        sent = sent if short is None else f"({short.factor})*({sent})"
        if sent != "w" and not self.plan.circuit.unconstrained:
            fed = unit_text(self.plan.populations[pathway.post].dimensions[pathway.input])
            sent = f"clip({sent}, {with_unit(0.0, fed)}, {with_unit(np.inf, fed)})"
        return f"{pathway.input}_post {'+' if pathway.applied_sign > 0 else '-'}= {sent}"

    def _change(self, pathway: PathwayPlan, text: str) -> str:
        """Return the statement that changes the weights by what a rule says, within their bounds."""
        events = pathway.events
        for trace, (side, _) in events.traces.items():  # type: ignore[union-attr]
            known = self.traces.names.get((pathway.name, trace))
            text = re.sub(rf"\b{trace}\b", f"own_{trace}" if known is None else f"{known}_{side}", text)
        for name in events.parameters:  # type: ignore[union-attr]
            text = re.sub(rf"\b{name}\b", f"rule_{name}", text)
        return f"w = clip(w + {LEARNING}*({text}), {', '.join(_BOUNDS)})"


def trace_equations(traces: dict[str, float], method: str, dt: float) -> list[str]:
    """Return the equations of traces, by which a step of a method takes them to exp(-dt/tau) of what they were.

    Parameters
    ----------
    traces : dict of str to float
        Names and time constants in seconds.
    method : str
        Brian 2's method of integration.
    dt : float
        Time step in seconds.
    """
    lines = []
    for name, tau in traces.items():
        rate = _step_for(math.exp(-dt / tau), _ORDERS[method]) / dt if method in _ORDERS else 1.0 / tau
        lines.append(f"d{name}/dt = -{name}*{rate!r}*Hz : {unit_text(DIMENSIONLESS)}")
    return lines


# Explicit methods, whose step is a polynomial of this order; others are exact.
_ORDERS = {"euler": 1, "milstein": 1, "rk2": 2, "heun": 2, "rk4": 4}


def _step_for(decay: float, order: int) -> float:
    """Return x for which the Taylor polynomial of exp(-x) of this order is ``decay``."""
    from scipy.optimize import brentq

    def excess(x: float) -> float:
        return math.fsum((-x) ** k / math.factorial(k) for k in range(order + 1)) - decay

    return float(brentq(excess, 0.0, 1.0, xtol=1e-17, rtol=1e-15)) if order > 1 else 1.0 - decay
