"""Stability of the fast dynamics: the explicit step limit, ringing and settling, from the linear response of a circuit.

For a disynaptic loop with one time constant the eigenvalues of the active cells are -1/tau +- i s/tau, with s up to
||A Lambda^(-1/2)||_2, so that an explicit step needs dt < 2 tau/(1 + s^2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neurocircuits.compile.plan import Loop, Plan
from neurocircuits.engines.settling import Settler
from neurocircuits.engines.values import PopulationValues, WeightStore

_SMALL = 400  # states up to which eigenvalues are cheap
_LEADING = 6


@dataclass(frozen=True)
class Stability:
    """Linear response of the fast variables with all cells active.

    Attributes
    ----------
    explicit_limit : float
        Largest stable step of explicit Euler, in seconds; infinite without dynamics, 0 if the circuit itself is
        unstable.
    settling_time : float
        Time in which a deviation falls to 1/1000, in seconds.
    ringing : float
        Fastest oscillation, in Hz.
    loop_gain : float
        s, the largest ratio of the imaginary and the real part of an eigenvalue.
    """

    explicit_limit: float
    settling_time: float
    ringing: float
    loop_gain: float


def stability(plan: Plan, store: WeightStore, values: dict[str, PopulationValues]) -> Stability:
    """Return the stability of the present weights and slow variables.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables.
    """
    limit, slowest, ringing, gain = math.inf, math.inf, 0.0, 0.0
    for jacobian in jacobians(plan, store, values):
        eigenvalues = np.linalg.eigvals(jacobian) if np.isfinite(jacobian).all() else np.array([np.inf])
        real, imaginary = eigenvalues.real, np.abs(eigenvalues.imag)
        if (real >= 0).any():
            limit, slowest = 0.0, 0.0
        else:
            limit = min(limit, float((-2.0 * real / np.abs(eigenvalues) ** 2).min()))
            slowest = min(slowest, float((-real).min()))
            gain = max(gain, float((imaginary / -real).max()))
        ringing = max(ringing, float(imaginary.max()) / (2.0 * math.pi))
    settling = math.log(1000.0) / slowest if slowest not in (0.0, math.inf) else (0.0 if slowest else math.inf)
    return Stability(limit, settling, ringing, gain)


def jacobians(plan: Plan, store: WeightStore, values: dict[str, PopulationValues]) -> Iterator[np.ndarray]:
    """Yield the Jacobian of each loop's fast variables, (states, states), with all threshold-linear cells active."""
    for loop in plan.loops:
        if any(plan.populations[name].states for name in loop.populations):
            jacobian = _response_jacobian(plan, store, values, loop)
            yield _numeric_jacobian(plan, store, values, loop) if jacobian is None else jacobian


def grows(plan: Plan, store: WeightStore, values: dict[str, PopulationValues], step: float) -> bool:
    """Return whether explicit Euler steps amplify deviations; large loops are judged by their leading eigenvalues.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables.
    step : float
        Time step, in seconds.
    """
    for jacobian in jacobians(plan, store, values):
        if np.isfinite(jacobian).all():
            eigenvalues = np.linalg.eigvals(jacobian) if len(jacobian) <= _SMALL else _leading(jacobian)
            if (np.abs(1.0 + step * eigenvalues) > 1.0).any():
                return True
    return False


def _leading(jacobian: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of largest modulus, which limit the step unless their real parts differ a lot."""
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    try:
        return eigs(
            jacobian, k=_LEADING, which="LM", v0=np.linspace(1.0, 2.0, len(jacobian)), return_eigenvectors=False
        )
    except ArpackNoConvergence as error:
        return error.eigenvalues if len(error.eigenvalues) else np.linalg.eigvals(jacobian)


def _response_jacobian(
    plan: Plan, store: WeightStore, values: dict[str, PopulationValues], loop: Loop
) -> np.ndarray | None:
    """Return the Jacobian with every threshold-linear cell active, or None if the loop is of another kind."""
    places, rates, gains, start = {}, [], [], 0
    for name in loop.populations:
        population = plan.populations[name]
        if population.response is None or tuple(population.states) != ("r",):
            return None
        places[name] = slice(start, start := start + population.n_units)
        probe = _Probe(values[name])
        rate = -(probe.slope(r=1.0) - probe.slope(r=0.0))
        stiffness = np.broadcast_to(population.response.stiffness(values[name]), population.n_units)
        rates.append(np.broadcast_to(rate, population.n_units))
        gains.append(rates[-1] / stiffness)
    inner = [p for p in plan.pathways.values() if p.pre in places and p.post in places]
    if any(
        p.input != "drive" or len(p.terms) != 1 or p.terms[0].pre is None or p.terms[0].pre.text != "r_pre"
        for p in inner
    ):
        return None
    jacobian = -np.diag(np.concatenate(rates))
    for pathway in inner:
        weights = store.transmitted(pathway, 0) * float(pathway.terms[0].constant({}))
        gain = np.concatenate(gains)[places[pathway.post], None]
        jacobian[places[pathway.post], places[pathway.pre]] += pathway.applied_sign * gain * weights
    return jacobian


class _Probe:
    """The right-hand side of r at drive 0 and a given r."""

    def __init__(self, values: PopulationValues) -> None:
        self.values = values

    def slope(self, r: float) -> np.ndarray:
        population = self.values.plan
        data = dict(self.values.data) | {
            "r": np.full((1, population.n_units), r),
            "drive": np.zeros((1, population.n_units)),
        }
        probe = PopulationValues(population, self.values.parameters, data)
        return np.broadcast_to(population.states["r"](probe), (1, population.n_units))[0]


def _numeric_jacobian(plan: Plan, store: WeightStore, values: dict[str, PopulationValues], loop: Loop) -> np.ndarray:
    """Return the Jacobian at the present state by differences, all columns in one batch."""
    copies = {}
    for name, own in values.items():
        data = {
            key: np.array(v[:1]) if np.ndim(v) == 2 and not hasattr(v, "toarray") else v for key, v in own.data.items()
        }
        copies[name] = own.over(data)
    settler = Settler(plan, store, copies)
    layout = settler._layout(loop)
    x = settler._gather(layout, 1, True)
    size = x.shape[1]
    step = 1e-6 * max(1.0, float(np.abs(x).max()))
    for own in copies.values():
        own.data |= {key: np.repeat(dense_row(v), 2 * size, axis=0) for key, v in own.data.items() if np.ndim(v) == 2}
    shifted = np.concatenate([x + step * np.eye(size), x - step * np.eye(size)])
    slopes = settler.slopes(loop, layout, shifted)
    return ((slopes[:size] - slopes[size:]) / (2.0 * step)).T


def dense_row(values: np.ndarray) -> np.ndarray:
    """Return the first row as a dense array of shape (1, n)."""
    row = values[:1]
    return row.toarray() if hasattr(row, "toarray") else np.asarray(row)
