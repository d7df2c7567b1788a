"""Learning: how mean drifts over a batch become changes of weights and slow variables.

Both engines call this with the variables that they computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan, Plan
from neurocircuits.declare.steps import Cap, LargestChange, PerUnit, Step, scheduled
from neurocircuits.engines.arrays import dense
from neurocircuits.engines.drifts import Drift, mean
from neurocircuits.engines.values import PopulationValues, WeightStore
from neurocircuits.errors import DivergenceError

Bounds = tuple[Any, Any]
_LARGEST_SCALE = 1e38  # that numbers of 32 bits hold


class Learner:
    """Compute and apply the learning of a circuit.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : WeightStore
        Weights, changed in place.
    values : dict of str to PopulationValues
        Variables; slow ones are changed in place.
    parameters : dict
        SI parameters of populations and rules.
    """

    def __init__(
        self,
        plan: Plan,
        store: WeightStore,
        values: dict[str, PopulationValues],
        parameters: dict[str, dict[str, float]],
    ) -> None:
        self.plan, self.store, self.values = plan, store, values
        self._drifts = {
            name: (pathway, Drift(pathway, store, values[pathway.pre], values[pathway.post], parameters[name]))
            for name, pathway in plan.plastic.items()
        }
        self._slow = [name for name, population in plan.populations.items() if population.slow]
        self._bounds: dict[Any, Bounds] = {}  # around the values at onset, where a step has a cap

    @property
    def any(self) -> bool:
        """Whether there is anything to step."""
        return bool(self._drifts or self._slow)

    def onset(self) -> None:
        """Say that a presentation begins: steps with a cap count from here."""
        for name, (pathway, _) in self._drifts.items():
            step = pathway.rule.step  # type: ignore[union-attr]
            if isinstance(step, Cap):
                self._bounds[name] = _around(self.store.arrays[name], step, pathway.bounds)
        for name in self._slow:
            for slow, step in self.plan.populations[name].declaration.steps.items():
                if isinstance(step, Cap):
                    self._bounds[name, slow] = _around(self.values[name].data[slow], step, self._limits(name, slow))

    def step(self, seconds: float, scale: Callable[[str], float], progress: float) -> None:
        """Learn for a time from the present values.

        Parameters
        ----------
        seconds : float
            How long the drift acts.
        scale : callable
            Scale of the rate of a pathway or population by name; 0 freezes it.
        progress : float
            Fraction of the phase, for schedules.

        Raises
        ------
        DivergenceError
            If a change is not finite.
        """
        later: dict[tuple[str, str], np.ndarray] = {}
        for name in self._slow:
            if factor := scale(name):
                for slow in self.plan.populations[name].slow:
                    later[name, slow] = self._slow_variable(name, slow, seconds, factor, progress)
        pending: list[Callable[[], None]] = []
        for name, (pathway, drift) in self._drifts.items():
            if factor := scale(name):
                pending.append(self._weights(pathway, drift, seconds, factor, progress, later))
        for apply in pending:
            apply()
        for (name, slow), new in later.items():
            self.values[name].data[slow][...] = new

    def presentation_end(self, scale: Callable[[str], float]) -> None:
        """Apply what happens at the end of each presentation."""
        for name, (pathway, _) in self._drifts.items():
            normalise = pathway.declaration.normalise
            if normalise is not None and normalise.every == "presentation" and scale(name):
                normalise.apply(self.store.arrays[name])
                self.store.changed(name)

    # -- slow variables ------------------------------------------------------------------------------------------------

    def _limits(self, name: str, slow: str) -> Bounds:
        return self.plan.populations[name].declaration.bounds.get(slow, (-np.inf, np.inf))

    def _slow_variable(self, name: str, slow: str, seconds: float, factor: float, progress: float) -> np.ndarray:
        values, array = self.values[name], self.values[name].data[slow]
        step = values.plan.declaration.steps.get(slow)
        drift = dense(mean(values.plan.slow[slow](values)))
        if drift.shape != array.shape:
            drift = np.broadcast_to(np.asarray(drift, like=array), array.shape)
        per_unit = values.data[step.name] if isinstance(step, PerUnit) else None
        change = _change(step, drift, seconds * factor, factor, progress, per_unit)
        if not np.isfinite(change.sum()) and (bad := np.flatnonzero(~np.isfinite(change))).size:
            raise DivergenceError(
                f"Population({name!r}): the change of {slow!r} at unit {bad[0]} is {change[bad[0]]:g}. Lower its "
                "learning rate or bound it."
            )
        low, high = self._bounds.get((name, slow)) or self._limits(name, slow)
        return np.minimum(np.maximum(array + change, low), high)

    # -- weights -------------------------------------------------------------------------------------------------------

    def _weights(
        self,
        pathway: PathwayPlan,
        drift_of: Drift,
        seconds: float,
        factor: float,
        progress: float,
        later: dict[tuple[str, str], np.ndarray],
    ) -> Callable[[], None]:
        step: Step = pathway.rule.step  # type: ignore[union-attr]
        proportional = not isinstance(step, LargestChange | PerUnit)
        change, live = drift_of(seconds * factor if proportional else 1.0)
        if isinstance(step, LargestChange):
            finite = _scale_largest(change, factor * scheduled(step.size, progress))
        else:
            if isinstance(step, PerUnit):
                now = self.values[pathway.post].data[step.name]
                per_unit = later.get((pathway.post, step.name), now)
                per_unit = (per_unit if live is None else per_unit[live])[:, None]
                change = _change(step, change, seconds * factor, factor, progress, per_unit)
            finite = bool(np.isfinite(change.sum()))
        if not finite and (bad := np.argwhere(~np.isfinite(change))).size:
            post, pre = int(bad[0, 0] if live is None else live[bad[0, 0]]), int(bad[0, 1])
            raise DivergenceError(
                f"Synapses({pathway.name!r}): the change of the weight at post {post}, pre {pre} is "
                f"{change[tuple(bad[0])]:g} (step {step}). "
                f"Lower the learning rate, shorten the presentations or use more sub-steps."
            )
        return lambda: self._apply(pathway, change, live, drift_of.before)

    def _apply(self, pathway: PathwayPlan, change: np.ndarray, live: np.ndarray | None, before: np.ndarray) -> None:
        """Add a change and put the weights in one last operation: they are legal whenever a run is interrupted."""
        if live is not None and not len(live):
            return
        weights, mask = self.store.arrays[pathway.name], self.store.masks.get(pathway.name)
        change += before
        low, high = pathway.bounds
        capped = self._bounds.get(pathway.name, pathway.bounds)
        if live is not None and capped is not pathway.bounds:
            capped = tuple(bound[live] for bound in capped)
        normalise = pathway.declaration.normalise
        per_step = normalise if normalise is not None and normalise.every == "step" else None
        revised = per_step is not None or (mask is not None and not low <= 0.0 <= high)
        _clip(change, *capped, out=weights if live is None and not revised else change)
        if revised and mask is not None:
            change *= mask if live is None else mask[live]
        if per_step is not None and per_step.per == "target":
            per_step.apply(change)
        if live is not None or revised:
            weights[slice(None) if live is None else live] = change
        after = change if change.dtype == weights.dtype else None
        if per_step is not None and per_step.per == "source":
            per_step.apply(weights)
            live, after = None, None
        self.store.changed(pathway.name, live, after)


def _around(values: np.ndarray, step: Cap, bounds: Bounds) -> Bounds:
    """Return bounds at most the size of a cap away from the present values."""
    return np.maximum(bounds[0], values - step.size), np.minimum(bounds[1], values + step.size)


def _clip(values: np.ndarray, low: Any, high: Any, out: np.ndarray) -> None:
    if np.ndim(high) or high < np.inf:
        np.minimum(values, high, out=values)
    if np.ndim(low) or low > -np.inf:
        np.maximum(values, low, out=out)
    elif out is not values:
        out[...] = values


def _scale_largest(drift: np.ndarray, size: float) -> bool:
    """Scale a drift so that its largest element has a size, in place; return whether it is sure to be finite."""
    largest = max(float(drift.max(initial=0.0)), -float(drift.min(initial=0.0)))
    if not largest > 0:
        return largest == 0
    scale = float(size) / largest
    drift *= scale
    return largest < np.inf and scale < _LARGEST_SCALE


def _change(
    step: Step | None,
    drift: np.ndarray,
    seconds: float,
    scale: float,
    progress: float,
    per_unit: np.ndarray | None,
) -> np.ndarray:
    """Return the change that a step makes of a mean drift, divided by ``per_unit`` if it is given."""
    if isinstance(step, LargestChange):
        largest = float(np.abs(drift).max(initial=0.0))
        return drift * (scale * scheduled(step.size, progress) / largest) if largest > 0 else np.zeros_like(drift)
    return drift * seconds if per_unit is None else drift * seconds / per_unit
