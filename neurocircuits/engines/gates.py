"""Population terms: who has which rank in a layer, and what a drift needs at the few pairs that a rank picks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from neurocircuits.compile.expressions import Expression
from neurocircuits.engines.arrays import dense, on_host
from neurocircuits.errors import ValidationError

_FEW = 1 << 18  # multiplications up to which a dense product is the faster one


class Layer:
    """Population terms of a layer; ranks of the same variable are found once for each evaluation."""

    def __init__(self) -> None:
        self._found: list[tuple[Any, np.ndarray, list[np.ndarray]]] = []
        self._buffers: list[np.ndarray] = []
        self._picks = csr_array((0, 0))

    def begin(self) -> None:
        """Forget what was found, since variables have new values."""
        self._found.clear()

    def place(self, x: Any, k: Any) -> np.ndarray:
        """Return where ``x`` (batch, unit) is the k-th largest of each row; ties go to the lower index."""
        rank = int(k)
        if not 1 <= rank <= x.shape[1]:
            raise ValidationError(f"ranked(x, {k:g}): there is no such rank among {x.shape[1]} units, counted from 1.")
        found = next((entry for entry in self._found if entry[0] is x), None)
        if found is None:
            found = (x, self._copy(x), [])
            self._found.append(found)
        _, rest, order = found
        if len(order) < rank:
            rows = np.arange(len(rest), like=rest)
            while len(order) < rank:
                if order:
                    rest[rows, order[-1]] = -np.inf
                order.append(rest.argmax(axis=1))
        return order[rank - 1]

    def _copy(self, x: Any) -> np.ndarray:
        """Return a copy in an array that is used again."""
        number, dtype = len(self._found), np.result_type(x.dtype, np.float32)
        if number == len(self._buffers) or (self._buffers[number].shape, self._buffers[number].dtype) != (
            x.shape,
            dtype,
        ):
            self._buffers[number:] = [np.empty(x.shape, dtype, like=x)]
        self._buffers[number][...] = x
        return self._buffers[number]

    def ranked(self, x: Any, k: Any) -> np.ndarray:
        """Return 1 where ``x`` (batch, unit) is the k-th largest of its row, else 0."""
        place = self.place(x, k)
        gate = np.zeros(x.shape, np.result_type(x.dtype, np.float32), like=x)
        gate[np.arange(len(place), like=place), place] = 1.0
        return gate

    def evaluate(self, expression: Expression, values: Mapping[str, Any]) -> np.ndarray:
        """Evaluate a population term."""
        functions = {
            "ranked": self.ranked,
            "winner": lambda x: self.ranked(x, 1),
            "total": lambda x: np.broadcast_to(x.sum(axis=1, keepdims=True), x.shape),
        }
        return expression.evaluate(_dense(expression, values), functions)

    def picked(self, expressions: Mapping[str, Expression], names: Mapping[str, Any]) -> Pairs | None:
        """Evaluate terms at the pairs of a presentation and a unit alone that some rank picks, if they are 0 elsewhere.

        Returns
        -------
        Pairs or None
            Knows the terms by name. None if a term is not 0 elsewhere, or needs a sum over the layer.
        """
        calls: list[np.ndarray] = []

        def pick(x: Any, k: Any = 1) -> float:
            calls.append(self.place(x, k))
            return 0.0

        functions = {"ranked": pick, "winner": pick, "total": _no_sum}
        for expression in expressions.values():
            before, elsewhere = len(calls), expression.evaluate(_dense(expression, names), functions)
            if len(calls) == before or (elsewhere != 0 if isinstance(elsewhere, float) else np.any(elsewhere != 0)):
                return None
        places = list({id(place): place for place in calls}.values())
        pairs, turn = Pairs(places, names, len(self._found) > 1), iter(calls)

        def gate(x: Any, k: Any = 1) -> np.ndarray:
            return (next(turn)[pairs.presentations] == pairs.unit).astype(np.result_type(x.dtype, np.float32))

        gates = {"ranked": gate, "winner": gate}
        terms = {n: e.evaluate({name: pairs[name] for name in e.names}, gates) for n, e in expressions.items()}
        pairs.known |= terms
        return pairs

    def product(self, pairs: Pairs, values: np.ndarray, pre: Any) -> np.ndarray:
        """Return the sum over presentations of ``values`` at pairs times what is presynaptic.

        Parameters
        ----------
        pairs : Pairs
            The pairs.
        values : ndarray, shape (pair,)
            Postsynaptic factor.
        pre : ndarray or CSR, shape (batch, pre)
            Presynaptic factor.

        Returns
        -------
        ndarray, shape (alive unit, pre)
            A new array.
        """
        n_alive, n, n_presentations = len(pairs.units), len(values), pairs.n_presentations
        few = n_alive * n_presentations * pre.shape[1] <= _FEW or not on_host(values)
        if few and not hasattr(pre, "toarray"):
            gate = np.zeros((n_alive, n_presentations), values.dtype, like=values)
            rows = np.repeat(np.arange(n_alive, like=values), np.diff(pairs.starts))
            gate[rows, pairs.presentations] = values
            return gate @ pre
        picks = self._picks
        if picks.shape != (n, n_presentations):
            picks = self._picks = csr_array((n, n_presentations))
        picks.data, picks.indices = values, pairs.presentations
        picks.indptr = np.full(n + 1, n)  # a row for each pair, so that the shape stays: the last ones are empty
        picks.indptr[: n_alive + 1] = pairs.starts
        return dense(picks @ pre)[:n_alive]


class Pairs(Mapping[str, Any]):
    """Postsynaptic names at pairs of a presentation and a unit, (pair,), in the order of units.

    Parameters
    ----------
    places : list of ndarray of int, shape (batch,)
        Units that were picked, one for each presentation.
    names : mapping of str to array
        Names of the postsynaptic side, (batch, unit) or (unit,), and numbers.
    twice : bool
        Whether different ``places`` may pick the same unit for a presentation.

    Attributes
    ----------
    unit, presentations : ndarray of int, shape (pair,)
        The pairs.
    units : ndarray of int, shape (alive,)
        The units that occur, in ascending order.
    starts : ndarray of int, shape (alive + 1,)
        The first pair of each, then the number of pairs.
    known : dict of str to ndarray
        Values that were asked for or set.
    """

    def __init__(self, places: list[np.ndarray], names: Mapping[str, Any], twice: bool) -> None:
        self.names, self.n_presentations = names, len(places[0])
        self.known: dict[str, Any] = {}
        picked = np.concatenate(places)
        order = picked.argsort(kind="stable")
        self.unit, self.presentations = picked[order], order % self.n_presentations
        if twice:
            self.unit, self.presentations = np.unique(np.stack((self.unit, self.presentations)), axis=1)
        first = np.ones(len(self.unit) + 1, dtype=bool, like=self.unit)
        np.not_equal(self.unit[1:], self.unit[:-1], out=first[1:-1])
        self.starts = first.nonzero()[0]
        self.units = self.unit[self.starts[:-1]]

    def __getitem__(self, name: str) -> Any:
        if name not in self.known:
            value = self.names[name]
            if getattr(value, "ndim", 0):
                value = dense(value)
                at = (self.presentations if len(value) > 1 else 0, self.unit)
                value = value[self.unit if value.ndim == 1 else at]
            self.known[name] = value
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over presentations of ``values`` (pair,) for each alive unit, (alive,)."""
        return np.add.reduceat(values, self.starts[:-1]) / self.n_presentations


def _no_sum(x: Any) -> float:
    return np.nan  # which is not 0


def _dense(expression: Expression, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dense(v) if getattr(v := values[name], "ndim", 0) else v for name in expression.names}
