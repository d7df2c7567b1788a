"""Settling: the fast variables of all populations brought to rest for a batch, loop by loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuits.compile.plan import Loop, Plan
from neurocircuits.engines.solvers import Solution, ThresholdLinearSolver, anderson
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution
from neurocircuits.errors import DivergenceError

Parts = dict[str, np.ndarray]


class Settler:
    """Bring a circuit to rest.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights.
    values : dict of str to PopulationValues
        Variables; states and inputs are set in place.
    solver : {"auto", "active-set", "iteration", "relaxation"}
        ``auto`` chooses by what the plan is.
    max_iterations : int
        Iterations of the first stage of a solver.
    """

    def __init__(
        self,
        plan: Plan,
        store: WeightStore,
        values: dict[str, PopulationValues],
        solver: str = "auto",
        max_iterations: int = 150,
    ) -> None:
        self.plan, self.store, self.values = plan, store, values
        self.solver, self.max_iterations = solver, max_iterations
        self.delivered: Parts = {}
        self._threshold_linear = ThresholdLinearSolver(1e-6, max_iterations)

    def settle(self, n_rows: int, tolerance: float, warm: bool = False) -> Solution:
        """Settle all populations on the present source values.

        Parameters
        ----------
        n_rows : int
            Presentations in the batch.
        tolerance : float
            Largest residual.
        warm : bool
            Whether to start from the present states.

        Returns
        -------
        Solution
            Residual (batch,) and iterations, the largest over loops; ``x`` is empty.
        """
        residual, iterations = np.zeros(n_rows), 0
        self.delivered = {}
        for loop in self.plan.loops:
            solution = self._loop(loop, n_rows, tolerance, warm)
            residual = np.maximum(residual, solution.residual)
            iterations = max(iterations, solution.iterations)
        return Solution(np.empty((n_rows, 0)), residual, iterations)

    def _loop(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        if self.solver == "relaxation" or not all(
            self.plan.populations[p].fixed_points or not self.plan.populations[p].states for p in loop.populations
        ):
            return self._relax(loop, n_rows, tolerance, warm)
        if not loop.recurrent and all(self.plan.populations[p].explicit for p in loop.populations):
            self.feed(loop.populations, n_rows)
            self._states(loop.populations)
            return Solution(np.empty((n_rows, 0)), np.zeros(n_rows), 1)
        if loop.rectified and self.solver in ("auto", "active-set") and self._stiff(loop):
            return self._solve_threshold_linear(loop, n_rows, tolerance, warm)
        return self._iterate(loop, n_rows, tolerance, warm)

    def _stiff(self, loop: Loop) -> bool:
        """Whether every response of a loop rises with its drive at present; a gain that learns may pass zero."""
        responses = ((self.plan.populations[name].response, self.values[name]) for name in loop.populations)
        return all(
            response is not None and bool(np.all(response.stiffness(values) > 0)) for response, values in responses
        )

    def feed(self, populations: tuple[str, ...], n_rows: int) -> None:
        """Set the inputs of populations from what their pathways deliver now."""
        for name in populations:
            data = self.values[name].data
            for fed in self.plan.populations[name].inputs:
                data[fed] = np.zeros((n_rows, self.plan.populations[name].n_units))
            for pathway in self.plan.into(name):
                part = contribution(pathway, self.store, self.values[pathway.pre], n_rows)
                self.delivered[pathway.name] = part
                data[pathway.input] = (
                    data[pathway.input] + part if pathway.applied_sign > 0 else data[pathway.input] - part
                )

    def _states(self, populations: tuple[str, ...]) -> None:
        for name in populations:
            population, values = self.plan.populations[name], self.values[name]
            new = {state: expression(values) for state, expression in population.fixed_points.items()}
            n_rows = len(values.data["drive"])
            for state, value in new.items():
                values.data[state] = np.array(np.broadcast_to(value, (n_rows, population.n_units)))

    # -- threshold-linear loops -------------------------------------------------------------------------------------------

    def lateral(self, loop: Loop) -> tuple[np.ndarray, dict[str, slice]]:
        """Return L = diag(stiffness) + lateral weights + what eliminated populations mediate, and who is where."""
        places, start = {}, 0
        for name in loop.rectified:
            n_units = self.plan.populations[name].n_units
            places[name] = slice(start, start + n_units)
            start += n_units
        matrix = np.zeros((start, start))
        for name, place in places.items():
            response = self.plan.populations[name].response
            stiffness = response.stiffness(self.values[name])  # type: ignore[union-attr]
            n_units = self.plan.populations[name].n_units
            matrix[place, place] += np.diag(np.broadcast_to(stiffness, n_units))
        inner = [p for p in self.plan.pathways.values() if p.pre in loop.populations and p.post in loop.populations]
        for pathway in inner:
            if pathway.pre in places and pathway.post in places:
                matrix[places[pathway.post], places[pathway.pre]] -= pathway.applied_sign * self._matrix(pathway)
        for name in loop.eliminated:
            stiffness = float(self.plan.populations[name].response.stiffness(self.values[name]))  # type: ignore[union-attr]
            free = self._free(name)
            for outgoing in (p for p in inner if p.pre == name):
                for incoming in (p for p in inner if p.post == name):
                    mediated = self._matrix(outgoing)[:, free] @ self._matrix(incoming)[free] / stiffness
                    matrix[places[outgoing.post], places[incoming.pre]] -= outgoing.applied_sign * mediated
        return matrix, places

    def _matrix(self, pathway: Any) -> np.ndarray:
        return self.store.transmitted(pathway, 0) * float(pathway.terms[0].constant({}))

    def _free(self, name: str) -> np.ndarray:
        clamp = self.values[name].clamp
        return np.ones(self.plan.populations[name].n_units, dtype=bool) if clamp is None else ~clamp[0]

    def _solve_threshold_linear(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        matrix, places = self.lateral(loop)
        b = np.zeros((n_rows, len(matrix)))
        outer: Parts = {}
        for name in (*loop.eliminated, *loop.rectified):
            for pathway in self.plan.into(name):
                if pathway.pre not in loop.populations:
                    outer[pathway.name] = contribution(pathway, self.store, self.values[pathway.pre], n_rows)
        inner = [p for p in self.plan.pathways.values() if p.pre in loop.populations and p.post in loop.populations]
        for name in loop.eliminated:  # what the rest of the circuit, or a clamp, makes it send
            stiffness = float(self.plan.populations[name].response.stiffness(self.values[name]))  # type: ignore[union-attr]
            sent = (
                sum(
                    (p.applied_sign * outer[p.name] for p in self.plan.into(name) if p.name in outer),
                    np.zeros((n_rows, 1)),
                )
                / stiffness
            )
            sent = np.broadcast_to(sent, (n_rows, self.plan.populations[name].n_units))
            if self.values[name].clamp is not None:
                mask, held = self.values[name].clamp  # type: ignore[misc]
                sent = np.where(mask, held, sent)
            for outgoing in (p for p in inner if p.pre == name):
                b[:, places[outgoing.post]] += outgoing.applied_sign * (sent @ self._matrix(outgoing).T)
        start = np.zeros_like(b)
        fixed, held_x = np.zeros(len(matrix), dtype=bool), np.zeros(len(matrix))
        for name, place in places.items():
            offset = self.plan.populations[name].response.offset(self.values[name])  # type: ignore[union-attr]
            b[:, place] += np.broadcast_to(offset, (n_rows, place.stop - place.start))
            for pathway in self.plan.into(name):
                if pathway.name in outer:
                    b[:, place] += pathway.applied_sign * outer[pathway.name]
            if warm and len(self.values[name]["r"]) == n_rows:
                start[:, place] = self.values[name]["r"]
            if self.values[name].clamp is not None:
                mask, held = self.values[name].clamp  # type: ignore[misc]
                fixed[place], held_x[place] = mask, np.where(mask, held, 0.0)
        self._threshold_linear.tolerance = tolerance
        self._threshold_linear.max_iterations = 0 if self.solver == "active-set" else self.max_iterations
        if fixed.any():
            free = np.flatnonzero(~fixed)
            solution = self._threshold_linear.solve(matrix[np.ix_(free, free)], (b - held_x @ matrix.T)[:, free])
            x = np.tile(held_x, (n_rows, 1))
            x[:, free] = solution.x
            solution = Solution(x, solution.residual, solution.iterations)
        else:
            solution = self._threshold_linear.solve(matrix, b, start if warm else None)
        self._set(loop, places, solution.x, n_rows)
        return solution

    def _set(self, loop: Loop, places: dict[str, slice], x: np.ndarray, n_rows: int) -> None:
        for name, place in places.items():
            self.values[name].data["r"] = x[:, place]
        if loop.eliminated:
            self.feed(loop.eliminated, n_rows)
            self._states(loop.eliminated)
        self.feed(loop.rectified, n_rows)
        for name, place in places.items():
            self._states((name,))
            if "r" in self.plan.populations[name].states:
                self.values[name].data["r"] = np.ascontiguousarray(
                    x[:, place]
                )  # as solved: the drive loses digits in a difference
            else:
                del self.values[name].data["r"]

    # -- other loops ------------------------------------------------------------------------------------------------------

    def _layout(self, loop: Loop) -> list[tuple[str, str, slice]]:
        layout, start = [], 0
        for name in loop.populations:
            for state in self.plan.populations[name].states:
                stop = start + self.plan.populations[name].n_units
                layout.append((name, state, slice(start, stop)))
                start = stop
        return layout

    def _gather(self, layout: list[tuple[str, str, slice]], n_rows: int, warm: bool) -> np.ndarray:
        x = np.zeros((n_rows, layout[-1][2].stop))
        for name, state, place in layout:
            initial = float(self.plan.populations[name].declaration.initial.get(state, 0.0))
            now = self.values[name].data[state]
            x[:, place] = now if warm and len(now) in (1, n_rows) else initial
        return x

    def _scatter(self, layout: list[tuple[str, str, slice]], x: np.ndarray) -> None:
        for name, state, place in layout:
            self.values[name].data[state] = x[:, place]

    def _iterate(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        layout = self._layout(loop)

        def step(x: np.ndarray) -> np.ndarray:
            self._scatter(layout, x)
            self.feed(loop.populations, n_rows)
            image = np.empty_like(x)
            for name, state, place in layout:
                image[:, place] = self.plan.populations[name].fixed_points[state](self.values[name])
            return image

        solution = anderson(step, self._gather(layout, n_rows, warm), tolerance)
        self._scatter(layout, solution.x)
        self.feed(loop.populations, n_rows)
        return solution

    def slopes(self, loop: Loop, layout: list[tuple[str, str, slice]], x: np.ndarray) -> np.ndarray:
        """Return the right-hand sides of all states of a loop at ``x``, (batch, states)."""
        self._scatter(layout, x)
        self.feed(loop.populations, len(x))
        slopes = np.empty_like(x)
        for name, state, place in layout:
            slopes[:, place] = self.plan.populations[name].states[state](self.values[name])
        return slopes

    def _relax(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        """Integrate the equations until the states would no longer move within the time integrated so far."""
        from scipy.integrate import solve_ivp

        layout = self._layout(loop)
        if not layout:
            self.feed(loop.populations, n_rows)
            return Solution(np.empty((n_rows, 0)), np.zeros(n_rows), 0)
        x = self._gather(layout, n_rows, warm)
        horizon, evaluations = 0.01, 0
        residual = np.full(n_rows, np.inf)
        for _ in range(16):
            result = solve_ivp(
                lambda _, y: self.slopes(loop, layout, y.reshape(x.shape)).ravel(),
                (0.0, horizon),
                x.ravel(),
                method="RK45",
                rtol=1e-8,
                atol=1e-10,
            )
            evaluations += result.nfev
            if not result.success or not np.isfinite(result.y[:, -1]).all():
                raise DivergenceError(
                    f"Populations {' and '.join(loop.populations)}: the equations diverge while they are relaxed (after {horizon:g} s). "
                    f"Weaken recurrent excitation, or shorten the presentation and run in continuous time."
                )
            x = result.y[:, -1].reshape(x.shape)
            slope = self.slopes(loop, layout, x)
            scale = np.abs(x).max(axis=1)
            residual = np.abs(slope).max(axis=1) * horizon / np.where(scale > 0, scale, 1.0)
            if (residual <= tolerance).all():
                break
            horizon *= 2.0
        return Solution(x, residual, evaluations)

    def integrate(self, n_rows: int, duration: float, step: float) -> None:
        """Advance the states of all loops from where they are by explicit Euler steps, as a paper's own script does."""
        whole = Loop(tuple(self.plan.driven), True, (), ())
        layout = self._layout(whole)
        x = self._gather(layout, n_rows, True)
        for _ in range(round(duration / step)):
            x = x + step * self.slopes(whole, layout, x)
        self._scatter(layout, x)
        self.feed(whole.populations, n_rows)
