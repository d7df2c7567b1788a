"""Dense pathways of a Brian 2 network as matrix products in network operations, and feeding, learning and recording.

The operations are bound to the buffers of the groups. In a time step: at onsets the next stimulus is pulled, then
products (before the state update), then the state update, then learning if it is due, then the end of a presentation
is noted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution

Product = Callable[[], None]


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
        Variables, bound to the buffers of the groups.
    copies : int
        Copies of every population.
    """

    def __init__(self, plan: Plan, store: WeightStore, values: dict[str, PopulationValues], copies: int) -> None:
        self.plan, self.store, self.values, self.copies = plan, store, values, copies
        self._held: list[tuple[np.ndarray, list[PathwayPlan]]] = []
        self._steps: list[Product] = []

    def bind(self) -> None:
        """Prepare the products of a phase; clamps may have changed."""
        self._held, self._steps = [], []
        for name, population in self.plan.driven.items():
            data = self.values[name].data
            for fed in population.inputs:
                pathways = [p for p in self.plan.into(name) if p.input == fed]
                sources = [p for p in pathways if self.plan.populations[p.pre].is_source]
                others = [p for p in pathways if p not in sources]
                held = np.zeros_like(data[fed])
                self._held.append((held, sources))
                self._steps += self._feeding(data[fed], held, others)
        self.hold()

    def hold(self) -> None:
        """Compute what sources deliver, after a stimulus or weights changed."""
        for held, sources in self._held:
            held[...] = 0.0
            for pathway in sources:
                part = contribution(pathway, self.store, self.values[pathway.pre], self.copies)
                (np.add if pathway.applied_sign > 0 else np.subtract)(held, part, out=held)

    def __call__(self) -> None:
        """Feed all inputs."""
        for step in self._steps:
            step()

    def _feeding(self, fed: np.ndarray, held: np.ndarray, pathways: list[PathwayPlan]) -> list[Product]:
        if not pathways:
            return [lambda: np.copyto(fed, held)]
        steps: list[Product] = []
        base = held
        for pathway in pathways:
            combine = np.add if pathway.applied_sign > 0 else np.subtract
            steps.append(self._delivering(pathway, combine, base, fed))
            base = fed
        return steps

    def _delivering(self, pathway: PathwayPlan, combine: np.ufunc, base: np.ndarray, fed: np.ndarray) -> Product:
        pre = self.values[pathway.pre]
        term = pathway.terms[0]
        plain = (
            len(pathway.terms) == 1 and term.pre is not None and term.pre.text == "r_pre" and term.constant.text == "1"
        )
        if not plain or "r" not in pre.data or pre.clamp is not None:
            return lambda: combine(base, contribution(pathway, self.store, pre, self.copies), out=fed)
        rates, out = pre.data["r"], np.empty_like(fed)
        fixed = not pathway.part and term.weight is not None and term.weight.text == "w"
        if fixed and self.copies == 1:
            matrix, vector, line = self.store.transmitted(pathway, 0), rates[0], out[0]
            base_line, fed_line = base[0], fed[0]
            dot = np.dot

            def deliver() -> None:
                dot(matrix, vector, out=line)
                combine(base_line, line, out=fed_line)

            return deliver

        def deliver_batch() -> None:
            np.dot(rates, self.store.transmitted(pathway, 0).T, out=out)
            combine(base, out, out=fed)

        return deliver_batch


def bound_values(values: PopulationValues, group: Any, copies: int) -> None:
    """Bind the variables of a population to the buffers of its group, (copies, unit); one copy shares slow ones."""
    plan = values.plan
    for name in (*plan.states, *plan.inputs):
        values.data[name] = group.variables[name].get_value().reshape(copies, plan.n_units)
    if copies == 1:
        for name in plan.slow:
            values.data[name] = group.variables[name].get_value()
