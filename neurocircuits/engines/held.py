"""Many learning steps at once while activity is held: of the rows alone that change, without asking again what is held.

With activity held, a drift ``a(post) pre + b(post) w`` keeps a row of weights in the plane of its first value and the
presynaptic vectors, and a current ``w . pre`` is known from their products. So a step is one of a few numbers for each
row that changes, and the rows are put together at the end. Other drifts act on the rows in full. Either way these are
the same explicit steps, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import Plan
from neurocircuits.engines.arrays import dense
from neurocircuits.engines.gates import Layer
from neurocircuits.engines.held_rules import (
    ADDED,
    FACTOR,
    GROWTH,
    HIGH,
    KEPT,
    LOW,
    MASK,
    OWN,
    PRE,
    REST,
    SECONDS,
    HeldRule,
    Moving,
    held_rule,
)
from neurocircuits.engines.values import PopulationValues, Sided, WeightStore

Steps = list[Callable[[], Any]]


class HeldLearning:
    """Take many learning steps at once where the rules allow it.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights, changed in place.
    values : dict of str to PopulationValues
        Variables; inputs are those of the present weights.
    parameters : dict
        SI parameters of populations and rules.
    """

    def __init__(
        self,
        plan: Plan,
        store: WeightStore,
        values: dict[str, PopulationValues],
        parameters: dict[str, dict[str, float]],
    ) -> None:
        self.plan, self.store, self.values, self.parameters = plan, store, values, parameters
        self._slow = [name for name, population in plan.populations.items() if population.slow]
        self._rules: dict[tuple[str, ...], list[HeldRule] | None] = {}

    def __call__(self, n_steps: int, seconds: float, scale: Callable[[str], float]) -> bool:
        """Take learning steps from the present values, of one presentation; states and inputs are left as they are.

        Parameters
        ----------
        n_steps : int
            How many.
        seconds : float
            How long each is.
        scale : callable
            Scale of the rate of a pathway or population by name; 0 freezes it.

        Returns
        -------
        bool
            Whether they were taken. If not, nothing has changed: the rules do not allow it, or weights do not stay
            finite.
        """
        active = tuple(name for name in self.plan.plastic if scale(name))
        if n_steps < 2 or any(scale(name) for name in self._slow):
            return False
        if active not in self._rules:
            moving = Moving(self.plan, active)
            found = [held_rule(self.plan.pathways[name], moving, name in self.store.masks) for name in active]
            self._rules[active] = None if None in found else [rule for rule in found if rule is not None]
        rules = self._rules[active]
        if rules is None or any(self.values[rule.pathway.post].clamp is not None for rule in rules):
            return False
        with np.errstate(all="ignore"):
            changes = [_Rows(self, rule, seconds * scale(rule.pathway.name)).after(n_steps) for rule in rules]
        if not all(np.isfinite(weights.sum()) for _, weights in changes):
            return False
        for rule, (rows, weights) in zip(rules, changes, strict=True):
            if len(rows):
                self.store.arrays[rule.pathway.name][rows] = weights
            self.store.changed(rule.pathway.name, rows)
        return True


class _Rows(Mapping[str, Any]):
    """The rows of a pathway that change, and the names of its rule, with the postsynaptic side cut to them.

    Parameters
    ----------
    held : HeldLearning
        The circuit.
    rule : HeldRule
        The rule.
    seconds : float
        How long a step is, scaled.
    """

    def __init__(self, held: HeldLearning, rule: HeldRule, seconds: float) -> None:
        self.rule, pathway = rule, rule.pathway
        array = held.store.arrays[pathway.name]
        self.n_post, n_pre = array.shape
        own = {"n_pre": n_pre, "n_post": self.n_post, "dale": pathway.sign, **held.parameters[pathway.name]}
        self.names = Sided(held.values[pathway.pre], held.values[pathway.post], own)
        own |= {name: Layer().evaluate(term, self.names) for name, (_, term) in rule.rule.layer_terms.items()}
        self.rows = np.arange(self.n_post)
        if gates := rule.rule.gates:
            self.rows = np.flatnonzero(np.any([np.atleast_2d(own[gate])[0] != 0 for gate in gates], axis=0))
        self.weights = array[self.rows]
        self.vectors = [np.broadcast_to(self._line(vector), n_pre) for vector in rule.vectors]
        self.known: dict[str, Any] = {SECONDS: seconds}
        self.deliver: Steps = []
        if rule.current:
            scale = pathway.applied_sign * held.store.scales[pathway.name][0]
            self.sent = np.ascontiguousarray(scale * np.broadcast_to(self._line(pathway.terms[0].pre), n_pre))
        self.mask = held.store.masks.get(pathway.name)

    def after(self, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows change, and their weights after some steps."""
        if len(self.rows):
            steps = self._in_full() if self.rule.plane is None else self._in_a_plane()
            for _ in range(n_steps):
                for step in steps:
                    step()
            if self.rule.plane is not None:
                self.weights = self.known[KEPT][:, None] * self.weights
                for k, vector in enumerate(self.vectors):
                    self.weights += np.multiply.outer(self.known[f"{ADDED}{k}"], vector)
        return self.rows, self.weights

    def _in_a_plane(self) -> Steps:
        n = len(self.rows)
        self.known |= {KEPT: np.ones(n), GROWTH: np.ones(n)}
        self.known |= {f"{ADDED}{k}": np.zeros(n) for k in range(len(self.vectors))}
        if self.rule.current:
            self._current(self.weights @ self.sent)
            self.known |= {f"{OWN}{k}": float(vector @ self.sent) for k, vector in enumerate(self.vectors)}
        return [update.bind(self, self.known[target]) for target, update in self.rule.plane or ()]

    def _in_full(self) -> Steps:
        n, dtype, steps = len(self.rows), self.weights.dtype, []
        self.known |= {f"{PRE}{k}": vector for k, vector in enumerate(self.vectors)}
        self.known |= {"w": self.weights, LOW: self.rule.pathway.bounds[0], HIGH: self.rule.pathway.bounds[1]}
        mask = None if self.mask is None else self.mask[self.rows]
        self.known[MASK] = mask
        if self.rule.current:
            transmitted = self.weights
            if self.rule.transmitted is not None:
                transmitted = np.empty_like(self.weights)
                steps.append(self.rule.transmitted.bind(self, transmitted))
                steps += [] if mask is None else [partial(np.multiply, transmitted, mask, transmitted)]
            steps.append(partial(np.dot, transmitted, self.sent.astype(dtype), own := np.empty(n, dtype)))
            for step in steps:
                step()
            self._current(own)
        for target, update in self.rule.full:
            if target.startswith(FACTOR):
                factor = np.empty(n, dtype)
                steps.append(update.bind(self, factor))
                self.known[target] = factor[:, None]
            else:
                steps.append(update.bind(self, self.known[target]))
        return steps

    def _current(self, own: np.ndarray) -> None:
        """Note what the pathway itself delivers, and what all others do."""
        name = self.rule.pathway.input
        now = dense(self.names.post[name])[0, self.rows].astype(own.dtype)
        self.known |= {OWN: own, REST: now - own, self.rule.current: now}

    def _line(self, expression: Expression | None) -> Any:
        """Evaluate a presynaptic factor of one presentation."""
        if expression is None:
            return 1.0
        value = expression({name: dense(v) if np.ndim(v := self.names[name]) else v for name in expression.names})
        return value[0] if np.ndim(value) == 2 else value

    def __getitem__(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        value = self.names[name]
        if np.ndim(value) == 0:
            return value
        line = dense(value)[0] if np.ndim(value) == 2 else value
        return line[self.rows] if len(line) == self.n_post else line

    def __iter__(self) -> Iterator[str]:
        return iter((*self.known, *self.names))

    def __len__(self) -> int:
        return len(self.known) + len(self.names)
