"""A loop of threshold-linear populations as one problem x >= 0, b - L x <= 0, x (b - L x) = 0.

The unknowns x are the rates of the rectified populations. Linear populations are put into them, since what they send
is a matrix times x: a pathway there and back, such as a tied one, becomes a lateral matrix with two thin factors. Where
all populations are linear, all are unknowns of the equations L x = b.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocircuits.compile.plan import Loop, PathwayPlan, Plan
from neurocircuits.engines.pivoting import Mediated
from neurocircuits.engines.solvers import LinearSolver, Solution, ThresholdLinearSolver
from neurocircuits.engines.values import PopulationValues, WeightStore

_FEW_MEDIATORS = 32  # up to so many, problems of their size are cheaper than those of the active units


@dataclass(frozen=True)
class Lateral:
    """A lateral matrix.

    Attributes
    ----------
    matrix : ndarray, shape (n, n)
        L = diag(stiffness) + lateral weights + what linear populations mediate.
    mediated : Mediated or None
        The same in thin factors, where there are no direct lateral weights and few mediating units.
    """

    matrix: np.ndarray
    mediated: Mediated | None

    def at(self, free: np.ndarray) -> Lateral:
        """Return the part of some units."""
        parts = self.mediated
        if parts is not None:
            parts = Mediated(parts.diagonal[free], parts.left[free], parts.right[:, free])
        return Lateral(self.matrix[np.ix_(free, free)], parts)


class ThresholdLinearLoop:
    """Build and solve the problem of a loop.

    Parameters
    ----------
    plan : Plan
        The plan.
    loop : Loop
        A loop with rectified populations, or a linear one.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables.
    """

    def __init__(self, plan: Plan, loop: Loop, store: WeightStore, values: dict[str, PopulationValues]) -> None:
        self.plan, self.loop, self.store, self.values = plan, loop, store, values
        self.mediators = loop.eliminated if loop.rectified else ()
        self.places, self.n_units = _places(plan, loop.rectified or loop.eliminated)
        self._mediators, self._n_mediators = _places(plan, self.mediators)
        self._direct, self._incoming, self._outgoing = _inner(plan, loop)
        self._few, _ = structure(plan, loop)
        self.outer = [p for p in plan.pathways.values() if p.post in loop.populations and p.pre not in loop.populations]

    def lateral(self) -> Lateral:
        """Return the lateral matrix of the present weights and slow variables."""
        like = self.store.like
        diagonal = np.empty(self.n_units, like=like)
        for name, place in self.places.items():
            diagonal[place] = self._response(name).stiffness(self.values[name])
        left = np.zeros((self.n_units, self._n_mediators), like=like)
        right = np.zeros((self._n_mediators, self.n_units), like=like)
        for p in self._outgoing:
            left[self.places[p.post], self._mediators[p.pre]] -= p.applied_sign * self._weights(p)
        for p in self._incoming:
            weights = p.applied_sign * self._weights(p)
            right[self._mediators[p.post], self.places[p.pre]] += weights / self._stiffness(p.post)
        for name, place in self._mediators.items():
            clamp = self.values[name].clamp
            if clamp is not None:
                right[place][clamp[0]] = 0.0
        matrix = left @ right
        matrix.ravel()[:: self.n_units + 1] += diagonal
        for p in self._direct:
            matrix[self.places[p.post], self.places[p.pre]] -= p.applied_sign * self._weights(p)
        return Lateral(matrix, Mediated(diagonal, left, right) if self._few else None)

    def drive(self, outer: Mapping[str, np.ndarray], n_rows: int) -> np.ndarray:
        """Return b, (batch, n): what offsets and the rest of the circuit give, also by way of linear populations.

        Parameters
        ----------
        outer : mapping of str to ndarray
            What pathways from the rest of the circuit deliver, without sign, by name.
        n_rows : int
            Presentations in the batch.
        """
        b = np.empty((n_rows, self.n_units), like=self.store.like)
        for name, place in self.places.items():
            b[:, place] = self._response(name).offset(self.values[name])
        for p in self.outer:
            if p.post in self.places and p.input == "drive":
                part = b[:, self.places[p.post]]
                (np.add if p.applied_sign > 0 else np.subtract)(part, outer[p.name], out=part)
        for name in self._mediators:
            sent = self._sent(name, outer, n_rows)
            for p in self._outgoing:
                if p.pre == name and sent is not None:
                    b[:, self.places[p.post]] += p.applied_sign * (sent @ self._weights(p).T)
        return b

    def _sent(self, name: str, outer: Mapping[str, np.ndarray], n_rows: int) -> np.ndarray | None:
        """Return what the rest of the circuit, or a clamp, makes a linear population send; None for nothing."""
        into = [p.applied_sign * outer[p.name] for p in self.outer if p.post == name]
        clamp = self.values[name].clamp
        if not into and clamp is None:
            return None
        shape = (n_rows, self.plan.populations[name].n_units)
        nothing = np.zeros((n_rows, 1), like=self.store.like)
        sent = np.broadcast_to(sum(into, nothing) / self._stiffness(name), shape)
        return sent if clamp is None else np.where(clamp[0], clamp[1], sent)

    def solve(
        self, solver: ThresholdLinearSolver | LinearSolver, outer: Mapping[str, np.ndarray], n_rows: int, warm: bool
    ) -> Solution:
        """Return the rates of the unknown populations side by side, clamped ones at their value.

        Parameters
        ----------
        solver : ThresholdLinearSolver or LinearSolver
            The solver.
        outer : mapping of str to ndarray
            What pathways from the rest of the circuit deliver, without sign, by name.
        n_rows : int
            Presentations in the batch.
        warm : bool
            Whether to start from the present rates.
        """
        lateral, b = self.lateral(), self.drive(outer, n_rows)
        start = self._present(n_rows) if warm else None
        clamps = {name: clamp for name in self.places if (clamp := self.values[name].clamp) is not None}
        if not clamps:
            return solver.solve(lateral.matrix, b, start, lateral.mediated)
        held, fixed = np.zeros(self.n_units, like=b), np.zeros(self.n_units, dtype=bool, like=b)
        for name, (mask, value) in clamps.items():
            fixed[self.places[name]], held[self.places[name]] = mask, np.where(mask, value, 0.0)
        free = np.flatnonzero(~fixed)
        part = lateral.at(free)
        solution = solver.solve(part.matrix, (b - held @ lateral.matrix.T)[:, free], None, part.mediated)
        x = np.tile(held, (n_rows, 1))
        x[:, free] = solution.x
        return Solution(x, solution.residual, solution.iterations)

    def _present(self, n_rows: int) -> np.ndarray:
        start = np.zeros((n_rows, self.n_units), like=self.store.like)
        for name, place in self.places.items():
            if len(self.values[name]["r"]) == n_rows:
                start[:, place] = self.values[name]["r"]
        return start

    def _response(self, name: str) -> Any:
        return self.plan.populations[name].response

    def _stiffness(self, name: str) -> float:
        return float(self._response(name).stiffness(self.values[name]))

    def _weights(self, pathway: PathwayPlan) -> np.ndarray:
        weights, scale = self.store.transmitted(pathway, 0), self.store.scales[pathway.name][0]
        return weights if scale == 1.0 else weights * scale


def structure(plan: Plan, loop: Loop) -> tuple[bool, bool]:
    """Return what is known of the lateral matrix of a loop whatever its weights are.

    Parameters
    ----------
    plan : Plan
        The plan.
    loop : Loop
        A loop with rectified populations, or a linear one.

    Returns
    -------
    few : bool
        Whether nothing but a few linear units mediates, so that all rows of a batch are solved at once.
    symmetric : bool
        Whether it is symmetric, since nothing but tied pathways leads there and back.
    """
    direct, incoming, outgoing = _inner(plan, loop)
    n_units = sum(plan.populations[name].n_units for name in loop.rectified or loop.eliminated)
    n_mediators = sum(plan.populations[name].n_units for name in loop.eliminated) if loop.rectified else 0
    few = 0 < n_mediators <= min(_FEW_MEDIATORS, n_units // 2)
    back = {(p.owner, p.transposed, p.terms[0].weight) for p in outgoing}
    there = {(p.owner, not p.transposed, p.terms[0].weight) for p in incoming}
    return few and not direct, back == there and not direct


def _inner(plan: Plan, loop: Loop) -> tuple[list[PathwayPlan], list[PathwayPlan], list[PathwayPlan]]:
    """Return the pathways among unknown populations of a loop, those to its mediators and those from them."""
    inner = [p for p in plan.pathways.values() if p.pre in loop.populations and p.post in loop.populations]
    mediators = loop.eliminated if loop.rectified else ()
    direct = [p for p in inner if p.pre not in mediators and p.post not in mediators]
    return direct, [p for p in inner if p.post in mediators], [p for p in inner if p.pre in mediators]


def _places(plan: Plan, names: Iterable[str]) -> tuple[dict[str, slice], int]:
    places, start = {}, 0
    for name in names:
        places[name] = slice(start, start := start + plan.populations[name].n_units)
    return places, start
