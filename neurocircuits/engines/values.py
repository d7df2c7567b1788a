"""What a plan computes with while it runs: the weight arrays of all pathways and the variables of all populations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import PathwayPlan, Plan, PopulationPlan
from neurocircuits.declare.connectivity import Pairs
from neurocircuits.declare.weights import Paired, Weights, first_illegal
from neurocircuits.engines.arrays import CPU, dense, host, product, prototype
from neurocircuits.engines.lists import delays, listed_weights
from neurocircuits.errors import UnitError, ValidationError
from neurocircuits.randomness import Streams
from neurocircuits.units import Quantity, unit_text

_IDENTITY = Expression.of("w")


class WeightStore:
    """The weight arrays of a circuit, one for each owner, and what pathways transmit with them.

    Parameters
    ----------
    plan : Plan
        The plan.
    streams : Streams
        Named random streams; a pathway draws from ``weights/<name>`` and ``connectivity/<name>``.
    dtype : str
        Precision.
    device : str
        Where arrays are; what is drawn is the same on all devices.

    Attributes
    ----------
    like : ndarray
        An empty array on the device.
    arrays : dict of str to ndarray
        Weights by owner: (post, pre), or a value for each synapse of a list. Where all of
        these are equal and nothing changes them, that is a read-only view of one number.
    pairs : dict of str to (ndarray, ndarray)
        Post and pre index of each synapse of pathways that are lists.
    delays : dict of str to ndarray
        Delay of each synapse in seconds, of lists whose synapses have delays of their own.

    Raises
    ------
    ValidationError
        If initial weights break Dale's law, their bounds or are not finite.
    """

    def __init__(self, plan: Plan, streams: Streams, dtype: str = "float64", device: str = CPU) -> None:
        self.plan, self.dtype, self.device = plan, np.dtype(dtype), device
        self.like = prototype(device, dtype)
        self.arrays: dict[str, np.ndarray] = {}
        self.masks: dict[str, np.ndarray] = {}
        self.pairs: dict[str, Pairs] = {}
        self.delays: dict[str, np.ndarray] = {}
        self._transmitted: dict[tuple[str, int], np.ndarray] = {}
        self.touched: dict[str, np.ndarray | None] = {}  # rows of an owner that changed last, None for all
        self.scales = {p.name: [float(term.constant({})) for term in p.terms] for p in plan.pathways.values()}
        for pathway in plan.pathways.values():
            if pathway.owns:
                self.arrays[pathway.name] = self._draw(pathway, streams).astype(dtype, copy=not pathway.listed)
        for pathway in plan.pathways.values():
            if isinstance(pathway.declaration.weights, Paired):
                initial = self._draw(pathway, streams, pathway.declaration.weights.weights)
                self.arrays[pathway.owner] -= initial.astype(dtype)
        self.arrays = {name: np.asarray(array, like=self.like) for name, array in self.arrays.items()}
        self.masks = {name: np.asarray(mask, like=self.like) for name, mask in self.masks.items()}

    def _draw(self, pathway: PathwayPlan, streams: Streams, weights: Any = None) -> np.ndarray:
        declaration = pathway.declaration
        shape = self.plan.shape(pathway)
        owner = f"Synapses({pathway.name!r}).weights"
        generators = [streams.generator(what, pathway.name) for what in ("weights", "connectivity")]
        what = "connectivity" if pathway.listed else "weights"
        try:
            if pathway.listed:
                pairs = self.pairs[pathway.name] = declaration.connectivity.pairs(generators[1], shape)
                if declaration.delays_differ:
                    what = "delay"
                    self.delays[pathway.name] = delays(pathway, streams, shape, pairs)
                what = "weights"
                values = listed_weights(pathway, generators[0], shape, pairs, self.dtype)
            else:
                values = (weights or declaration.weights).draw(generators[0], shape)
        except ValidationError as error:
            raise ValidationError(f"Synapses({pathway.name!r}).{what}: {error}") from None
        if values.strides == (0,):  # one number for all
            self._check_drawn(pathway, values[:1], owner)
            return values
        self._check_drawn(pathway, values, owner)
        mask = None if pathway.listed else declaration.connectivity.mask(generators[1], shape)
        if mask is not None:
            self.masks[pathway.name] = mask
            values = np.where(mask, values, 0.0)
        if declaration.normalise is not None:
            declaration.normalise.apply(values)
        return values

    def _check_drawn(self, pathway: PathwayPlan, values: np.ndarray, owner: str) -> None:
        """Refuse initial weights that are not finite, negative under Dale's law, or out of bounds."""
        if not np.isfinite(values).all():
            raise ValidationError(
                f"{owner}: {first_illegal(values, np.isfinite(values))} initial weights are not finite. Give numbers."
            )
        pre = self.plan.populations[pathway.pre].declaration
        if not self.plan.circuit.unconstrained and (values < 0).any():
            raise ValidationError(
                f"{owner}: {first_illegal(values, values >= 0)} initial weights are negative. Weights are "
                "magnitudes; the sign comes "
                f"from population {pre.name!r} ({pre.sign}). Pass the absolute value, or declare dale='unconstrained'."
            )
        low, high = pathway.bounds
        allowed = (values >= low) & (values <= high)
        if not allowed.all():
            raise ValidationError(
                f"{owner}: {first_illegal(values, allowed)} initial weights are outside the bounds [{low:g}, {high:g}]."
            )

    def magnitude(self, pathway: PathwayPlan) -> np.ndarray:
        """Return the weights of a pathway as it sees them, (post, pre); magnitudes unless unconstrained."""
        array = self.arrays[pathway.owner]
        if pathway.part:
            return np.maximum(array if pathway.part > 0 else -array, 0.0)
        return array.T if pathway.transposed else array

    def writeable(self, name: str) -> np.ndarray:
        """Return the weights of an owner as an array that can be changed."""
        if not self.arrays[name].flags.writeable:
            self.arrays[name] = self.arrays[name].copy()
        return self.arrays[name]

    def exists(self, pathway: PathwayPlan) -> np.ndarray | None:
        """Return which synapses of a pathway exist, (post, pre) of bool; None for all."""
        mask = self.masks.get(pathway.owner)
        return mask.T if mask is not None and pathway.transposed else mask

    def transmitted(self, pathway: PathwayPlan, term: int) -> np.ndarray:
        """Return the matrix (post, pre) that multiplies the presynaptic factor of a term of what is transmitted."""
        weight = pathway.terms[term].weight
        if weight == _IDENTITY and not pathway.part:
            return self.magnitude(pathway)
        key = (pathway.name, term)
        if key not in self._transmitted:
            magnitude, mask = self.magnitude(pathway), self.exists(pathway)
            sent = np.empty_like(magnitude)
            sent[...] = weight({"w": magnitude}) if weight else 1.0
            if not self.plan.circuit.unconstrained and (sent < 0).any():
                raise ValidationError(
                    f"Synapses({pathway.name!r}).transmits: {pathway.transmits!r} is negative for "
                    f"{first_illegal(host(sent), host(sent >= 0))} "
                    f"synapses, which turns the sign of population {pathway.pre!r} around. Rectify it, or declare "
                    "dale='unconstrained'."
                )
            self._transmitted[key] = sent if mask is None else sent * mask
        return self._transmitted[key]

    def changed(self, owner: str, rows: np.ndarray | None = None, after: np.ndarray | None = None) -> None:
        """Say that the array of ``owner`` changed, so that what was kept is refreshed.

        Parameters
        ----------
        owner : str
            Its pathway.
        rows : ndarray of int, optional
            Postsynaptic units that changed; all unless given.
        after : ndarray, shape (rows, pre), optional
            Their weights now.
        """
        self.touched[owner] = rows
        for (name, term), kept in list(self._transmitted.items()):
            pathway = self.plan.pathways[name]
            if pathway.owner != owner:
                continue
            weight = pathway.terms[term].weight
            if rows is None or pathway.part or pathway.transposed or weight is None:
                del self._transmitted[name, term]
            else:
                kept[rows] = weight({"w": self.arrays[owner][rows] if after is None else after})
                if owner in self.masks:
                    kept[rows] *= self.masks[owner][rows]

    def shown(self, pathway: PathwayPlan) -> np.ndarray:
        """Return the weights of a pathway as it sees them, on the host."""
        return host(self.magnitude(pathway))

    def violations(self) -> int:
        """Return how many magnitudes are negative; 0 unless the circuit is unconstrained."""
        if self.plan.circuit.unconstrained:
            return 0
        return sum(int((self.magnitude(p) < 0).sum()) for p in self.plan.pathways.values())


