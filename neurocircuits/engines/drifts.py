"""Mean drifts of weights over a batch, from the values of the two populations of a pathway.

Separable terms become matrix products; a drift that is no sum of products is evaluated presentation by presentation.
If a population term gates every term, only the rows that it leaves alive are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import Aggregate, PathwayPlan, RulePlan
from neurocircuits.engines.arrays import add_product, dense
from neurocircuits.engines.gates import Layer, Pairs
from neurocircuits.engines.values import PopulationValues, Sided, WeightStore

_BLOCK = 1 << 22  # values at a time where a drift is evaluated presentation by presentation


class Drift:
    """The mean drift of the weights of one pathway.

    Parameters
    ----------
    pathway : PathwayPlan
        A pathway with a rule.
    store : WeightStore
        Weights.
    pre, post : PopulationValues
        Variables of the two populations.
    parameters : dict of str to float
        SI parameters of the rule; what is computed from them is kept until they change.

    Attributes
    ----------
    before : ndarray, shape (rows, pre)
        The present weights of the rows that the latest drift belongs to.
    """

    before: np.ndarray

    def __init__(
        self,
        pathway: PathwayPlan,
        store: WeightStore,
        pre: PopulationValues,
        post: PopulationValues,
        parameters: dict[str, float],
    ) -> None:
        self.rule: RulePlan = pathway.rule  # type: ignore[assignment]
        self.parameters = parameters
        self._weights, self._mask = store.arrays[pathway.name], store.masks.get(pathway.name)
        self._own = {"w": self._weights, "n_pre": pre.plan.n_units, "n_post": post.plan.n_units, "dale": pathway.sign}
        self._names = Sided(pre, post, self._own)
        self._terms = sorted(self.rule.terms, key=lambda term: term.post is not None and term.pre is not None)
        self._seen: dict[str, float] | None = None
        self._total, self._part = np.empty_like(self._weights), np.empty_like(self._weights)
        self._rows: np.ndarray | None = None
        self._layer, terms = Layer(), self.rule.layer_terms
        self._layer_terms = {name: expression for name, (_, expression) in terms.items()}
        self._few = bool(terms) and self.rule.gates == tuple(terms) and not self.rule.aggregates

    def __call__(self, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray | None]:
        """Evaluate on the present values.

        Parameters
        ----------
        factor : float
            Multiplies the drift.

        Returns
        -------
        drift : ndarray, shape (rows, pre)
            The array is used again by the next call.
        rows : ndarray of int or None
            Postsynaptic units that the rows belong to, where the others do not change; None for all.
        """
        self._evaluate()
        live = self._live_rows() if self._pairs is None else self._pairs.units
        self.before = self._weights if live is None else self._gathered(live)
        if not self.rule.terms:
            drift = factor * self._pointwise()
        elif self._pairs is not None:
            drift = self._sum_of_pairs(factor, self._pairs)
        elif live is None:
            drift = self._sum(factor, self._names)
        else:
            drift = self._sum(factor, _Rows(self._names, live, self.before))
        if self._mask is not None:
            drift *= self._mask if live is None else self._mask[live]
        return drift, live

    def _evaluate(self) -> None:
        """Evaluate constants if parameters changed, population terms and aggregates."""
        rule, own = self.rule, self._own
        if self._seen != self.parameters:
            self._seen = dict(self.parameters)
            own |= self.parameters
            self._constants = [float(term.constant(own)) for term in self._terms]
            self._factors = {n: [float(term.constant(own)) for term in a.terms] for n, a in rule.aggregates.items()}
        self._pairs: Pairs | None = None
        self._layer.begin()
        if self._few:
            self._pairs = self._layer.picked(self._layer_terms, self._names)
        if self._pairs is None:
            for name, expression in self._layer_terms.items():
                own[name] = self._layer.evaluate(expression, self._names)
        for name, aggregate in rule.aggregates.items():
            own[name] = self._aggregate(aggregate, self._factors[name])

    def _aggregate(self, aggregate: Aggregate, factors: list[float]) -> Any:
        """Return a sum over one side of the synapses that exist.

        That is (post,) or (batch, post) for a sum over pre, (pre,) or (batch, pre) for a sum over post.
        """
        over_pre = aggregate.over == "pre"
        total: Any = 0.0
        for term, factor in zip(aggregate.terms, factors, strict=True):
            post, pre = _value(term.post, self._names, "r_post"), _value(term.pre, self._names, "r_pre")
            matrix = _weighted(term.weight, self._names, self._weights)
            if matrix is None:
                matrix = np.broadcast_to(np.asarray(1.0, like=self._weights), self._weights.shape)
            matrix = matrix if self._mask is None else matrix * self._mask
            summed, kept = (pre, post) if over_pre else (post, pre)
            if summed is None or np.ndim(summed) == 0:
                part = matrix.sum(axis=1 if over_pre else 0) * (factor if summed is None else factor * summed)
            else:
                part = factor * (summed @ (matrix.T if over_pre else matrix))
            total = total + (part if kept is None else part * dense(kept))
        return total

    def _live_rows(self) -> np.ndarray | None:
        """Return the rows that change, where a gate of the postsynaptic side multiplies every term; None for all."""
        if not self.rule.gates:
            return None
        alive = np.zeros(len(self._weights), dtype=bool, like=self._weights)
        for gate in self.rule.gates:
            alive |= (dense(self._names[gate]) != 0).any(axis=0)
        live = np.flatnonzero(alive)
        return live if 2 * len(live) < len(alive) else None

    def _gathered(self, live: np.ndarray) -> np.ndarray:
        """Return the weights of some rows, in an array that is used again."""
        if self._rows is None:
            self._rows = np.empty_like(self._weights)
        return self._weights.take(live, axis=0, out=self._rows[: len(live)], mode="clip")

    def _sum_of_pairs(self, factor: float, pairs: Pairs) -> np.ndarray:
        """Return the drift of the rows that ranks pick, from the few pairs where they do."""
        rows = self.before
        total: Any = None
        weights = {**self._own, "w": rows}
        for term, constant in zip(reversed(self._terms), reversed(self._constants), strict=True):
            post, pre = _value(term.post, pairs, "r_post"), _value(term.pre, self._names, "r_pre")
            if getattr(pre, "ndim", 0) == 2:
                part = self._layer.product(pairs, post * (factor * constant / pairs.n_presentations), pre)
            else:
                part = _outer(factor * constant, pairs.mean(post), pre)
            if term.weight is not None:
                out = (self._total if total is None else self._part)[: len(rows)]
                part = np.multiply(_weighted(term.weight, weights, rows), part, out=out)
            if total is None and part.shape == rows.shape and part.dtype == rows.dtype:
                total = part
            elif total is None:
                total = self._total[: len(rows)]
                total[...] = part
            else:
                total += part
        return total

    def _sum(self, factor: float, names: Mapping[str, Any]) -> np.ndarray:
        rows = self.before
        total, spare = self._total[: len(rows)], self._part[: len(rows)]
        for k, (term, constant) in enumerate(zip(self._terms, self._constants, strict=True)):
            post, pre = _value(term.post, names, "r_post"), _value(term.pre, names, "r_pre")
            weight = _weighted(term.weight, names, rows)
            if getattr(post, "ndim", 0) == 2 and getattr(pre, "ndim", 0) == 2:
                post = dense(post) * (factor * constant / post.shape[0])
                if k and weight is None and add_product(post, pre, total):
                    continue
                part = _product(post, pre, spare if k else total)
            else:
                part = _outer(factor * constant, mean(post), mean(pre))
            part = part if weight is None else np.multiply(weight, part, out=spare if k else total)
            if k:
                total += part
            elif part is not total:
                total[...] = part
        return total

    def _pointwise(self) -> np.ndarray:
        """Return the mean of a drift that is no sum of products, a few presentations at a time."""
        rule, weights = self.rule, self._weights
        batched: dict[str, Any] = {}
        for name in rule.drift.names:
            value = self._names[name]
            value = dense(value) if hasattr(value, "toarray") else value
            if name != "w" and np.ndim(value) >= 1:
                value = np.atleast_2d(value)
                value = value[:, :, None] if _is_post(rule, name) else value[:, None, :]
            batched[name] = value
        n_rows = max((len(v) for v in batched.values() if np.ndim(v) == 3), default=1)
        size = max(1, _BLOCK // weights.size)
        total = np.zeros_like(weights)
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            block = {k: v[start:stop] if np.ndim(v) == 3 and len(v) == n_rows else v for k, v in batched.items()}
            total += np.broadcast_to(rule.drift(block), (stop - start, *weights.shape)).sum(axis=0)
        return total / n_rows


class _Rows(Mapping[str, Any]):
    """The names of a rule with the postsynaptic side cut to some rows."""

    def __init__(self, names: Sided, live: np.ndarray, weights: np.ndarray) -> None:
        self.names, self.live, self.weights = names, live, weights

    def __getitem__(self, name: str) -> Any:
        if name == "w":
            return self.weights
        value = self.names[name]
        n_post = self.names["n_post"]
        if name.endswith("_pre") or np.ndim(value) == 0 or value.shape[-1] != n_post:
            return value
        return value[..., self.live]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _is_post(rule: RulePlan, name: str) -> bool:
    """Whether a name of a rule has a value for each postsynaptic unit."""
    if name in rule.aggregates:
        return rule.aggregates[name].over == "pre"
    return name.endswith("_post") or rule.layer_terms.get(name, ("pre",))[0] == "post"


def _value(expression: Expression | None, values: Mapping[str, Any], raw: str) -> Any:
    """Evaluate a factor; a bare variable is passed through, so a sparse source stays sparse."""
    if expression is None:
        return None
    if expression.text == raw:
        return values[raw]
    names = {name: values[name] for name in expression.names}
    return expression({name: dense(v) if hasattr(v, "toarray") else v for name, v in names.items()})


def _weighted(expression: Expression | None, names: Mapping[str, Any], weights: np.ndarray) -> Any:
    if expression is None:
        return None
    return weights if expression.text == "w" else expression(names)


def mean(value: Any) -> Any:
    """Return the mean over a batch of what has one value for each presentation and unit, anything else as it is."""
    if getattr(value, "ndim", 0) != 2:
        return value
    if value.shape[0] == 1 and isinstance(value, np.ndarray):
        return value[0]
    return dense(value.mean(axis=0)).ravel()


def _outer(constant: float, post: Any, pre: Any) -> Any:
    """Return what can be broadcast to (post, pre) from means over a batch; None where a side does not occur."""
    left: Any = constant if post is None else constant * post
    left = left[:, None] if getattr(left, "ndim", 0) == 1 else left
    return left if pre is None else left * pre


def _product(post: np.ndarray, pre: Any, out: np.ndarray) -> np.ndarray:
    """Return the sum over the batch of the outer products of two sides."""
    if hasattr(pre, "toarray"):
        out[...] = (pre.T @ post).T
    elif post.dtype == pre.dtype == out.dtype:
        np.dot(post.T, pre, out=out)
    else:
        out[...] = post.T @ pre
    return out
