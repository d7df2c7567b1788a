"""How far a continuous-time presentation ends from its steady state, and what to change if it is too far."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from neurocircuits.engines.settling import Settler
from neurocircuits.engines.stability import Stability, stability
from neurocircuits.engines.values import PopulationValues
from neurocircuits.errors import DivergenceError

_EVERY = 20  # presentations between checks where nothing is recorded
_MEAN_OF = 20  # checks that a failure is judged by


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
        self.possible = all(
            plan.populations[name].explicit and (not loop.recurrent or bool(loop.rectified)) for loop in plan.loops for name in loop.populations
        )
        self._count = 0
        self._recent: list[float] = []
        self._warned = False
        self._largest = 0.0

    def begin(self) -> None:
        """Say that a phase begins: judge it on its own, and warn if the time step is beyond the explicit limit."""
        self._recent = []
        simulation = self.simulation
        if self.possible and not self._warned and simulation.engine.method == "euler":
            found = self._stability()
            if simulation.engine.dt > found.explicit_limit > 0:
                self._warned = True
                warnings.warn(
                    f"Brian2: dt = {simulation.engine.dt:g} s is beyond the limit of explicit steps, {found.explicit_limit:.3g} s, if all cells are "
                    f"active (loop gain s = {found.loop_gain:.3g}, ringing at {found.ringing:.3g} Hz). {self.advice()}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def __call__(self, n_rows: int, recorded: bool, durations: np.ndarray) -> np.ndarray:
        """Return the distance of each copy, NaN where it was not measured.

        Raises
        ------
        DivergenceError
            If the mean of the last checks is beyond the tolerance.
        """
        self._count += 1
        due = recorded or (self.tolerance is not None and self._count % _EVERY == 0)
        if not (self.possible and due):
            return np.full(n_rows, np.nan)
        distance = self._measure(n_rows)
        if self.tolerance is not None:
            self._recent = [*self._recent, float(distance.mean())][-_MEAN_OF:]
            if len(self._recent) == _MEAN_OF and np.mean(self._recent) > self.tolerance:
                raise DivergenceError(
                    f"Brian2: at the end of presentations of {durations[0]:g} s the rates are {100 * np.mean(self._recent):.3g} % of the largest "
                    f"away from their steady state (mean of {_MEAN_OF} checks), beyond the tolerance of {100 * self.tolerance:g} %. {self.advice()} "
                    f"Or allow it with Brian2(tolerance=None)."
                )
        return distance

    def _measure(self, n_rows: int) -> np.ndarray:
        simulation = self.simulation
        plan = simulation.plan
        own = {}
        for name, values in simulation.values.items():
            own[name] = PopulationValues(values.plan, values.parameters, dict(values.data))
            own[name].clamp = values.clamp
        settler = Settler(plan, simulation.store, own, solver="active-set")
        settler.settle(n_rows, 1e-9, warm=True)
        worst, scale = np.zeros(n_rows), np.zeros(n_rows)
        for name, population in plan.driven.items():
            for state in population.states:
                rest = np.asarray(own[name].data[state])
                worst = np.maximum(worst, np.abs(simulation.values[name].data[state] - rest).max(axis=1))
                scale = np.maximum(scale, np.abs(rest).max(axis=1))
        self._largest = max(self._largest, float(scale.max()))  # blank stimuli have no scale of their own
        return worst / (self._largest or 1.0)

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
        return f"Use dt <= {0.5 * found.explicit_limit:.2g} s and presentations of at least {2 * found.settling_time:.2g} s."
