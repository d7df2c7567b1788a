"""The plan: what engines execute. It names variables and expressions, never a rule, a model or an engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from neurocircuits.compile.expressions import RANDOM, Expression
from neurocircuits.compile.fixed_points import ThresholdLinear
from neurocircuits.compile.separable import Term
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.steps import Step
from neurocircuits.declare.synapses import Synapses
from neurocircuits.errors import ValidationError
from neurocircuits.units import Dimension


@dataclass(frozen=True)
class PopulationPlan:
    """How one population runs.

    Attributes
    ----------
    declaration : Population
        The declaration.
    states, slow : dict of str to Expression
        Right-hand sides of fast and slow variables, sub-expressions put in.
    subexpressions : dict of str to Expression
        Sub-expressions, expanded.
    inputs : dict of str to int
        Inputs and their polarity.
    fixed_points : dict of str to Expression
        Fixed points of states; empty where the engine has to relax the equations.
    explicit : bool
        Whether every state has a fixed point that depends on no state.
    response : ThresholdLinear or None
        The threshold-linear form of what the population sends, if it has one.
    parameters : dict of str to float
        SI values.
    dimensions : dict of str to Dimension
        Of variables and parameters.
    jumps : dict of str to int
        States that spikes add to, and their polarity.
    random : bool
        Whether the equations draw random numbers.
    threshold, reset : str
        When units spike and what a spike does to them; empty in graded populations.
    texts, flags : dict
        The user's text of each right-hand side and Brian 2's flags.
    marked : dict of str to str
        Sub-expressions recorded as ``excitation`` and ``inhibition``.
    """

    declaration: Population
    states: dict[str, Expression]
    slow: dict[str, Expression]
    subexpressions: dict[str, Expression]
    inputs: dict[str, int]
    fixed_points: dict[str, Expression]
    explicit: bool
    response: ThresholdLinear | None
    parameters: dict[str, float]
    dimensions: dict[str, Dimension]
    texts: dict[str, str]
    flags: dict[str, tuple[str, ...]]
    marked: dict[str, str]
    jumps: dict[str, int]
    random: bool
    threshold: str
    reset: str

    @property
    def is_spiking(self) -> bool:
        """Whether the units spike."""
        return bool(self.threshold)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Sub-expressions that keep their value for a time step, which the engine holds as it holds states."""
        return tuple(name for name in self.subexpressions if "constant over dt" in self.flags.get(name, ()))

    @property
    def name(self) -> str:
        """Name of the population."""
        return self.declaration.name

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.declaration.n_units

    @property
    def is_source(self) -> bool:
        """Whether a stimulus drives the population."""
        return self.declaration.is_source

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable, input and sub-expression that can be recorded or read by a rule."""
        if self.is_source:
            return ("r",)
        return (*self.states, *self.slow, *self.subexpressions, *self.inputs)

    def slow_readouts(self) -> tuple[str, ...]:
        """Slow variables and the sub-expressions of slow variables and parameters alone, such as a gain."""
        fixed = set(self.slow) | set(self.parameters)
        derived = [n for n, e in self.subexpressions.items() if e.names <= fixed and e.names & set(self.slow)]
        return (*self.slow, *derived)


@dataclass(frozen=True)
class Aggregate:
    """A sum over one side of a pathway.

    Attributes
    ----------
    over : {"pre", "post"}
        The side that is summed over.
    terms : tuple of Term
        Separable terms of the summand.
    text : str
        The summand.
    """

    over: str
    terms: tuple[Term, ...]
    text: str

    @property
    def of_weights_alone(self) -> bool:
        """Whether the sum changes only when weights do."""
        return all(term.post is None and term.pre is None for term in self.terms)


@dataclass(frozen=True)
class RulePlan:
    """How the weights of a pathway learn.

    Attributes
    ----------
    drift : Expression
        The whole drift.
    terms : tuple of Term
        Its separable terms; empty if it has to be evaluated presentation by presentation.
    reason : str
        Why it is not separable.
    aggregates : dict of str to Aggregate
        Sums over a side.
    layer_terms : dict of str to (str, Expression)
        Population terms: the side that they belong to and their expression.
    parameters : dict of str to float
        SI values.
    step : Step
        How the mean drift becomes a change.
    gates : tuple of str
        Population terms of the postsynaptic side without which every term vanishes: rows where all are 0 do not change.
    whole : frozenset of str
        Parameters in exponents that were put in as whole numbers, and cannot be overridden.
    text : str
        The user's text.
    """

    drift: Expression
    terms: tuple[Term, ...]
    reason: str
    aggregates: dict[str, Aggregate]
    layer_terms: dict[str, tuple[str, Expression]]
    parameters: dict[str, float]
    step: Step
    gates: tuple[str, ...]
    whole: frozenset[str]
    text: str


@dataclass(frozen=True)
class EventPlan:
    """What spikes do at the synapses of a pathway.

    Attributes
    ----------
    transmits : str
        What a spike adds to the input, without the sign.
    traces : dict of str to (str, float)
        Traces of a rule: the side whose spikes they count and the time constant in seconds.
    on_pre, on_post : str
        The change of a weight when a spike arrives and when the postsynaptic unit fires; empty if it stays.
    parameters : dict of str to float
        SI values of the rule's parameters.
    """

    transmits: str
    traces: dict[str, tuple[str, float]]
    on_pre: str
    on_post: str
    parameters: dict[str, float]

    @property
    def learns(self) -> bool:
        """Whether weights change."""
        return bool(self.on_pre or self.on_post)


@dataclass(frozen=True)
class PathwayPlan:
    """How one pathway transmits and learns.

    Attributes
    ----------
    declaration : Synapses
        The declaration.
    owner : str
        The pathway whose array this one reads; its own name unless tied or paired.
    transposed : bool
        Whether the array is read as its transpose.
    part : int
        0, or +1 and -1 for the positive and negative part of a paired array.
    sign : int
        +1 or -1, applied on transmission.
    applied_sign : int
        The sign that reaches the input: 1 where the input has a polarity, since the equations give the sign.
    terms : tuple of Term
        What is transmitted, as a sum of h(w) g(pre).
    bounds : (float, float)
        Bounds of the array.
    rule : RulePlan or None
        The rule of the array's owner, where it is a drift.
    input : str
        Input of the postsynaptic population that is fed.
    transmits : str
        What one synapse passes on.
    events : EventPlan or None
        What spikes do, if the presynaptic population spikes.
    """

    declaration: Synapses
    owner: str
    transposed: bool
    part: int
    sign: int
    applied_sign: int
    terms: tuple[Term, ...]
    bounds: tuple[float, float]
    rule: RulePlan | None
    input: str
    transmits: str
    events: EventPlan | None = None

    @property
    def name(self) -> str:
        """Name of the pathway."""
        return self.declaration.name or ""

    @property
    def pre(self) -> str:
        """Presynaptic population."""
        return self.declaration.pre

    @property
    def post(self) -> str:
        """Postsynaptic population."""
        return self.declaration.post

    @property
    def owns(self) -> bool:
        """Whether the array belongs to this pathway."""
        return self.owner == self.name

    @property
    def listed(self) -> bool:
        """Whether the synapses are a list and not a matrix: they transmit spikes, and no drift changes them."""
        return self.events is not None and self.rule is None


@dataclass(frozen=True)
class Loop:
    """Populations that are solved together, in the order in which loops are solved.

    Attributes
    ----------
    populations : tuple of str
        Names.
    recurrent : bool
        Whether a pathway leads back.
    rectified : tuple of str
        Threshold-linear populations that stay as unknowns; empty if there are none or the loop has other responses.
    eliminated : tuple of str
        Linear populations, which are put into the rectified ones; all populations if the loop is linear.
    """

    populations: tuple[str, ...]
    recurrent: bool
    rectified: tuple[str, ...]
    eliminated: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What engines execute.

    Attributes
    ----------
    circuit : Circuit
        The declaration.
    populations : dict of str to PopulationPlan
        By name.
    pathways : dict of str to PathwayPlan
        By name.
    loops : tuple of Loop
        Populations grouped by who depends on whom, sources left out.
    feeding : tuple of str
        Populations with equations in the order in which they are fed: those without a state pass on at once what they
        receive, so they come first.
    """

    circuit: Circuit
    populations: dict[str, PopulationPlan]
    pathways: dict[str, PathwayPlan]
    loops: tuple[Loop, ...]
    feeding: tuple[str, ...]

    @property
    def sources(self) -> dict[str, PopulationPlan]:
        """Populations that stimuli drive."""
        return {name: p for name, p in self.populations.items() if p.is_source}

    @property
    def driven(self) -> dict[str, PopulationPlan]:
        """Populations with equations."""
        return {name: p for name, p in self.populations.items() if not p.is_source}

    @property
    def plastic(self) -> dict[str, PathwayPlan]:
        """Pathways that learn by a drift."""
        return {name: p for name, p in self.pathways.items() if p.rule is not None}

    @property
    def spiking(self) -> bool:
        """Whether any population spikes."""
        return any(p.is_spiking for p in self.populations.values())

    @property
    def random(self) -> bool:
        """Whether anything draws random numbers while it runs."""
        texts = [text for p in self.populations.values() for text in (p.threshold, p.reset)]
        events = [p.events for p in self.pathways.values() if p.events is not None]
        texts += [text for one in events for text in (one.transmits, one.on_pre, one.on_post)]
        drawing = any(re.search(rf"\b({'|'.join(RANDOM)})\(", text) for text in texts)
        return drawing or any(p.random for p in self.populations.values())

    @property
    def learners(self) -> tuple[str, ...]:
        """Pathways that learn, and populations with slow variables."""
        learning = [name for name, p in self.pathways.items() if p.events is not None and p.events.learns]
        return (*self.plastic, *learning, *(name for name, p in self.populations.items() if p.slow))

    def shape(self, pathway: PathwayPlan) -> tuple[int, int]:
        """Return the numbers of postsynaptic and presynaptic units of a pathway."""
        return self.populations[pathway.post].n_units, self.populations[pathway.pre].n_units

    def into(self, population: str) -> list[PathwayPlan]:
        """Pathways that end at a population."""
        return [p for p in self.pathways.values() if p.post == population]

    def with_parameters(self, overrides: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """Return the SI parameters of all populations and rules, with overrides such as ``{"E.tau": 0.005}``.

        Raises
        ------
        ValidationError
            If an override is of an exponent that is part of the compiled drift.
        """
        values = {name: dict(p.parameters) for name, p in self.populations.items()}
        rules = {name: p.rule or p.events for name, p in self.pathways.items()}
        values.update({name: dict(rule.parameters) for name, rule in rules.items() if rule is not None})
        for key, value in overrides.items():
            name, _, parameter = key.partition(".")
            rule = self.pathways[name].rule if name in self.pathways else None
            if rule is not None and parameter in rule.whole and value != rule.parameters[parameter]:
                raise ValidationError(
                    f"Synapses({name!r}).rule: the exponent {parameter!r} = {rule.parameters[parameter]:g} is part "
                    "of the compiled drift and "
                    f"cannot be overridden with {value:g} in a phase. Declare a circuit of its own, or an exponent "
                    "that is not whole."
                )
            declared = self.circuit.pathway(name).rule if name in self.pathways else None
            if declared is not None and parameter in [tau for _, tau in declared.traces.values()]:
                raise ValidationError(
                    f"Synapses({name!r}).rule: {parameter!r} is the time constant of a trace and cannot be overridden "
                    "in a phase. Declare a circuit of its own."
                )
            values[name][parameter] = value
        return values

    def explain(self, latex: bool = False) -> str:
        """Return what will be integrated, solved and learned, as text or LaTeX."""
        from neurocircuits.compile.explain import explain

        return explain(self, latex)
