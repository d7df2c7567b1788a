"""Dense pathways as matrix products: the inputs of all populations from present rates, bound to buffers that stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.inplace import in_place
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution

Product = Callable[[], Any]


class DenseProducts:
    """Feed the inputs of all populations from their pathways, once per time step.

    What source populations deliver is held until the stimulus or the weights change.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables, in arrays that stay the same objects.
    copies : int
        Copies of every population.

    Attributes
    ----------
    steps : list of callable
        What feeds all inputs, in its order.
    sent : dict of str to ndarray, shape (copies, unit)
        What populations send whose rate is an expression that the first steps evaluate.
    """

    def __init__(self, plan: Plan, store: WeightStore, values: dict[str, PopulationValues], copies: int) -> None:
        self.plan, self.store, self.values, self.copies = plan, store, values, copies
        self.steps: list[Product] = []
        self._held: list[tuple[np.ndarray, list[tuple[PathwayPlan, list[Product]]], np.ndarray | None]] = []
        self.sent: dict[str, np.ndarray] = {}

    def bind(self, delivered: Mapping[str, np.ndarray] | None = None) -> None:
        """Prepare the products of a phase; clamps may have changed.

        Parameters
        ----------
        delivered : mapping of str to ndarray, optional
            What some source pathways deliver, where that is known.
        """
        self.steps, self.sent, self._held = [], {}, []
        for name in self.plan.feeding:
            population, data = self.plan.populations[name], self.values[name].data
            for fed in population.inputs:
                pathways = [p for p in self.plan.into(name) if p.input == fed]
                sources = [p for p in pathways if self.plan.populations[p.pre].is_source]
                others = [p for p in pathways if p not in sources]
                held = np.zeros_like(data[fed])
                steps = [(p, self._delivering(p, held, held)) for p in sources]
                self._held.append((held, steps, None if others else data[fed]))
                base = held if sources else None
                for pathway in others:
                    self.steps += self._delivering(pathway, base, data[fed])
                    base = data[fed]
        self.hold(delivered)

    def hold(self, delivered: Mapping[str, np.ndarray] | None = None) -> None:
        """Compute what sources deliver, after a stimulus or weights changed.

        Parameters
        ----------
        delivered : mapping of str to ndarray, optional
            What some source pathways deliver, where that is known.
        """
        known = {} if delivered is None else delivered
        for held, pathways, fed in self._held:
            held.fill(0.0)
            for pathway, steps in pathways:
                if pathway.name in known:
                    _combine(pathway)(held, known[pathway.name], out=held)
                else:
                    for step in steps:
                        step()
            if fed is not None:
                np.copyto(fed, held)

    def __call__(self) -> None:
        """Feed all inputs."""
        for step in self.steps:
            step()

    def _delivering(self, pathway: PathwayPlan, base: np.ndarray | None, fed: np.ndarray) -> list[Product]:
        """Return what sets ``fed`` to ``base``, if there is one, and the delivery of a pathway."""
        store, pre, weight, scale = self.store, self.values[pathway.pre], pathway.terms[0].weight, self.store.scales
        combine, start = _combine(pathway), np.zeros_like(fed) if base is None else base
        prepare, rates = self._sending(pathway, pre)
        matrix = store.transmitted(pathway, 0)
        plain = len(pathway.terms) == 1 and scale[pathway.name][0] == 1.0
        if not plain or rates is None or rates.ndim != 2 or np.result_type(matrix, rates) != fed.dtype:
            return [*prepare, lambda: combine(start, contribution(pathway, store, pre, self.copies), out=fed)]
        alone = base is None and combine is np.add
        out = fed if alone else np.empty_like(fed)
        one, line, row = self.copies == 1, out[0], rates[0]
        if pathway.part or weight is None or weight.text != "w":  # what is transmitted is made anew when weights change
            deliver: Product = (
                (lambda: np.dot(store.transmitted(pathway, 0), row, out=line))
                if one
                else (lambda: np.dot(rates, store.transmitted(pathway, 0).T, out=out))
            )
        else:
            deliver = partial(np.dot, matrix, row, line) if one else partial(np.dot, rates, matrix.T, out)
        return [*prepare, deliver, *([] if alone else [partial(combine, start, out, fed)])]

    def _sending(self, pathway: PathwayPlan, pre: PopulationValues) -> tuple[list[Product], np.ndarray | None]:
        """Return the array of what a population sends, None if there is none that stays, and what brings it up to date.

        What several pathways send is brought up to date by the first.
        """
        expression = pathway.terms[0].pre
        if expression is None or pre.clamp is not None:
            return [], None
        state = expression.text.removesuffix("_pre")
        if expression.text == f"{state}_pre" and state in pre.plan.states:
            return [], pre.data[state]
        if expression.text != "r_pre":
            return [], None
        known = "r" if "r" in pre.data else pre.plan.subexpressions["r"].text
        if known in pre.data:
            return [], None if hasattr(pre.data[known], "toarray") else pre.data[known]
        sent = pre.plan.subexpressions["r"]
        if pathway.pre in self.sent:
            return [], self.sent[pathway.pre]
        rates = np.array(pre["r"], np.result_type(pre["r"], self.store.dtype))
        if not (pre.plan.states and sent.names & set(pre.plan.inputs)):  # else inputs may be fed between two pathways
            self.sent[pathway.pre] = rates
        return [in_place(sent, frozenset(pre.data)).bind(pre, rates)], rates


def _combine(pathway: PathwayPlan) -> np.ufunc:
    return np.add if pathway.applied_sign > 0 else np.subtract
