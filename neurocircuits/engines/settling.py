"""Settling: the fast variables of all populations brought to rest for a batch, loop by loop."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

import numpy as np

from neurocircuits.compile.plan import Loop, Plan
from neurocircuits.engines.arrays import host, on_host
from neurocircuits.engines.euler import EulerSteps
from neurocircuits.engines.held_rules import Moving
from neurocircuits.engines.solvers import LinearSolver, Solution, ThresholdLinearSolver, anderson
from neurocircuits.engines.threshold_linear import ThresholdLinearLoop
from neurocircuits.engines.values import PopulationValues, WeightStore, contribution
from neurocircuits.errors import DivergenceError, UnsupportedError

Parts = dict[str, np.ndarray]
_MOST_EVALUATIONS = 100_000  # of the right-hand sides, before a circuit counts as one that does not come to rest
_LARGEST = 1e15  # of a state, where a circuit counts as one that runs away
_STIFF_SIZE = 400  # values up to which a method for stiff equations, with its Jacobian, is the faster one


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
        self._problems: dict[tuple[str, ...], ThresholdLinearLoop] = {}
        self._into = {name: plan.into(name) for name in plan.driven}
        self._turn = {name: k for k, name in enumerate(plan.feeding)}
        self._steps: EulerSteps | None = None
        self._relayed = {p for p in Moving(plan, plan.plastic).pathways if plan.pathways[p].owner not in plan.plastic}

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
            residual = np.maximum(residual, host(solution.residual))
            iterations = max(iterations, solution.iterations)
        return Solution(np.empty((n_rows, 0)), residual, iterations)

    def _loop(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        if self.solver == "relaxation":
            return self._relax(loop, n_rows, tolerance, warm)
        if not loop.recurrent and all(self.plan.populations[p].explicit for p in loop.populations):
            self.feed(loop.populations, n_rows)
            self._states(loop.populations)
            return Solution(np.empty((n_rows, 0)), np.zeros(n_rows), 1)
        if (loop.rectified or loop.eliminated) and self.solver in ("auto", "active-set") and self._stiff(loop):
            return self._solve_threshold_linear(loop, n_rows, tolerance, warm)
        solved = all(p.fixed_points or not p.states for p in map(self.plan.populations.__getitem__, loop.populations))
        if self.solver == "iteration" and solved:
            return self._iterate(loop, n_rows, tolerance, warm)
        return self._relax(loop, n_rows, tolerance, warm)  # of several fixed points, the one that the dynamics reach

    def _stiff(self, loop: Loop) -> bool:
        """Whether every response of a loop rises with its drive at present; a gain that learns may pass zero."""
        responses = ((self.plan.populations[name].response, self.values[name]) for name in loop.populations)
        return all(
            response is not None and bool(np.all(response.stiffness(values) > 0)) for response, values in responses
        )

    def feed(self, populations: tuple[str, ...], n_rows: int, delivered: Container[str] = ()) -> None:
        """Set the inputs of populations from what their pathways deliver now.

        Parameters
        ----------
        populations : tuple of str
            Names.
        n_rows : int
            Presentations in the batch.
        delivered : container of str
            Pathways whose delivery is known already.
        """
        for name in sorted(populations, key=self._turn.__getitem__):
            self._feed(name, tuple(self.plan.populations[name].inputs), n_rows, delivered)

    def follow(self, n_rows: int) -> None:
        """Let the inputs of all populations follow weights that learned, while states are held."""
        for name, part in self.delivered.items():
            pathway = self.plan.pathways[name]
            rows = self.store.touched.get(pathway.owner)
            if pathway.owner not in self.plan.plastic or (rows is not None and not len(rows)):
                continue
            if rows is None or pathway.transposed or pathway.part:
                self.delivered[name] = contribution(pathway, self.store, self.values[pathway.pre], n_rows)
            else:
                part[:, rows] = contribution(pathway, self.store, self.values[pathway.pre], n_rows, rows)
        self.feed(tuple(self.plan.driven), n_rows, self.delivered.keys() - self._relayed)

    def _feed(self, name: str, inputs: Collection[str], n_rows: int, delivered: Container[str]) -> None:
        totals: Parts = {}
        for pathway in self._into[name]:
            if pathway.input not in inputs:
                continue
            if pathway.name not in delivered:
                part = contribution(pathway, self.store, self.values[pathway.pre], n_rows)
                self.delivered[pathway.name] = part
            part, total = self.delivered[pathway.name], totals.get(pathway.input)
            if total is None:
                totals[pathway.input] = part if pathway.applied_sign > 0 else -part
            else:
                totals[pathway.input] = total + part if pathway.applied_sign > 0 else total - part
        for fed in inputs:
            total = totals.get(fed)
            n_units = self.plan.populations[name].n_units
            if total is None:
                total = np.zeros((n_rows, n_units), self.store.dtype, like=self.store.like)
            self.values[name].data[fed] = total

    def _states(self, populations: tuple[str, ...], but: str = "") -> None:
        for name in populations:
            population, values = self.plan.populations[name], self.values[name]
            new = {state: value(values) for state, value in population.fixed_points.items() if state != but}
            shape = (len(values.data["drive"]), population.n_units)
            for state, value in new.items():
                fresh = np.shape(value) == shape and not any(value is known for known in values.data.values())
                values.data[state] = value if fresh else np.array(np.broadcast_to(value, shape), like=self.store.like)

    def _solve_threshold_linear(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        problem = self._problems.get(loop.populations)
        if problem is None:
            problem = self._problems[loop.populations] = ThresholdLinearLoop(self.plan, loop, self.store, self.values)
        for pathway in problem.outer:
            pre = self.values[pathway.pre]
            self.delivered[pathway.name] = contribution(pathway, self.store, pre, n_rows)
        for name in problem.places:  # inputs that only count as an offset
            others = [fed for fed in self.plan.populations[name].inputs if fed != "drive"]
            self._feed(name, others, n_rows, [pathway.name for pathway in problem.outer])
        self._threshold_linear.tolerance = tolerance
        self._threshold_linear.max_iterations = 0 if self.solver == "active-set" else self.max_iterations
        solver = self._threshold_linear if loop.rectified else LinearSolver()
        solution = problem.solve(solver, self.delivered, n_rows, warm)
        self._set(problem, solution.x, n_rows)
        return solution

    def _set(self, problem: ThresholdLinearLoop, x: np.ndarray, n_rows: int) -> None:
        """Set all variables of a loop from the rates of its unknown populations."""
        known = {pathway.name for pathway in problem.outer}
        for name, place in problem.places.items():
            self.values[name].data["r"] = np.ascontiguousarray(x[:, place], like=x)
        if mediators := problem.mediators:
            self.feed(mediators, n_rows, known)
            self._states(mediators)
        self.feed(tuple(problem.places), n_rows, known)
        for name in problem.places:
            self._states((name,), but="r")  # as solved: the drive loses digits in a difference
            if "r" not in self.plan.populations[name].states:
                del self.values[name].data["r"]

    # -- other loops ---------------------------------------------------------------------------------------------------

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
            now = self.values[name].data[state]
            x[:, place] = now if warm and len(now) in (1, n_rows) else self.values[name].initial[state]
        return x

    def _scatter(self, layout: list[tuple[str, str, slice]], x: np.ndarray) -> None:
        for name, state, place in layout:
            self.values[name].data[state] = x[:, place]

    def _check_here(self, populations: Iterable[str]) -> None:
        """Refuse to iterate or integrate anywhere but on the host."""
        if not on_host(self.store.like):
            raise UnsupportedError(
                f"Populations {' and '.join(populations)} are not brought to rest by products, and nothing else runs "
                f"on the device {self.store.device!r}. Use device='cpu'."
            )

    def _iterate(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        self._check_here(loop.populations)
        layout = self._layout(loop)

        def step(x: np.ndarray) -> np.ndarray:
            self._scatter(layout, x)
            self.feed(loop.populations, n_rows)
            image = np.empty_like(x)
            for name, state, place in layout:
                image[:, place] = self.plan.populations[name].fixed_points[state](self.values[name].unclamped())
            return image

        solution = anderson(step, self._gather(layout, n_rows, warm), tolerance)
        self._scatter(layout, solution.x)
        self.feed(loop.populations, n_rows)
        return solution

    def slopes(
        self, loop: Loop, layout: list[tuple[str, str, slice]], x: np.ndarray, delivered: Container[str] = ()
    ) -> np.ndarray:
        """Return the right-hand sides of all states of a loop at ``x``, (batch, states)."""
        self._scatter(layout, x)
        self.feed(loop.populations, len(x), delivered)
        slopes = np.empty_like(x)
        for name, state, place in layout:
            slopes[:, place] = self.plan.populations[name].states[state](self.values[name].unclamped())
        return slopes

    def _relax(self, loop: Loop, n_rows: int, tolerance: float, warm: bool) -> Solution:
        """Integrate the equations, over longer and longer times, until the states no longer move."""
        from scipy.integrate import solve_ivp

        layout = self._layout(loop)
        if not layout:
            self.feed(loop.populations, n_rows)
            return Solution(np.empty((n_rows, 0)), np.zeros(n_rows), 0)
        self._check_here(loop.populations)
        x = self._gather(layout, n_rows, warm)
        horizon, evaluations = 0.01, 0
        residual = np.full(n_rows, np.inf)

        def slope(_: float, y: np.ndarray) -> np.ndarray:
            nonlocal evaluations
            evaluations += 1
            if evaluations > _MOST_EVALUATIONS or not np.abs(y).max() < _LARGEST:
                raise DivergenceError(
                    f"Populations {' and '.join(loop.populations)}: there is no steady state, the equations do not "
                    "come to "
                    f"rest (states reach {np.abs(y).max():.3g} after up to {horizon:g} s). Weaken recurrent "
                    "excitation, or run "
                    f"in continuous time."
                )
            return self.slopes(loop, layout, y.reshape(n_rows, -1)).ravel()

        while not (residual <= tolerance).all():
            result = solve_ivp(
                slope,
                (0.0, horizon),
                x.ravel(),
                t_eval=[horizon],
                method="LSODA" if x.size <= _STIFF_SIZE else "RK45",
                rtol=min(1e-6, 0.01 * tolerance),
                atol=1e-12,
            )
            if not result.success:
                names = " and ".join(loop.populations)
                raise DivergenceError(f"Populations {names} cannot be integrated: {result.message}")
            moved = np.abs(result.y[:, -1].reshape(x.shape) - x).max(axis=1)
            x = result.y[:, -1].reshape(x.shape)
            scale = np.abs(x).max(axis=1)
            scale = np.where(scale > 1e-9, scale, 1.0)
            residual = moved / scale
            horizon *= 2.0
        if not self.plan.circuit.unconstrained:  # errors of integration must not turn a sign around
            for _, state, place in layout:
                if state == "r":
                    rates = x[:, place]
                    rates[(rates < 0.0) & (rates >= -tolerance * scale[:, None])] = 0.0
        self._scatter(layout, x)
        self.feed(loop.populations, n_rows)
        return Solution(x, residual, evaluations)

    def integrate(self, n_rows: int, duration: float, step: float, known: bool = False) -> None:
        """Advance the states of all loops from where they are by explicit Euler steps, as a paper's own script does.

        Parameters
        ----------
        n_rows : int
            Presentations in the batch.
        duration, step : float
            In seconds.
        known : bool
            Whether neither sources nor weights have changed since the last call.
        """
        self._check_here(self.plan.driven)
        sources = [p for p in self.plan.pathways.values() if self.plan.populations[p.pre].is_source]
        self.delivered = {
            p.name: self.delivered[p.name] if known else contribution(p, self.store, self.values[p.pre], n_rows)
            for p in sources
        }
        if self._steps is None:
            self._steps = EulerSteps(self.plan, self.store, self.values)
        self._steps(n_rows, round(duration / step), step, self.delivered)
        self.feed(tuple(self.plan.driven), n_rows, dict(self.delivered))
