"""Drifts as sums of separable terms f(post) g(pre) h(w), so that a batch mean is a matrix product."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sympy

from neurocircuits.compile.expressions import Expression, parse, symbol, to_sympy
from neurocircuits.errors import ValidationError


@dataclass(frozen=True)
class Term:
    """One separable term; a side that does not occur is None.

    Parameters
    ----------
    constant : Expression
        Number or expression of parameters.
    post, pre, weight : Expression or None
        The factors of the postsynaptic side, the presynaptic side and the weight.
    """

    constant: Expression
    post: Expression | None
    pre: Expression | None
    weight: Expression | None

    def vanishes_without(self, gates: Collection[str]) -> bool:
        """Return whether the postsynaptic factor is 0 wherever all of these gates are."""
        if self.post is None or not self.post.names & set(gates):
            return False
        return to_sympy(parse(self.post.text)).subs({symbol(gate): 0 for gate in gates}) == 0

    def __str__(self) -> str:
        return " * ".join(f"[{part.text}]" for part in (self.constant, self.post, self.pre, self.weight) if part)


def separate(
    tree: ast.expr, sides: Mapping[str, str], integers: Mapping[str, int] | None = None
) -> tuple[tuple[Term, ...], str]:
    """Bring an expression to a sum of separable terms.

    Parameters
    ----------
    tree : ast.expr
        The expression.
    sides : mapping of str to {"post", "pre", "weight"}
        Side of each name; names that are missing are constants.
    integers : mapping of str to int, optional
        Constants to put in as exact integers.

    Returns
    -------
    terms : tuple of Term
        Empty if there is no such form.
    reason : str
        Why there is none; empty otherwise.
    """
    try:
        expression = to_sympy(tree, integers)
    except ValidationError as error:
        return (), str(error)
    collected: dict[tuple[sympy.Expr, sympy.Expr, sympy.Expr], sympy.Expr] = {}
    for summand in sympy.Add.make_args(sympy.expand(expression)):
        factors: dict[str, sympy.Expr] = {side: sympy.Integer(1) for side in ("constant", "post", "pre", "weight")}
        for factor in sympy.Mul.make_args(sympy.expand_power_base(summand, force=True)):
            of = {sides.get(s.name, "constant") for s in factor.free_symbols} - {"constant"}
            if len(of) > 1:
                return (), f"the factor {factor} mixes {' and '.join(sorted(of))}"
            factors[of.pop() if of else "constant"] *= factor
        key = (factors["post"], factors["pre"], factors["weight"])
        collected[key] = collected.get(key, sympy.Integer(0)) + factors["constant"]
    terms = []
    for (post, pre, weight), constant in collected.items():
        if constant != 0:
            parts = [None if part == 1 else Expression.of(part) for part in (post, pre, weight)]
            terms.append(Term(Expression.of(constant), *parts))
    return tuple(terms), ""
