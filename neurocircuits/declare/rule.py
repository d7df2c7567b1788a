"""A plasticity rule: text for the drift of a weight.

Names in the drift: ``w`` (magnitude; the signed value in unconstrained circuits and pairs), ``x_pre`` and ``x_post``
for any variable, input or sub-expression ``x`` of the two populations, ``dale`` (+1 or -1 of the source), ``n_pre``,
``n_post``, the rule's parameters, aggregates and population terms. The drift is a rate of change, in units of the
weight per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.serialise import FrozenMap, declaration
from neurocircuits.declare.steps import Euler, Step
from neurocircuits.errors import ValidationError
from neurocircuits.units import quantity, seconds


@declaration
@dataclass(frozen=True)
class Rule:
    """Declare how the weights of a pathway learn.

    Parameters
    ----------
    drift : str
        Right-hand side of dw/dt.
    parameters : mapping of str to quantity
        Constants of the texts.
    aggregates : mapping of str to str
        Sums over one side, ``"sum_over_pre(...)"`` (a value per target) or ``"sum_over_post(...)"`` (a value per
        source).
    terms : mapping of str to str
        Population terms, values that need the whole layer: expressions with ``ranked(x_post, k)`` (1 for the unit with
        the k-th largest value, 0 for others), ``winner(x_post)`` and ``total(x_post)``.
    traces : mapping of str to (str, str or quantity)
        Low-pass variables of an event form, ``name: (side, tau)``: 1 is added with each spike of a unit of that side
        (``"pre"`` or ``"post"``), and what there is decays with the time constant, a quantity or the name of a
        parameter. A spike arrives at the synapse after its delay; the trace of ``"pre"`` counts it from then on, that
        of ``"post"`` counts a spike from just after the changes that it causes.
    on_pre, on_post : str or None
        Event form, for spiking populations: what ``w`` becomes when a spike arrives and when the postsynaptic unit
        fires, a statement such as ``"w += eta*(fired - alpha)"``.
    step : Step
        How the mean drift becomes a change.
    fixed_point : str
        What holds where the rule is at rest, for documentation.
    source : str
        Author, year, equation.
    potential : str
        What of the drift, but for the product of rates, is the gradient of, where there is such a thing.

    Raises
    ------
    ValidationError
        If neither drift nor event form is given, or a name is reserved or used twice.
    """

    drift: str = ""
    parameters: Mapping[str, Any] = field(default_factory=FrozenMap)
    aggregates: Mapping[str, str] = field(default_factory=FrozenMap)
    terms: Mapping[str, str] = field(default_factory=FrozenMap)
    traces: Mapping[str, Any] = field(default_factory=FrozenMap)
    on_pre: str | None = None
    on_post: str | None = None
    step: Step = field(default_factory=Euler)
    fixed_point: str = ""
    source: str = ""
    potential: str = ""

    def __post_init__(self) -> None:
        owner = f"Rule({self.drift!r})"
        if not (self.drift or self.on_pre or self.on_post):
            raise ValidationError(f"{owner}: give a drift, for example 'eta*(r_post*r_pre - w)', or an event form.")
        names: list[str] = [*self.parameters, *self.aggregates, *self.terms, *self.traces]
        for name in names:
            check_identifier(name, owner)
            if names.count(name) > 1:
                raise ValidationError(f"{owner}: the name {name!r} is used twice.")
        parameters = {key: quantity(value, f"{owner}.parameters[{key!r}]") for key, value in self.parameters.items()}
        object.__setattr__(self, "parameters", FrozenMap(parameters))
        traces = {}
        for name, given in self.traces.items():
            if not isinstance(given, tuple | list) or len(given) != 2 or given[0] not in ("pre", "post"):
                raise ValidationError(f"{owner}.traces[{name!r}]: {given!r} is not ('pre' or 'post', time constant).")
            known = isinstance(given[1], str) and given[1] in parameters
            time = seconds(parameters[given[1]] if known else given[1], f"{owner}.traces[{name!r}]")
            tau = given[1] if known else time
            if not time > 0:
                raise ValidationError(f"{owner}.traces[{name!r}]: the time constant {given[1]!r} is not positive.")
            traces[name] = (given[0], tau)
        object.__setattr__(self, "traces", FrozenMap(traces))
        for name in ("aggregates", "terms"):
            object.__setattr__(self, name, FrozenMap(getattr(self, name)))
        if not isinstance(self.step, Step):
            raise ValidationError(
                f"{owner}.step: {self.step!r} is not a step. Use Euler, LargestChange, Cap or PerUnit."
            )

    @property
    def has_events(self) -> bool:
        """Whether the rule has an event form, which synapses that transmit spikes then learn by."""
        return bool(self.on_pre or self.on_post)
