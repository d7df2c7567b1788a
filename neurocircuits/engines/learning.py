"""Learning: the mean drifts of weights and slow variables over a batch, and the steps that apply them.

Both engines call this with the variables that they computed. Separable terms become matrix products; if a population term
gates every term, only the rows that it leaves alive are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import Aggregate, PathwayPlan, Plan, RulePlan
from neurocircuits.compile.separable import Term
from neurocircuits.declare.steps import Cap, LargestChange, PerUnit, Step, scheduled
from neurocircuits.engines.values import PopulationValues, Sided, WeightStore, dense
from neurocircuits.errors import DivergenceError, ValidationError

_BLOCK = 1 << 22  # values at a time where a drift is evaluated presentation by presentation


class Layer:
    """Population terms of one evaluation; ranks of the same variable are found once."""

    def __init__(self) -> None:
        self._found: list[tuple[Any, np.ndarray, list[np.ndarray]]] = []

    def ranked(self, x: Any, k: Any) -> np.ndarray:
        """Return 1 where ``x`` (batch, unit) is the k-th largest of its row, 0 elsewhere; ties go to the lower index."""
        rank = int(k)
        if not 1 <= rank <= x.shape[1]:
            raise ValidationError(f"ranked(x, {k:g}): there is no such rank among {x.shape[1]} units, counted from 1.")
        for known, rest, order in self._found:
            if known is x:
                break
        else:
            rest, order = np.array(x, dtype=float), []
            self._found.append((x, rest, order))
        rows = np.arange(len(rest))
        while len(order) < rank:
            order.append(rest.argmax(axis=1))
            rest[rows, order[-1]] = -np.inf
        gate = np.zeros(rest.shape)
        gate[rows, order[rank - 1]] = 1.0
        return gate

    def evaluate(self, expression: Expression, values: Mapping[str, Any]) -> np.ndarray:
        """Evaluate a population term."""
        functions = {
            "ranked": self.ranked,
            "winner": lambda x: self.ranked(x, 1),
            "total": lambda x: x.sum(axis=1, keepdims=True),
        }
        return expression.evaluate(
            {name: dense(v) if np.ndim(v := values[name]) else v for name in expression.names}, functions
        )


def _value(expression: Expression | None, values: Mapping[str, Any], raw: str) -> Any:
    """Evaluate a factor; a bare variable is passed through, so a sparse source stays sparse."""
    if expression is None:
        return None
    if expression.text == raw:
        return values[raw]
    names = {name: values[name] for name in expression.names}
    return expression({name: dense(v) if hasattr(v, "toarray") else v for name, v in names.items()})


def _mean(value: Any) -> Any:
    return np.asarray(value.mean(axis=0)).ravel() if np.ndim(value) == 2 else value


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
        self.plan, self.store, self.values, self.parameters = plan, store, values, parameters
        self._onsets: dict[Any, np.ndarray] = {}
        self._n_rows = 1

    def onset(self) -> None:
        """Say that a presentation begins: steps with a cap count from here."""
        for name, pathway in self.plan.plastic.items():
            if isinstance(pathway.rule.step, Cap):  # type: ignore[union-attr]
                self._onsets[name] = self.store.arrays[name].copy()
        for name, population in self.plan.populations.items():
            for slow, step in population.declaration.steps.items():
                if isinstance(step, Cap):
                    self._onsets[name, slow] = self.values[name].data[slow].copy()

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
            If a drift is not finite.
        """
        pending: list[Callable[[], None]] = []
        for name, pathway in self.plan.plastic.items():
            if factor := scale(name):
                pending.append(self._weights(pathway, seconds, factor, progress))
        for name, population in self.plan.populations.items():
            if population.slow and (factor := scale(name)):
                pending += [self._slow(name, slow, seconds, factor, progress) for slow in population.slow]
        for apply in pending:
            apply()

    def presentation_end(self, scale: Callable[[str], float]) -> None:
        """Apply what happens at the end of each presentation."""
        for name, pathway in self.plan.plastic.items():
            normalise = pathway.declaration.normalise
            if normalise is not None and normalise.every == "presentation" and scale(name):
                normalise.apply(self.store.arrays[name])
                self.store.changed(name)

    def _slow(self, name: str, slow: str, seconds: float, factor: float, progress: float) -> Callable[[], None]:
        values = self.values[name]
        population = values.plan
        drift = np.broadcast_to(_mean(population.slow[slow](values)), (population.n_units,))
        step = population.declaration.steps.get(slow)
        array = values.data[slow]
        change = _change(step, drift, seconds * factor, factor, progress, values)
        if not np.isfinite(change).all():
            unit = int(np.flatnonzero(~np.isfinite(change))[0])
            raise DivergenceError(
                f"Population({name!r}): the change of {slow!r} at unit {unit} is {change[unit]:g}. Lower its learning rate or bound it."
            )
        low, high = population.declaration.bounds.get(slow, (-np.inf, np.inf))
        if isinstance(step, Cap):
            onset = self._onsets.get((name, slow), array)
            low, high = np.maximum(low, onset - step.size), np.minimum(high, onset + step.size)
        return lambda: np.clip(array + change, low, high, out=array)  # type: ignore[return-value, func-returns-value]

    def _weights(self, pathway: PathwayPlan, seconds: float, factor: float, progress: float) -> Callable[[], None]:
        rule: RulePlan = pathway.rule  # type: ignore[assignment]
        weights = self.store.arrays[pathway.name]
        names = self._names(pathway, rule, weights)
        live = self._live_rows(rule, names)
        if live is not None and not len(live):
            return lambda: None
        drift = self._drift(rule, names, weights, live)
        mask = self.store.masks.get(pathway.name)
        if mask is not None:
            drift = drift * (mask if live is None else mask[live])
        change = _change(rule.step, drift, seconds * factor, factor, progress, self.values[pathway.post], live)
        if not np.isfinite(change.sum()) and (bad := np.argwhere(~np.isfinite(change))).size:
            post, pre = int(bad[0, 0] if live is None else live[bad[0, 0]]), int(bad[0, 1])
            raise DivergenceError(
                f"Synapses({pathway.name!r}): the change of the weight at post {post}, pre {pre} is {change[tuple(bad[0])]:g} (drift "
                f"{drift[tuple(bad[0])]:g}, step {rule.step}). Lower the learning rate, shorten the presentations or use more sub-steps."
            )

        def apply() -> None:
            self._apply(pathway, rule.step, weights, change, live)

        return apply

    def _apply(
        self, pathway: PathwayPlan, step: Step, weights: np.ndarray, change: np.ndarray, live: np.ndarray | None
    ) -> None:
        change += weights if live is None else weights[live]
        low, high = pathway.bounds
        if isinstance(step, Cap):
            onset = self._onsets.get(pathway.name, weights)
            onset = onset if live is None else onset[live]
            np.clip(change, np.maximum(low, onset - step.size), np.minimum(high, onset + step.size), out=change)
        elif (low, high) == (0.0, np.inf):
            np.maximum(change, 0.0, out=change)
        elif (low, high) != (-np.inf, np.inf):
            np.clip(change, low, high, out=change)
        mask = self.store.masks.get(pathway.name)
        if mask is not None and not low <= 0.0 <= high:
            change *= mask if live is None else mask[live]
        normalise = pathway.declaration.normalise
        per_step = normalise if normalise is not None and normalise.every == "step" else None
        if per_step is not None and per_step.per == "target":
            per_step.apply(change)
        weights[slice(None) if live is None else live] = change
        if per_step is not None and per_step.per == "source":
            per_step.apply(weights)
            live = None
        self.store.changed(pathway.name, live)

    def _names(self, pathway: PathwayPlan, rule: RulePlan, weights: np.ndarray) -> Sided:
        pre, post = self.values[pathway.pre], self.values[pathway.post]
        own: dict[str, Any] = dict(self.parameters[pathway.name])
        own |= {"w": weights, "n_pre": weights.shape[1], "n_post": weights.shape[0], "dale": pathway.sign}
        names = Sided(pre, post, own)
        self._n_rows = max(_rows(pre), _rows(post))
        layer = Layer()
        for name, (_, expression) in rule.layer_terms.items():
            own[name] = layer.evaluate(expression, names)
        for name, aggregate in rule.aggregates.items():
            own[name] = _aggregate(aggregate, names, weights, self.store.masks.get(pathway.name))
        return names

    def _live_rows(self, rule: RulePlan, names: Sided) -> np.ndarray | None:
        """Return the rows that change, where a gate of the postsynaptic side multiplies every term; None for all."""
        if not rule.gates:
            return None
        alive = np.zeros(names["w"].shape[0], dtype=bool)
        for gate in rule.gates:
            alive |= (np.asarray(names[gate]) != 0).any(axis=0)
        live = np.flatnonzero(alive)
        return live if 2 * len(live) < len(alive) else None

    def _drift(self, rule: RulePlan, names: Sided, weights: np.ndarray, live: np.ndarray | None) -> np.ndarray:
        if not rule.terms:
            return self._pointwise(rule, names, weights)
        total: np.ndarray | None = None
        rows = weights if live is None else weights[live]
        kept = _Rows(names, live, rows)
        for term in sorted(rule.terms, key=lambda t: t.post is None or t.pre is None):
            part = self._term(term, kept)
            if total is None:
                whole = getattr(part, "shape", ()) == rows.shape and part is not rows
                total = part if whole else np.array(np.broadcast_to(part, rows.shape))
            else:
                total += part
        return total if total is not None else np.zeros_like(rows)

    def _term(self, term: Term, names: Mapping[str, Any]) -> Any:
        post, pre = _value(term.post, names, "r_post"), _value(term.pre, names, "r_pre")
        constant = float(term.constant(names))
        product: Any
        if np.ndim(post) == 2 and np.ndim(pre) == 2:
            post = dense(post)
            product = (pre.T @ post).T if hasattr(pre, "toarray") else post.T @ pre
            constant /= self._n_rows
        else:
            left, right = _mean(post), _mean(pre)
            left = left[:, None] if np.ndim(left) == 1 else left
            product = right if left is None else left if right is None else left * right
        weight = None if term.weight is None else term.weight(names)
        if product is None:
            return constant if weight is None else constant * weight
        if isinstance(product, np.ndarray) and product.ndim == 2 and product.shape[1] > 1:
            product *= constant
        else:
            product = product * constant
        return product if weight is None else product * weight

    def _pointwise(self, rule: RulePlan, names: Sided, weights: np.ndarray) -> np.ndarray:
        """Return the mean of a drift that is no sum of products, a few presentations at a time."""
        batched: dict[str, Any] = {}
        for name in rule.drift.names:
            value = names[name]
            value = dense(value) if hasattr(value, "toarray") else value
            post = (
                name.endswith("_post")
                or rule.layer_terms.get(name, ("pre",))[0] == "post"
                or _over(rule, name) == "pre"
            )
            if name != "w" and np.ndim(value) >= 1:
                value = np.atleast_2d(value)
                value = value[:, :, None] if post else value[:, None, :]
            batched[name] = value
        n_rows, size = self._n_rows, max(1, _BLOCK // weights.size)
        total = np.zeros_like(weights)
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            block = {k: v[start:stop] if np.ndim(v) == 3 and len(v) == n_rows else v for k, v in batched.items()}
            drift = rule.drift(block)
            total += np.broadcast_to(drift, (stop - start, *weights.shape)).sum(axis=0)
        return total / n_rows


class _Rows(Mapping[str, Any]):
    """The names of a rule with the postsynaptic side cut to some rows."""

    def __init__(self, names: Sided, live: np.ndarray | None, weights: np.ndarray) -> None:
        self.names, self.live, self.weights = names, live, weights

    def __getitem__(self, name: str) -> Any:
        if name == "w":
            return self.weights
        value = self.names[name]
        n_post = self.names["w"].shape[0]
        pre_side = name.endswith("_pre")
        if self.live is None or pre_side or np.ndim(value) == 0 or value.shape[-1] != n_post:
            return value
        return value[..., self.live]

    def __iter__(self):
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _over(rule: RulePlan, name: str) -> str:
    return rule.aggregates[name].over if name in rule.aggregates else ""


def _rows(values: PopulationValues) -> int:
    return max(
        (len(v) if not hasattr(v, "toarray") else v.shape[0] for v in values.data.values() if np.ndim(v) == 2),
        default=1,
    )


def _aggregate(aggregate: Aggregate, names: Mapping[str, Any], weights: np.ndarray, mask: np.ndarray | None) -> Any:
    """Return a sum over one side of the synapses that exist: (post,) or (batch, post) over pre, (pre,) or (batch, pre) over post."""
    over_pre = aggregate.over == "pre"
    total: Any = 0.0
    for term in aggregate.terms:
        post, pre = _value(term.post, names, "r_post"), _value(term.pre, names, "r_pre")
        matrix = np.broadcast_to(1.0 if term.weight is None else term.weight(names), weights.shape)
        matrix = matrix if mask is None else matrix * mask
        summed, kept = (pre, post) if over_pre else (post, pre)
        if summed is None or np.ndim(summed) == 0:
            part = matrix.sum(axis=1 if over_pre else 0) * (1.0 if summed is None else summed)
        else:
            part = summed @ (matrix.T if over_pre else matrix)
        total = total + float(term.constant(names)) * (part if kept is None else part * dense(kept))
    return total


def _change(
    step: Step | None,
    drift: np.ndarray,
    seconds: float,
    scale: float,
    progress: float,
    post: PopulationValues,
    live: np.ndarray | None = None,
) -> np.ndarray:
    """Return the change that a step makes of a mean drift."""
    if isinstance(step, LargestChange):
        largest = float(np.abs(drift).max())
        return drift * (scale * scheduled(step.size, progress) / largest) if largest > 0 else np.zeros_like(drift)
    if isinstance(step, PerUnit):
        per_unit = post.data[step.name] if live is None else post.data[step.name][live]
        return drift * seconds / (per_unit[:, None] if drift.ndim == 2 else per_unit)
    return drift * seconds
