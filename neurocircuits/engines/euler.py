"""Explicit Euler steps of all fast variables, compiled once and taken on buffers of their own."""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import Plan, PopulationPlan
from neurocircuits.engines.inplace import InPlace
from neurocircuits.engines.products import DenseProducts
from neurocircuits.engines.values import PopulationValues, WeightStore

_STEP, _SENT = "_step", "_sent"  # in expressions; no name of a user begins with an underscore


class _Update(NamedTuple):
    """A state a step later, and whether it can replace the present one at once, since no later update reads it."""

    state: str
    later: InPlace
    at_once: bool


class EulerSteps:
    """Advance the fast variables of a circuit, all at once, with weights, slow variables and sources as they are.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables; states are replaced.
    """

    def __init__(self, plan: Plan, store: WeightStore, values: dict[str, PopulationValues]) -> None:
        self.plan, self.store, self.values = plan, store, values
        self._updates: dict[tuple[str, bool], list[_Update]] = {}
        self._own: dict[str, PopulationValues] = {}
        self._n_rows = 0

    def __call__(self, n_rows: int, n_steps: int, step: float, delivered: Mapping[str, np.ndarray]) -> None:
        """Take steps from the present values.

        Parameters
        ----------
        n_rows : int
            Presentations.
        n_steps : int
            How many steps.
        step : float
            How long each is, in seconds.
        delivered : mapping of str to ndarray, shape (n_rows, post)
            What pathways from sources deliver.
        """
        self._take(n_rows)
        products = DenseProducts(self.plan, self.store, self._own, n_rows)
        products.bind(delivered)
        actions = [*products.steps, *self._bound(step, products.sent)]
        for _ in range(n_steps):
            for action in actions:
                action()
        for name, population in self.plan.driven.items():
            self.values[name].data |= {state: self._own[name].data[state].copy() for state in population.states}

    def _take(self, n_rows: int) -> None:
        """Copy the present states into buffers."""
        if n_rows != self._n_rows:
            self._n_rows = n_rows
            for name, population in self.plan.driven.items():
                shape, names = (n_rows, population.n_units), (*population.states, *population.inputs)
                data = {key: np.zeros(shape, self.store.dtype) for key in names}
                self._own[name] = self.values[name].over(data)
        for name, population in self.plan.driven.items():
            own, values = self._own[name], self.values[name]
            own.clamp = values.clamp
            own.data |= {slow: values.data[slow] for slow in population.slow}
            for state in population.states:
                now = values.data[state]
                own.data[state][...] = now if len(now) in (1, n_rows) else values.initial[state]
        self._own |= {name: self.values[name] for name in self.plan.sources}

    def _bound(self, step: float, sent: Mapping[str, np.ndarray]) -> list[Callable[[], Any]]:
        """Return what replaces all states by those a step later."""
        actions: list[Callable[[], Any]] = []
        for name, population in self.plan.driven.items():
            key = (name, name in sent)
            if key not in self._updates:
                text = population.subexpressions["r"].text if name in sent else ""
                self._updates[key] = _updates(self.plan, population, text)
            own, late = self._own[name], []
            values = ChainMap({_STEP: step, _SENT: sent.get(name)}, own.unclamped())  # type: ignore[arg-type]
            for state, later, at_once in self._updates[key]:
                out = own.data[state] if at_once else np.empty_like(own.data[state])
                actions.append(later.bind(values, out))
                late += [] if at_once else [partial(np.copyto, own.data[state], out)]
            actions += late
        return actions


def _updates(plan: Plan, population: PopulationPlan, sent: str) -> list[_Update]:
    """Return the Euler steps of the states of a population; what it sends is known already if its text is given."""
    recurrent = {p.input for p in plan.into(population.name) if not plan.populations[p.pre].is_source}
    moving = {*population.states, *recurrent, _SENT}
    states = list(population.states)
    updates = []
    for k, (state, slope) in enumerate(population.states.items()):
        tree = _Sent(sent).visit(ast.parse(f"{state} + {_STEP} * ({slope.text})", mode="eval").body)
        read_later = any(state in population.states[other].names for other in states[k + 1 :])
        updates.append(_Update(state, InPlace(Expression.of(tree), moving), not read_later))
    return updates


class _Sent(ast.NodeTransformer):
    """Put in the name of what a population sends for its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.unparse(node) == self.text:
            return ast.Name(_SENT, ast.Load())
        return self.generic_visit(node)