class PopulationValues(Mapping[str, Any]):
    """Variables of one population by name: states and inputs (batch, unit), slow variables (unit,), parameters.

    Sub-expressions are evaluated when they are asked for.
    """

    def __init__(
        self,
        plan: PopulationPlan,
        parameters: dict[str, float],
        data: dict[str, Any],
        initial: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.plan = plan
        self.parameters = parameters
        self.data = data
        self.initial = {} if initial is None else initial  # of states, (1, unit), as declared or drawn
        self.clamp: tuple[np.ndarray, np.ndarray] | None = None
        self.times: dict[str, float] = {}  # t and dt, where there is a time

    def __getitem__(self, name: str) -> Any:
        if name in self.data:
            value = self.data[name]
        elif name in self.parameters:
            return self.parameters[name]
        elif name in self.times:
            return self.times[name]
        else:
            value = self.plan.subexpressions[name](self)
        if name == "r" and self.clamp is not None:
            mask, held = self.clamp
            value = np.where(mask, held, dense(value))
        return value

    def over(self, data: dict[str, Any]) -> PopulationValues:
        """Return the same population, clamp included, over other data."""
        values = PopulationValues(self.plan, self.parameters, data, self.initial)
        values.clamp = self.clamp
        return values

    def unclamped(self) -> PopulationValues:
        """Return the values that a population's own equations use: a clamp holds what is sent, not the state."""
        return self if self.clamp is None else PopulationValues(self.plan, self.parameters, self.data)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.data, *self.parameters, *self.plan.subexpressions))

    def __len__(self) -> int:
        return len(self.data) + len(self.parameters) + len(self.plan.subexpressions)


