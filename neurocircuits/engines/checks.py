"""What holds of variables at the end of a presentation: they are finite, and what a cell sends has its sign."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution, presynaptic
from neurocircuits.errors import DivergenceError, ValidationError


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
    if part.min() < -1e-9 * max(most, float(np.abs(part).max())):
        raise ValidationError(
            f"Synapses({pathway.name!r}): population {pathway.pre!r} sends negative values, which turns its sign "
            f"around (it is {plan.populations[pathway.pre].declaration.sign}). Rectify its rates, for "
            "example 'dr/dt = (rectify(drive) - r)/tau : 1', or declare the circuit with dale='unconstrained'."
        )
    return np.maximum(part, 0.0)


def check_all_sent(plan: Plan, store: WeightStore, values: Mapping[str, PopulationValues], n_rows: int) -> None:
    """Refuse graded cells that send negative values, under Dale's law; costs a product only where a rate is negative.

    Raises
    ------
    ValidationError
        If one does.
    """
    if plan.circuit.unconstrained:
        return
    for pathway in plan.pathways.values():
        if pathway.events is not None or plan.populations[pathway.pre].is_source:
            continue
        factors = [presynaptic(term.pre, values[pathway.pre]) for term in pathway.terms]
        if any(factor is not None and np.min(factor) < 0 for factor in factors):
            check_sent(plan, store, values, pathway, contribution(pathway, store, values[pathway.pre], n_rows))
