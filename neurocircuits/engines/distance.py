"""How far a continuous-time presentation ends from its steady state, and what to change if it is too far."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from neurocircuits.engines.settling import Settler
from neurocircuits.engines.stability import Stability, grows, stability
from neurocircuits.errors import DivergenceError

_EVERY = 20  # presentations between checks where nothing is recorded
_MEAN_OF = 20  # checks that a failure is judged by
_SOLVED = 1e-6  # residual of a steady state that is good enough to compare with
_AT_LEAST = 5  # checks that a short phase is judged by at its end
_GROWN = 1e3  # factor by which rates without a steady state grow over checks, each above the last, if they run away


class DistanceCheck:
    """Compare rates at the end of presentations with the steady state of the same weights.

    Parameters
    ----------
    simulation : Simulation
        The live simulation.
    tolerance : float or None
        Largest mean distance; None measures recorded presentations only and never fails.
    """

    def __init__(self, simulation: Any, tolerance: float | None) -> None:
        self.simulation, self.tolerance = simulation, tolerance
        plan = simulation.plan
        self.possible = not plan.spiking and all(
            plan.populations[name].explicit and (not loop.recurrent or bool(loop.rectified or loop.eliminated))
            for loop in plan.loops
            for name in loop.populations
        )
        self._count = 0
        self._recent: list[float] = []
        self._restless: list[float] = []  # the largest rates at the last checks, if none of these found a steady state
        self._warned = False
        self._largest = 0.0

    def begin(self) -> None:
        """Say that a phase begins: judge it on its own, and warn if the time step is beyond the explicit limit."""
        self._recent, self._restless, self._count = [], [], 0
        self._check_step()

    def _check_step(self) -> None:
        simulation = self.simulation
        if self._warned or not self.possible or simulation.engine.method != "euler":
            return
        windows = simulation.phase.timetable if simulation.phase is not None else ()
        dt = max((w.step or simulation.engine.dt for w in windows if not w.hold), default=simulation.engine.dt)
        if not grows(simulation.plan, simulation.store, simulation.values, dt):
            return
        found = self._stability()
        if dt > found.explicit_limit > 0:
            self._warned = True
            warnings.warn(
                f"Brian2: dt = {dt:g} s is beyond the limit of explicit steps, {found.explicit_limit:.3g} s, if all "
                "cells are "
                f"active (loop gain s = {found.loop_gain:.3g}, ringing at {found.ringing:.3g} Hz). {self.advice()}",
                RuntimeWarning,
                stacklevel=2,
            )

    def state(self) -> dict[str, np.ndarray]:
        """Return what a resumed run needs, as arrays by name."""
        return {
            "distance/recent": np.array(self._recent),
            "distance/restless": np.array(self._restless),
            "distance/count": np.array([self._count]),
            "distance/largest": np.array([self._largest]),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Put a state back; one of another engine says nothing of distances."""
        if "distance/count" in state:
            self._recent = [float(value) for value in state["distance/recent"]]
            self._restless = [float(value) for value in state.get("distance/restless", ())]
            self._count, self._largest = int(state["distance/count"][0]), float(state["distance/largest"][0])

    def __call__(self, n_rows: int, recorded: bool) -> np.ndarray:
        """Return the distance of each copy, NaN where it was not measured."""
        self._count += 1
        if self._count >= _EVERY and self._count & (self._count - 1) == 0:
            self._check_step()  # at 32, 64, 128, ... presentations, as the weights have changed
        due = recorded or (self.tolerance is not None and self._count % _EVERY == 0)
        distance = self._measure(n_rows) if self.possible and due else np.full(n_rows, np.nan)
        if self.tolerance is not None and np.isfinite(distance).any():
            self._recent, self._restless = [*self._recent, float(np.nanmean(distance))][-_MEAN_OF:], []
        elif self.tolerance is not None and due and not self.simulation.plan.spiking:
            self._restless = [*self._restless, self._largest_now()][-_MEAN_OF:]
        return distance

    def judge(self, durations: np.ndarray, at_end: bool = False) -> None:
        """Judge the last checks, or at the end of a phase what there is.

        Raises
        ------
        DivergenceError
            If their mean is beyond the tolerance, or they found no steady state of an unstable circuit whose rates grew
            from each to the next.
        """
        self._judge_growth()
        n = len(self._recent)
        mean = sum(self._recent) / n if n >= (_AT_LEAST if at_end else _MEAN_OF) else 0.0
        if self.tolerance is not None and mean > self.tolerance:
            raise DivergenceError(
                f"Brian2: at the end of presentations of {durations[0]:g} s the rates are {100 * mean:.3g} % of the "
                "largest "
                f"away from their steady state (mean of {len(self._recent)} checks), beyond the tolerance of "
                f"{100 * self.tolerance:g} %. {self.advice()} Or allow it with Brian2(tolerance=None)."
            )

    def _judge_growth(self) -> None:
        """Refuse rates that run away; stimuli that grow make rates of a stable circuit grow, too."""
        rates = self._restless
        if len(rates) < _AT_LEAST or not (np.diff(rates) > 0).all() or rates[-1] <= _GROWN * rates[0]:
            return
        if self._stability().explicit_limit > 0:
            self._restless = rates[-1:]
            return
        raise DivergenceError(
            "Brian2: the circuit is unstable and rates grow without bound, from "
            f"{rates[0]:.3g} to {rates[-1]:.3g} over {len(rates)} checks at the ends of presentations. Weaken "
            "recurrent excitation, or bound the rates. Or allow it with Brian2(tolerance=None)."
        )

    def _measure(self, n_rows: int) -> np.ndarray:
        simulation = self.simulation
        plan = simulation.plan
        own = {}
        for name, values in simulation.values.items():
            own[name] = values.over(dict(values.data))
        settler = Settler(plan, simulation.store, own, solver="active-set")
        solution = settler.settle(n_rows, 1e-9, warm=True)
        worst, scale = np.zeros(n_rows), np.zeros(n_rows)
        for name, population in plan.driven.items():
            for state in population.states:  # as the others see it: clamped units are where they are held
                rest = np.asarray(own[name][state])
                worst = np.maximum(worst, np.abs(simulation.values[name][state] - rest).max(axis=1))
                scale = np.maximum(scale, np.abs(rest).max(axis=1))
        self._largest = max(self._largest, float(scale.max()))  # blank stimuli have no scale of their own
        return np.where(solution.residual <= _SOLVED, worst / (self._largest or 1.0), np.nan)

    def _largest_now(self) -> float:
        values, driven = self.simulation.values, self.simulation.plan.driven
        found = [np.abs(values[name][state]).max() for name, each in driven.items() for state in each.states]
        return float(max(found, default=0.0))

    def _stability(self) -> Stability:
        simulation = self.simulation
        return stability(simulation.plan, simulation.store, simulation.values)

    def advice(self) -> str:
        """Return the step and duration that would do."""
        if not self.possible:
            return "Use a smaller dt or a lower learning rate."
        found = self._stability()
        if not found.explicit_limit > 0:
            return "The circuit itself is unstable: weaken recurrent excitation."
        step, duration = 0.5 * found.explicit_limit, 2 * found.settling_time
        return f"Use dt <= {step:.2g} s and presentations of at least {duration:.2g} s."