class Sided(Mapping[str, Any]):
    """The names of a rule, ``x_pre`` and ``x_post``, over two populations, with names of its own on top."""

    def __init__(self, pre: Mapping[str, Any], post: Mapping[str, Any], own: dict[str, Any]) -> None:
        self.pre, self.post, self.own = pre, post, own

    def __getitem__(self, name: str) -> Any:
        if name in self.own:
            return self.own[name]
        if name.endswith("_pre"):
            return self.pre[name[:-4]]
        return self.post[name.removesuffix("_post")]

    def __iter__(self) -> Iterator[str]:
        return iter(self.own)

    def __len__(self) -> int:
        return len(self.own)


def initial_values(
    plan: Plan, parameters: Mapping[str, dict[str, float]], dtype: str, streams: Streams, like: Any = None
) -> dict[str, PopulationValues]:
    """Return the values of all populations before anything is presented: one row, as declared or drawn.

    Arrays are where ``like`` is.
    """
    values = {}
    for name, population in plan.populations.items():
        data: dict[str, Any] = {}
        initial = {
            key: _start(population, key, value, streams) for key, value in population.declaration.initial.items()
        }
        if not population.is_source:
            for state in population.states:
                data[state] = np.full((1, population.n_units), initial.get(state, 0.0), dtype)
            for slow in population.slow:
                low, high = population.declaration.bounds.get(slow, (-np.inf, np.inf))
                value = np.full(population.n_units, initial.get(slow, 0.0), dtype)
                if not ((value >= low) & (value <= high)).all():
                    raise ValidationError(
                        f"Population({name!r}).initial[{slow!r}]: {value[0]:g} is outside its bounds [{low:g}, "
                        f"{high:g}]."
                    )
                data[slow] = value
            for fed in (*population.inputs, *population.drawn):
                data[fed] = np.zeros((1, population.n_units), dtype)
        else:
            data["r"] = np.zeros((1, population.n_units), dtype)
        data = {key: np.asarray(value, like=like) for key, value in data.items()}
        start = {state: data[state].copy() for state in population.states}
        values[name] = PopulationValues(population, parameters[name], data, start)
    return values


