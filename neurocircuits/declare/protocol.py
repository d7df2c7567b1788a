"""Protocols: phases of stimuli with plasticity switches, interventions, timetables and what to record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurocircuits.declare.checks import is_number, is_whole, members
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.interventions import Clamp, Scale
from neurocircuits.declare.record import Record
from neurocircuits.declare.serialise import FrozenMap, declaration
from neurocircuits.declare.steps import Inverse, Linear, Steps, scheduled
from neurocircuits.declare.stimulus import Presentations, Stimulus
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Paired, Tied
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.randomness import Streams
from neurocircuits.units import Quantity, quantity, seconds, unit_text

NOTHING = ""  # what stands for the source where a phase shows nothing

__all__ = ["NOTHING", "Clamp", "Phase", "Protocol", "Record", "Scale", "Window"]


@declaration
@dataclass(frozen=True)
class Window:
    """A part of each presentation.

    Parameters
    ----------
    duration : quantity
        Duration.
    plastic : bool
        Whether weights and slow variables learn.
    hold : bool
        Whether the fast variables are held at their values.
    step : quantity or None
        Time step of this window; the engine's unless given.
    """

    duration: Any
    plastic: bool = True
    hold: bool = False
    step: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "duration", seconds(self.duration, "Window.duration"))
        if not 0 < self.duration < math.inf:
            raise ValidationError(f"Window.duration: {self.duration!r} s is not positive and finite.")
        if self.step is not None:
            object.__setattr__(self, "step", seconds(self.step, "Window.step"))
            n_steps = self.duration / self.step if self.step > 0 else 0.0
            if n_steps < 1 or abs(n_steps - round(n_steps)) > 1e-6 * n_steps:
                raise ValidationError(f"Window: step {self.step} s does not divide the duration {self.duration} s.")


@declaration
@dataclass(frozen=True)
class Phase:
    """Declare a phase.

    Parameters
    ----------
    name : str
        Name, a coordinate of results.
    stimuli : mapping of str to Stimulus
        What each source population is shown; all of the same number of presentations.
    duration : quantity or None
        How long the phase takes where nothing is shown because the circuit has no source: that is one presentation,
        and ``epochs`` repeats it. Results, checkpoints and progress count presentations.
    epochs : int
        How often the stimuli are gone through.
    plasticity : bool or mapping of str to (bool, float or schedule)
        Whether, and at what scale of their rate, pathways and the slow variables of populations learn. A mapping names
        pathways or populations; those it does not name learn at scale 1.
    parameters : mapping of str to quantity
        Overrides for this phase, ``"E.tau"`` for a population's parameter, ``"S_to_E.eta"`` for a rule's.
    interventions : sequence of Scale or Clamp
        What is done to weights and cells.
    timetable : sequence of Window
        Parts of each presentation; one plastic window as long as the stimulus says unless given.
    record : Record or None
        What to record of activity; weights and slow variables are kept at the end of each phase in any case.
    restart : bool or sequence of str
        What starts each presentation from its initial value: with True all fast variables, and no spike is on its
        way; or those of the populations (``"E"``) and the variables (``"E.v"``) that are named. Others go on from
        where they are.

    Raises
    ------
    ValidationError
        If stimuli differ in length, or a value is not allowed; when they are shown, if they differ in duration.
    """

    name: str
    stimuli: Mapping[str, Stimulus] = field(default_factory=FrozenMap)
    epochs: int = 1
    plasticity: Any = True
    parameters: Mapping[str, Any] = field(default_factory=FrozenMap)
    interventions: Sequence[Scale | Clamp] = ()
    timetable: Sequence[Window] = ()
    record: Record | None = None
    duration: Any = None
    restart: bool | Sequence[str] = False

    def __post_init__(self) -> None:
        owner = f"Phase({self.name!r})"
        set_ = object.__setattr__
        if not isinstance(self.restart, bool):
            if isinstance(self.restart, str) or not all(isinstance(name, str) for name in self.restart):
                raise ValidationError(
                    f"{owner}.restart: {self.restart!r} is neither True, False nor a sequence of names such as ['E.v']."
                )
            set_(self, "restart", tuple(self.restart))
        if not isinstance(self.stimuli, Mapping) or bool(self.stimuli) == (self.duration is not None):
            raise ValidationError(
                f"{owner}.stimuli: give a mapping from source populations to stimuli, or the duration of a phase in "
                "which nothing is shown."
            )
        if self.duration is not None:
            set_(self, "duration", seconds(self.duration, f"{owner}.duration"))
            if not 0 < self.duration < math.inf:
                raise ValidationError(f"{owner}.duration: {self.duration!r} s is not positive and finite.")
        for name, stimulus in self.stimuli.items():
            if not isinstance(stimulus, Stimulus):
                raise ValidationError(
                    f"{owner}.stimuli[{name!r}]: {type(stimulus).__name__} is not a Stimulus; use Patterns(array)."
                )
        lengths = {name: stimulus.n_presentations for name, stimulus in self.stimuli.items()}
        if len(set(lengths.values())) > 1:
            raise ValidationError(f"{owner}.stimuli: numbers of presentations differ: {lengths}.")
        if not is_whole(self.epochs) or self.epochs < 1:
            raise ValidationError(f"{owner}.epochs: {self.epochs!r} is not a positive whole number.")
        if isinstance(self.plasticity, Mapping):
            for key, value in self.plasticity.items():
                if not isinstance(value, bool | Linear | Steps | Inverse) and not (
                    is_number(value) and 0 <= value < math.inf
                ):
                    raise ValidationError(
                        f"{owner}.plasticity[{key!r}]: {value!r} is no scale of a rate. Give True, False, a number "
                        "of 0 or more, or a "
                        f"schedule (Linear, Steps, Inverse)."
                    )
            set_(self, "plasticity", FrozenMap(self.plasticity))
        elif isinstance(self.plasticity, np.bool_):
            set_(self, "plasticity", bool(self.plasticity))
        elif not isinstance(self.plasticity, bool):
            raise ValidationError(f"{owner}.plasticity: {self.plasticity!r} is neither bool nor mapping.")
        overrides = {key: quantity(value, f"{owner}.parameters[{key!r}]") for key, value in self.parameters.items()}
        set_(self, "parameters", FrozenMap(overrides))
        set_(self, "stimuli", FrozenMap(self.stimuli))
        set_(self, "interventions", members(self.interventions, (Scale, Clamp), f"{owner}.interventions"))
        set_(self, "timetable", members(self.timetable, Window, f"{owner}.timetable"))
        if self.record is not None and not isinstance(self.record, Record):
            raise ValidationError(f"{owner}.record: {self.record!r} is no Record. Write for example Record('r').")

    @property
    def n_per_epoch(self) -> int:
        """Presentations in an epoch."""
        return next(iter(self.stimuli.values())).n_presentations if self.stimuli else 1

    @property
    def n_presentations(self) -> int:
        """Presentations in the phase."""
        return self.epochs * self.n_per_epoch

    def frozen(self, names: Iterable[str]) -> bool:
        """Return whether none of the named pathways and populations learns at any time of the phase."""
        if isinstance(self.plasticity, bool):
            return not self.plasticity
        values = [self.plasticity.get(name, 1.0) for name in names]
        return not any(callable(value) or float(value) for value in values)

    def restarts(self, population: str, states: Iterable[str]) -> list[str]:
        """Return which of the fast variables of a population start each presentation from their initial values."""
        if isinstance(self.restart, bool):
            return list(states) if self.restart else []
        return [state for state in states if population in self.restart or f"{population}.{state}" in self.restart]

    def scale(self, name: str, progress: float) -> float:
        """Return the scale of the learning rate of a pathway or population at ``progress`` in [0, 1]."""
        if isinstance(self.plasticity, bool):
            return float(self.plasticity)
        return scheduled(self.plasticity.get(name, 1.0), progress)

    def windows(self, duration: float) -> tuple[Window, ...]:
        """Return the parts of a presentation."""
        return tuple(self.timetable) or (Window(duration),)

    def batch(self, start: int, size: int, streams: Streams) -> dict[str, Presentations]:
        """Return up to ``size`` presentations from number ``start`` on, by source; a batch ends with its epoch.

        Durations are those of the timetable where there is one. Where nothing is shown there is one entry of no units,
        under `NOTHING`.
        """
        epoch, first = divmod(start, self.n_per_epoch)
        indices = np.arange(first, min(first + size, self.n_per_epoch))
        parts = {
            name: stimulus.at(indices, streams.child("stimulus", self.name, name, epoch))
            for name, stimulus in self.stimuli.items()
        }
        if not parts:
            n = len(indices)
            parts = {NOTHING: Presentations(np.zeros((n, 0)), np.full(n, self.duration), np.full(n, -1), indices)}
        if self.timetable:
            durations = np.full(len(indices), sum(window.duration for window in self.timetable))
            parts = {k: Presentations(p.values, durations, p.labels, p.index) for k, p in parts.items()}
        of, one = next(iter(parts.items()))
        for name, part in parts.items():
            if (differ := part.durations != one.durations).any():
                k = int(np.argmax(differ))
                raise ValidationError(
                    f"Phase({self.name!r}).stimuli: presentation {start + k} shows {of!r} for {one.durations[k]:g} s, "
                    f"but {name!r} for {part.durations[k]:g} s. Give both one duration, or the phase a timetable."
                )
        return parts


@declaration
@dataclass(frozen=True)
class Protocol:
    """Declare a sequence of phases.

    Parameters
    ----------
    phases : sequence of Phase
        Phases of different names.
    name : str
        Name, kept in results.
    weights : sequence of str, mapping of str to int, or None
        Pathways whose weights results hold, all unless given; or how many synapses of each, evenly spaced in its list
        (pathways that transmit spikes only).

    Raises
    ------
    ValidationError
        If there is no phase or a name is used twice.
    """

    phases: Sequence[Phase]
    name: str = "protocol"
    weights: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", members(self.phases, Phase, "Protocol.phases"))
        names = [phase.name for phase in self.phases]
        if not names or len(set(names)) != len(names) or "initial" in names:
            raise ValidationError(
                f"Protocol: phases {listed(names)}; at least one, of different names, none called 'initial'."
            )
        for phase in self.phases:
            check_identifier(phase.name, "Protocol", reserved=False)
        if isinstance(self.weights, Mapping):
            for name, number in self.weights.items():
                if not is_whole(number) or number < 1:
                    raise ValidationError(f"Protocol.weights[{name!r}]: {number!r} is not a positive whole number.")
            object.__setattr__(self, "weights", FrozenMap(self.weights))
        elif self.weights is not None:
            object.__setattr__(
                self, "weights", (self.weights,) if isinstance(self.weights, str) else tuple(self.weights)
            )

    def keeps(self, pathway: str) -> int | None:
        """Return how many synapses of a pathway results hold; None for all."""
        if self.weights is None or (pathway in self.weights and not isinstance(self.weights, Mapping)):
            return None
        return int(self.weights[pathway]) if pathway in self.weights else 0

    def check(self, circuit: Circuit) -> None:
        """Check that every name and shape fits the circuit, before anything runs.

        Raises
        ------
        ValidationError
            If something does not fit.
        """
        known = [synapses.name for synapses in circuit.synapses]
        for name in self.weights or ():
            if name not in known:
                raise ValidationError(f"Protocol.weights: no pathway {name!r}. Known: {listed(known)}.")
            synapses = circuit.pathway(name)
            drifts = synapses.rule is not None and not synapses.rule.has_events
            if isinstance(self.weights, Mapping) and (drifts or not circuit.population(synapses.pre).is_spiking):
                raise ValidationError(
                    f"Protocol.weights: a number of synapses is chosen from a list, but those of {name!r} are a "
                    "matrix. Give the names alone, or leave it out."
                )
        for phase in self.phases:
            _check_phase(phase, circuit)


def _check_phase(phase: Phase, circuit: Circuit) -> None:
    owner = f"Phase({phase.name!r})"
    sources = {p.name: p for p in circuit.populations if p.is_source}
    known = {p.name for p in circuit.populations}
    recorded = () if phase.record is None else phase.record.populations or ()
    for what, names in (("stimuli", phase.stimuli), ("record", recorded)):
        if missing := [name for name in names if name not in known]:
            raise ValidationError(f"{owner}.{what}: no population {missing[0]!r}. Known: {listed(sorted(known))}.")
    for name, stimulus in phase.stimuli.items():
        population = circuit.population(name)
        if not population.is_source:
            raise ValidationError(
                f"{owner}.stimuli[{name!r}]: population {name!r} has equations and cannot be driven by a stimulus. "
                "Declare a "
                f"source population without equations and synapses from it. Sources: {listed(sources)}."
            )
        if stimulus.n_units != population.n_units:
            raise ValidationError(
                f"{owner}.stimuli[{name!r}]: the stimulus has {stimulus.n_units} units, population {name!r} "
                f"{population.n_units}."
            )
    if missing := [name for name in sources if name not in phase.stimuli]:
        raise ValidationError(f"{owner}.stimuli: source populations {listed(missing)} have no stimulus.")
    spiking = [p.name for p in circuit.populations if p.is_spiking]
    asked = () if phase.record is None or isinstance(phase.record.spikes, bool) else phase.record.spikes
    if missing := [name for name in asked if name not in spiking]:
        raise ValidationError(
            f"{owner}.record: population {missing[0]!r} does not spike. Spiking populations: {listed(spiking)}."
        )
    pathways = {s.name: s for s in circuit.synapses}
    populations = {p.name: p for p in circuit.populations}
    for name in phase.plasticity if isinstance(phase.plasticity, Mapping) else ():
        if name not in pathways and name not in populations:
            raise ValidationError(
                f"{owner}.plasticity: no pathway or population {name!r}. Known: {listed([*pathways, *populations])}."
            )
        if name in pathways and isinstance(pathways[name].weights, Tied | Paired):
            raise ValidationError(
                f"{owner}.plasticity: {name!r} shares the array of {pathways[name].weights.owner!r}; name that."
            )
    for key, value in phase.parameters.items():
        _check_override(key, value, circuit, owner)
    for intervention in phase.interventions:
        _check_intervention(intervention, circuit, owner)


def _check_override(key: str, value: Quantity, circuit: Circuit, owner: str) -> None:
    name, _, parameter = key.partition(".")
    known = {p.name: p.parameters for p in circuit.populations}
    known.update({s.name: s.rule.parameters for s in circuit.synapses if s.rule is not None})
    if parameter not in known.get(name, {}):
        names = [f"{a}.{b}" for a, parameters in known.items() for b in parameters]
        raise ValidationError(f"{owner}.parameters[{key!r}]: no such parameter. Known: {listed(names)}.")
    declared = known[name][parameter]
    if value.dimension != declared.dimension:
        raise UnitError(
            f"{owner}.parameters[{key!r}]: {value} has the unit {unit_text(value.dimension)}, but {parameter!r} of "
            f"{name!r} has "
            f"{unit_text(declared.dimension)}."
        )


def _check_intervention(intervention: Scale | Clamp, circuit: Circuit, owner: str) -> None:
    if isinstance(intervention, Clamp):
        population = circuit.population(intervention.population)
        limits = {"units": population.n_units}
    elif isinstance(intervention, Scale):
        synapses = circuit.pathway(intervention.pathway)
        if isinstance(synapses.weights, Tied | Paired):
            raise ValidationError(
                f"{owner}.interventions: {synapses.name!r} shares an array; scale its owner {synapses.weights.owner!r}."
            )
        _check_factor(intervention, synapses, circuit, owner)
        limits = {side: circuit.population(getattr(synapses, side)).n_units for side in ("post", "pre")}
    else:
        raise ValidationError(f"{owner}.interventions: {intervention!r} is neither Scale nor Clamp.")
    for name, n_units in limits.items():
        chosen = getattr(intervention, name)
        if chosen is not None and (not chosen or min(chosen) < 0 or max(chosen) >= n_units):
            raise ValidationError(f"{owner}.interventions: {name} {chosen} must be between 0 and {n_units - 1}.")


def _check_factor(scale: Scale, synapses: Synapses, circuit: Circuit, owner: str) -> None:
    """Refuse a factor that takes every weight out of the bounds, such as a lesion of weights that are never 0."""
    low, high = synapses.bounds or (0.0, math.inf)
    if any(isinstance(s.weights, Paired) and s.weights.owner == synapses.name for s in circuit.synapses):
        low = -high
    if scale.factor * low > high or (scale.factor * high if scale.factor else 0.0) < low:
        raise ValidationError(
            f"{owner}.interventions: Scale({synapses.name!r}, {scale.factor:g}) takes every weight out of the bounds "
            f"[{low:g}, {high:g}] of the pathway. Choose another factor, or widen Synapses({synapses.name!r}).bounds."
        )
