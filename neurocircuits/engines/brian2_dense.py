"""Dense pathways of a Brian 2 network as matrix products in network operations, and feeding, learning and recording.

The products are bound to the buffers of the groups. In a time step: state update, learning if it is due, the end of a
presentation and the onset of the next, and the products that the next state update needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution, presynaptic

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
        self._held: list[tuple[np.ndarray, list[Product]]] = []
        self._steps: list[Product] = []

    def bind(self) -> None:
        """Prepare the products of a phase; clamps may have changed."""
        self._held, self._steps = [], []
        for name in self.plan.feeding:
            population, data = self.plan.populations[name], self.values[name].data
            for fed in population.inputs:
                pathways = [p for p in self.plan.into(name) if p.input == fed]
                sources = [p for p in pathways if self.plan.populations[p.pre].is_source]
                held = np.zeros_like(data[fed])
                self._held.append((held, [self._delivering(p, held, held) for p in sources]))
                base = held
                for pathway in (p for p in pathways if p not in sources):
                    self._steps.append(self._delivering(pathway, base, data[fed]))
                    base = data[fed]
                if base is held:
                    self._steps.append(partial(np.copyto, data[fed], held))
        self.hold()

    def hold(self) -> None:
        """Compute what sources deliver, after a stimulus or weights changed."""
        for held, steps in self._held:
            held.fill(0.0)
            for step in steps:
                step()

    def __call__(self) -> None:
        """Feed all inputs."""
        for step in self._steps:
            step()

    def _delivering(self, pathway: PathwayPlan, base: np.ndarray, fed: np.ndarray) -> Product:
        """Return what sets ``fed`` to ``base`` and the delivery of a pathway."""
        combine = np.add if pathway.applied_sign > 0 else np.subtract
        pre, term, scale = self.values[pathway.pre], pathway.terms[0], self.store.scales[pathway.name][0]
        sending, matrix = _sending(pathway, pre), self.store.transmitted(pathway, 0)
        product = len(pathway.terms) == 1 and np.ndim(sending()) == 2 and scale == 1.0
        if not product or np.result_type(matrix, sending()) != fed.dtype:
            return lambda: combine(base, contribution(pathway, self.store, pre, self.copies), out=fed)
        same = not pathway.part and term.weight is not None and term.weight.text == "w"
        out = np.empty_like(fed)
        line, base_line, fed_line = out[0], base[0], fed[0]

        def deliver() -> None:
            np.dot(sending(), (matrix if same else self.store.transmitted(pathway, 0)).T, out=out)
            combine(base, out, out=fed)

        def deliver_one() -> None:
            np.dot(matrix if same else self.store.transmitted(pathway, 0), sending()[0], out=line)
            combine(base_line, line, out=fed_line)

        return deliver_one if self.copies == 1 else deliver


def _sending(pathway: PathwayPlan, pre: PopulationValues) -> Callable[[], Any]:
    """Return what evaluates the presynaptic factor of a pathway, on the buffers of the population where it can."""
    expression = pathway.terms[0].pre
    if expression is None or expression.text != "r_pre" or pre.clamp is not None:
        return lambda: presynaptic(expression, pre)
    if "r" in pre.data:
        rates = pre.data["r"]
        return lambda: rates
    return pre.plan.subexpressions["r"].bound(pre)


def bound_values(values: PopulationValues, group: Any, copies: int) -> None:
    """Bind the variables of a population to the buffers of its group, (copies, unit); one copy shares slow ones."""
    plan = values.plan
    for name in (*plan.states, *plan.inputs):
        values.data[name] = group.variables[name].get_value().reshape(copies, plan.n_units)
    if copies == 1:
        for name in plan.slow:
            values.data[name] = group.variables[name].get_value()