def _start(population: PopulationPlan, name: str, value: Any, streams: Streams) -> Any:
    """Return an initial value: a number, or one for each unit."""
    given = value.dimension if isinstance(value, Quantity | Weights) else None
    if given is not None and given != population.dimensions[name]:
        raise UnitError(
            f"Population({population.name!r}).initial[{name!r}]: {value!s} is in {unit_text(given)}, "
            f"but {name!r} is in {unit_text(population.dimensions[name])}."
        )
    if isinstance(value, Weights):
        return value.draw(streams.generator("initial", population.name, name), (population.n_units,))
    return value.value if isinstance(value, Quantity) else float(value)


def presynaptic(expression: Expression | None, values: Mapping[str, Any], suffix: str = "_pre") -> Any:
    """Evaluate a factor of one side; a sparse source stays sparse where the factor is that source itself."""
    if expression is None:
        return None
    if expression.text == f"r{suffix}":
        return values["r"]
    names = {name: values[name.removesuffix(suffix)] for name in expression.names}
    return expression({name: dense(value) if hasattr(value, "toarray") else value for name, value in names.items()})


def contribution(
    pathway: PathwayPlan, store: WeightStore, pre: PopulationValues, n_rows: int, rows: Any = slice(None)
) -> np.ndarray:
    """Return what a pathway delivers, (batch, post), without its sign; to the postsynaptic ``rows`` alone if given."""
    total: Any = None
    for k, term in enumerate(pathway.terms):
        matrix, scale = store.transmitted(pathway, k)[rows], store.scales[pathway.name][k]
        factor = presynaptic(term.pre, pre)
        if getattr(factor, "ndim", 0) == 0:
            part = np.broadcast_to(matrix.sum(axis=1) * (1.0 if factor is None else factor), (n_rows, matrix.shape[0]))
        elif factor.ndim == 1:
            part = np.broadcast_to(matrix @ factor, (n_rows, matrix.shape[0]))
        else:
            part = product(factor, matrix)
        part = part if scale == 1.0 else scale * part
        total = part if total is None else total + part
    return np.zeros((n_rows, len(store.magnitude(pathway)[rows])), like=store.like) if total is None else dense(total)


def received(
    plan: Plan, values: Mapping[str, PopulationValues], delivered: Mapping[str, np.ndarray], name: str, sign: int
) -> np.ndarray:
    """Return the excitation (+1) or inhibition (-1) of a population, (batch, unit).

    It is the sub-expression marked so, else the sum of what the graded pathways of that sign deliver, as a magnitude,
    and of the variables of that polarity that spikes add to.

    Parameters
    ----------
    plan : Plan
        The plan.
    values : mapping of str to PopulationValues
        Variables.
    delivered : mapping of str to ndarray
        What each pathway into the population delivers, without its sign.
    name : str
        The population.
    sign : int
        +1 or -1.
    """
    population, own = plan.populations[name], values[name]
    mark = "excitation" if sign > 0 else "inhibition"
    shape = own.data["drive"].shape
    if mark in population.marked:
        return np.broadcast_to(own[population.marked[mark]], shape)
    total = np.zeros(shape, like=own.data["drive"])
    for state, polarity in population.jumps.items():
        total = total + (own.data[state] if polarity == sign else 0.0)
    for pathway in plan.into(name):
        if pathway.events is not None:
            continue
        if plan.circuit.unconstrained:
            total = total + np.maximum(sign * delivered[pathway.name], 0.0)
        elif pathway.sign == sign:
            total = total + delivered[pathway.name]
    return total


def fed(plan: Plan, delivered: Mapping[str, np.ndarray], name: str, variable: str) -> np.ndarray:
    """Return an input of a population from what its pathways deliver, (batch, unit)."""
    parts = [p.applied_sign * delivered[p.name] for p in plan.into(name) if p.input == variable and p.events is None]
    n_rows = len(parts[0]) if parts else 1
    return np.asarray(sum(parts, np.zeros((n_rows, plan.populations[name].n_units))))
