"""Populations: units that share equations, parameters and, under Dale's law, the sign of all their synapses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocircuits.declare.checks import is_number, is_whole, number_pair
from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.serialise import FrozenMap, declaration
from neurocircuits.declare.steps import Step
from neurocircuits.declare.weights import Weights
from neurocircuits.errors import ValidationError
from neurocircuits.units import Quantity, quantity, seconds

SIGNS = {"excitatory": 1, "inhibitory": -1}


@declaration
@dataclass(frozen=True)
class Population:
    """Declare a population of units.

    Parameters
    ----------
    name : str
        Name, used by synapses, protocols and results.
    n_units : int
        Number of units.
    equations : str or None
        Equations in Brian 2's syntax. ``(input)`` marks a variable that synapses feed, with ``(excitatory)`` or
        ``(inhibitory)`` for one polarity only: ``x : unit (input)`` is the sum of what graded synapses send, and a
        variable with a differential equation, ``dx/dt = ... : unit (input)``, is what spikes add to. ``drive`` is the
        signed sum of all graded inputs and needs no declaration; ``(slow)`` marks what learning changes;
        ``(excitation)`` and ``(inhibition)`` mark a sub-expression to be recorded under that name. Without equations
        the population is a source: its variable ``r`` is what a stimulus presents.
    sign : {"excitatory", "inhibitory"}
        Sign of every synapse that leaves the population (Dale's law).
    parameters : mapping of str to quantity
        Constants of the equations, such as ``{"tau": "5 ms"}``.
    initial : mapping of str to quantity or Weights
        Initial values of state and slow variables, plain numbers in SI units, or how they are drawn, such as
        ``{"v": Normal("-60 mV", "5 mV")}``; 0 otherwise.
    bounds : mapping of str to (float, float)
        Bounds of slow variables.
    steps : mapping of str to Step
        How the mean drift of a slow variable becomes a change (`Euler` unless given).
    steady_state : mapping of str to str
        Fixed points of states as expressions of inputs, parameters and slow variables, where none can be derived.
    threshold, reset : str or None
        Condition and statements that make the units spiking; with the equations ``"rate = 20*Hz : Hz"`` the threshold
        ``"rand() < rate*dt"`` makes Poisson spikes.
    refractory : quantity or None
        Refractory time.
    transfer : str or None
        Equations that give the rate ``r`` of a spiking population, in Hz, where rates stand for spikes. To them
        ``x_drive`` and ``x_drive_variance`` are the sums over synapses of ``w*r`` and of ``w**2*r`` for each variable
        ``x`` that spikes add to; ``lif_rate(mu, sigma, tau, threshold, reset, refractory)`` is the rate of a leaky
        integrate-and-fire cell under white noise.

    Raises
    ------
    ValidationError
        If a name is reserved, the size is not positive, the sign is not known, or spiking parts do not fit.
    """

    name: str
    n_units: int
    equations: str | None = None
    sign: str = "excitatory"
    parameters: Mapping[str, Any] = field(default_factory=FrozenMap)
    initial: Mapping[str, Any] = field(default_factory=FrozenMap)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=FrozenMap)
    steps: Mapping[str, Step] = field(default_factory=FrozenMap)
    steady_state: Mapping[str, str] = field(default_factory=FrozenMap)
    threshold: str | None = None
    reset: str | None = None
    refractory: Any = None
    transfer: str | None = None

    def __post_init__(self) -> None:
        owner = f"Population({self.name!r})"
        check_identifier(self.name, owner, reserved=False)
        if not is_whole(self.n_units) or self.n_units < 1:
            raise ValidationError(f"{owner}.n_units: {self.n_units!r} is not a positive whole number.")
        if self.sign not in SIGNS:
            raise ValidationError(f"{owner}.sign: {self.sign!r} is not 'excitatory' or 'inhibitory'.")
        for name in self.parameters:
            check_identifier(name, f"{owner}.parameters")
        if self.equations is None and (self.parameters or self.steady_state or self.threshold):
            raise ValidationError(
                f"{owner}: a source has no equations, so parameters and thresholds mean nothing to it. Give it "
                "equations, such as 'rate = 20*Hz : Hz' with the threshold 'rand() < rate*dt' for Poisson spikes; with "
                "'rate = drive*Hz : Hz' a source that is connected one to one sets their rate."
            )
        if (self.reset or self.refractory is not None) and self.threshold is None:
            raise ValidationError(f"{owner}: reset and refractory need a threshold.")
        if self.transfer is not None and self.threshold is None:
            raise ValidationError(f"{owner}.transfer: the population does not spike; its equations give its rate.")
        set_ = object.__setattr__
        set_(self, "n_units", int(self.n_units))
        parameters = {key: quantity(value, f"{owner}.parameters[{key!r}]") for key, value in self.parameters.items()}
        set_(self, "parameters", FrozenMap(parameters))
        set_(self, "bounds", FrozenMap({k: number_pair(v, f"{owner}.bounds[{k!r}]") for k, v in self.bounds.items()}))
        if self.refractory is not None:
            if not 0 <= seconds(self.refractory, f"{owner}.refractory") < math.inf:
                raise ValidationError(f"{owner}.refractory: {self.refractory!r} is not a time of 0 or more.")
            set_(self, "refractory", quantity(self.refractory, f"{owner}.refractory"))
        initial = {key: _initial(value, f"{owner}.initial[{key!r}]") for key, value in self.initial.items()}
        set_(self, "initial", FrozenMap(initial))
        for name, step in self.steps.items():
            if not isinstance(step, Step):
                raise ValidationError(
                    f"{owner}.steps[{name!r}]: {step!r} is not a step. Use Euler, LargestChange, Cap or PerUnit."
                )
        for name in ("steps", "steady_state"):
            set_(self, name, FrozenMap(getattr(self, name)))

    @property
    def is_source(self) -> bool:
        """Whether a stimulus drives the population."""
        return self.equations is None

    @property
    def is_spiking(self) -> bool:
        """Whether the units spike."""
        return self.threshold is not None

    @property
    def sign_value(self) -> int:
        """+1 or -1."""
        return SIGNS[self.sign]

    def parameter(self, name: str) -> Quantity:
        """Return a parameter."""
        return self.parameters[name]


def _initial(value: Any, owner: str) -> float | Quantity | Weights:
    """Return an initial value: a plain number, a quantity, or how it is drawn for each unit."""
    if isinstance(value, Weights):
        return value
    if is_number(value) and math.isfinite(value):
        return float(value)
    if not is_number(value) and value is not None:
        read = quantity(value, owner)
        if math.isfinite(read.value):
            return read
    raise ValidationError(f"{owner}: {value!r} is not a finite number (in SI units).")
