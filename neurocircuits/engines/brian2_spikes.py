"""Spikes delivered as matrix products: by synapses that learn by a drift, and by all synapses of several copies.

Copies of a population share the weights of their synapses, so that the spikes of a time step, a row of zeros and ones
for each copy, times the weights is what all copies receive. Few units fire in a step: only their columns are summed.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.brian2_live import OnTheirWay
from neurocircuits.engines.values import PopulationValues, WeightStore, presynaptic

_SMALL = 2**20  # pairs of units up to which all weights are kept, which spares the search in a list at each time step


class SpikeProducts(OnTheirWay):
    """Deliver the spikes of one population through some of its pathways, in the slot in which synapses do it.

    Parameters
    ----------
    b2 : module
        Brian 2.
    clock : Clock
        Clock of the groups.
    group : NeuronGroup
        The presynaptic group.
    pathways : list of PathwayPlan
        Pathways, of one delay.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables, bound to the groups.
    copies : int
        Copies of every population.
    """

    def __init__(
        self,
        b2: Any,
        clock: Any,
        group: Any,
        pathways: list[PathwayPlan],
        store: WeightStore,
        values: dict[str, PopulationValues],
        copies: int,
    ) -> None:
        first = pathways[0]
        super().__init__(f"products_{first.name}")
        self._fired = group.variables["_spikespace"].get_value()  # units of all copies, and last how many of them count
        self._store, self._pre, self._copies = store, values[first.pre], copies
        self._pathways = [(p, values[p.post].data[p.input]) for p in pathways]
        n_steps = round(first.declaration.delay / float(clock.dt_))
        self.waiting = deque([np.zeros(0, np.int32)] * n_steps)
        self.operation = b2.NetworkOperation(self._step, clock=clock, when="synapses", order=0)
        self.bind()

    def bind(self) -> None:
        """Get ready for a phase, which may have scaled weights."""
        self._lists: dict[tuple[str, int], Any] = {}

    def _step(self) -> None:
        fired = self._fired[: self._fired[-1]]
        if self.waiting:
            self.waiting.append(fired.copy())
            fired = self.waiting.popleft()
        if not len(fired):
            return
        copy, unit = np.divmod(fired, self._pre.plan.n_units)  # in the order of the units of all copies
        starts = np.flatnonzero(np.diff(copy, prepend=-1))
        for pathway, fed in self._pathways:
            arriving = np.add.reduceat(self._sent(pathway, copy, unit), starts, axis=0)
            fed[copy[starts]] += pathway.applied_sign * arriving

    def _sent(self, pathway: PathwayPlan, copy: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return what each spike sends to each postsynaptic unit, (spike, post)."""
        total: Any = None
        for k, term in enumerate(pathway.terms):
            part = self._columns(pathway, k, unit)
            if (scale := self._store.scales[pathway.name][k]) != 1.0:
                part = scale * part
            if term.pre is not None:
                shape = (self._copies, self._pre.plan.n_units)
                part = part * np.broadcast_to(presynaptic(term.pre, self._pre), shape)[copy, unit][:, None]
            total = part if total is None else total + part
        nothing = (len(unit), self._store.plan.shape(pathway)[0])
        return np.zeros(nothing) if total is None else np.asarray(total)  # a text such as 0*w sends nothing

    def _columns(self, pathway: PathwayPlan, k: int, unit: np.ndarray) -> np.ndarray:
        """Return the weights of presynaptic units as a term of what is transmitted has them, (unit, post)."""
        if not pathway.listed:
            return self._store.transmitted(pathway, k).T[unit]
        if (pathway.name, k) not in self._lists:
            from scipy.sparse import csc_array

            shape, pairs = self._store.plan.shape(pathway), self._store.pairs[pathway.name]
            whole = csc_array((self._store.transmitted(pathway, k), pairs), shape=shape)
            small = shape[0] * shape[1] <= _SMALL
            self._lists[pathway.name, k] = np.ascontiguousarray(whole.toarray().T) if small else whole
        listed = self._lists[pathway.name, k]
        return listed[unit] if isinstance(listed, np.ndarray) else np.asarray(listed[:, unit].toarray().T)


def spike_products(
    b2: Any,
    plan: Plan,
    store: WeightStore,
    groups: dict[str, Any],
    values: dict[str, PopulationValues],
    clock: Any,
    copies: int,
) -> dict[str, SpikeProducts]:
    """Return what delivers the spikes of pathways that Brian 2's synapses do not, by pathway.

    Pathways that leave a population with the same delay share it.
    """
    together: dict[tuple[str, float], list[PathwayPlan]] = {}
    for pathway in plan.pathways.values():
        if pathway.events is not None and (copies > 1 or not pathway.listed):
            together.setdefault((pathway.pre, pathway.declaration.delay), []).append(pathway)
    built = [
        SpikeProducts(b2, clock, groups[name], pathways, store, values, copies)
        for (name, _), pathways in together.items()
    ]
    return {p.name: each for each, pathways in zip(built, together.values(), strict=True) for p in pathways}


def copied_reasons(plan: Plan) -> list[str]:
    """Return every reason why several copies of a spiking circuit cannot share their synapses."""
    reasons = []
    for name, pathway in plan.pathways.items():
        if pathway.events is not None and pathway.events.learns:
            reasons.append(
                f"synapses {name!r} learn with each spike, by the event form of their rule, which has one copy; use "
                "batch=1, or a rule with a drift alone, which learns on the mean of the copies"
            )
        if pathway.declaration.short_term is not None:
            reasons.append(f"synapses {name!r} have short-term plasticity, which has one copy; use batch=1")
    return reasons
