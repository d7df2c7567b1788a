"""What holds of variables at the end of a presentation: they are finite, and what a cell sends has its sign."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution, presynaptic
from neurocircuits.errors import DivergenceError, ValidationError

_ROUNDING = 1e-9  # of the largest that is sent
_PASSING = 1e-3  # of the largest rate


def check_finite(values: Mapping[str, PopulationValues], row: int, advice: Callable[[], str]) -> None:
    """Refuse states that are not finite at the end of a row of the stimulus.

    Raises
    ------
    DivergenceError
        If one is not.
    """
    for name, population in values.items():
        for state in population.plan.states:
            buffer = population.data[state]
            if not math.isfinite(buffer.sum()) and not np.isfinite(buffer).all():
                raise DivergenceError(
                    f"Population({name!r}): {state!r} is not finite at the end of row {row} of the stimulus. {advice()}"
                )


def check_sent(
    plan: Plan, store: WeightStore, values: Mapping[str, PopulationValues], pathway: PathwayPlan, part: np.ndarray
) -> np.ndarray:
    """Return what a pathway delivers, (batch, post), with rounding errors below 0, next to the largest rate, put to 0.

    Raises
    ------
    ValidationError
        If it is negative, which turns the sign of the population around.
    """
    if part.min() >= 0.0:
        return part
    scales = store.scales[pathway.name]
    rate = max(float(abs(each["r"]).max()) for each in values.values() if "r" in each)
    sent = [k for k, term in enumerate(pathway.terms) if term.pre is not None and term.pre.text == "r_pre"]
    most = sum(rate * abs(scales[k]) * float(store.transmitted(pathway, k).max()) for k in sent)
    if part.min() < -_ROUNDING * max(most, float(np.abs(part).max())):
        raise _turned_around(plan, pathway)
    return np.maximum(part, 0.0)


class SentInTime:
    """Refuse graded cells that send negative values at the end of a presentation, under Dale's law.

    Rates that pass below 0 on their way to it, by less than a thousandth of the largest rate so far, are let through.
    A product is taken only where a rate is negative.
    """

    def __init__(self, plan: Plan, store: WeightStore, values: Mapping[str, PopulationValues]) -> None:
        self.plan, self.store, self.values = plan, store, values
        names = {p.pre for p in plan.pathways.values() if p.events is None and not plan.circuit.unconstrained}
        self.names = [name for name in names if not plan.populations[name].is_source]
        starts = [self.values[name].initial.get("r") for name in self.names]
        self.largest = max((float(np.abs(start).max()) for start in starts if start is not None), default=0.0)

    def state(self) -> dict[str, np.ndarray]:
        """Return what a resumed run needs, as arrays by name."""
        return {"sent/largest": np.array([self.largest])}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Put a state back, if it knows of rates that were sent."""
        if "sent/largest" in state:
            self.largest = float(state["sent/largest"][0])

    def __call__(self, n_rows: int) -> None:
        """Check what is sent now.

        Raises
        ------
        ValidationError
            If it is negative.
        """
        if not self.names:
            return
        rates = [np.asarray(self.values[name]["r"]) for name in self.names if "r" in self.values[name]]
        self.largest = max(self.largest, *(float(np.abs(rate).max()) for rate in rates)) if rates else self.largest
        for pathway in self.plan.pathways.values():
            if pathway.events is None and pathway.pre in self.names:
                pre = self.values[pathway.pre]
                factors = [presynaptic(term.pre, pre) for term in pathway.terms]
                negative = any(each is not None and np.min(each) < -_PASSING * self.largest for each in factors)
                if negative and contribution(pathway, self.store, pre, n_rows).min() < 0:
                    raise _turned_around(self.plan, pathway)


def _turned_around(plan: Plan, pathway: PathwayPlan) -> ValidationError:
    return ValidationError(
        f"Synapses({pathway.name!r}): population {pathway.pre!r} sends negative values, which turns its sign "
        f"around (it is {plan.populations[pathway.pre].declaration.sign}). Rectify its rates, for "
        "example 'dr/dt = (rectify(drive) - r)/tau : 1', or declare the circuit with dale='unconstrained'."
    )
