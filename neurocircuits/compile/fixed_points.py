"""Fixed points of equations, derived by bringing each one to M*x + B with M and B free of x."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import sympy
from sympy.core.function import AppliedUndef

from neurocircuits.compile.expressions import Expression, symbol, to_sympy
from neurocircuits.errors import ValidationError


def _linear_root(expression: sympy.Expr, unknown: sympy.Symbol) -> sympy.Expr | None:
    calls = [
        atom for atom in expression.atoms(AppliedUndef) if not atom.has(unknown) and atom.func.__name__ != "rectify"
    ]
    kept = {atom: sympy.Dummy(real=True) for atom in calls}  # their arguments may be long and need no expansion
    expanded = expression.xreplace(kept).expand()
    slope = expanded.diff(unknown)
    rest = (expanded - slope * unknown).expand()
    opaque = slope.has(sympy.Derivative) or slope.has(sympy.Subs)
    if slope == 0 or opaque or slope.has(unknown) or rest.has(unknown):
        return None
    return (-rest / slope).xreplace(
        {dummy: atom for atom, dummy in kept.items()}
    )  # not simplified: simplifying a logistic makes it overflow


def fixed_points(right_hand_sides: Mapping[str, ast.expr]) -> dict[str, sympy.Expr]:
    """Solve each equation for its own variable.

    Parameters
    ----------
    right_hand_sides : mapping of str to ast.expr
        Sub-expressions substituted; one entry for each fast state.

    Returns
    -------
    dict of str to sympy.Expr
        Fixed points in terms of inputs, slow variables, parameters, and of other states only where these form a loop
        that is not linear. States for which none can be derived are missing.
    """
    symbols = {name: symbol(name) for name in right_hand_sides}
    algebra: dict[str, sympy.Expr] = {}
    for name, tree in right_hand_sides.items():
        try:
            algebra[name] = to_sympy(tree)
        except ValidationError:
            continue
    roots = {name: root for name, f in algebra.items() if (root := _linear_root(f, symbols[name])) is not None}
    if len(roots) > 1 and len(roots) == len(right_hand_sides):
        roots = _jointly(algebra, symbols) or roots
    for _ in range(len(roots)):
        done = {name: root for name, root in roots.items() if not root.free_symbols & set(symbols.values())}
        roots = {
            name: root if name in done else root.subs({symbols[d]: v for d, v in done.items()})
            for name, root in roots.items()
        }
    return roots


def _jointly(algebra: Mapping[str, sympy.Expr], symbols: Mapping[str, sympy.Symbol]) -> dict[str, sympy.Expr] | None:
    unknowns = list(symbols.values())
    matrix = sympy.Matrix([[f.expand().diff(x) for x in unknowns] for f in algebra.values()])
    if matrix.has(sympy.Derivative) or matrix.has(sympy.Subs) or matrix.free_symbols & set(unknowns):
        return None
    rest = sympy.Matrix([f.expand() for f in algebra.values()]) - matrix * sympy.Matrix(unknowns)
    rest = rest.applyfunc(sympy.expand)
    if rest.free_symbols & set(unknowns) or matrix.det() == 0:
        return None
    return dict(zip(algebra, -(matrix.inv() * rest), strict=True))


@dataclass(frozen=True)
class ThresholdLinear:
    """The response r = [drive + offset]_+ / stiffness (``rectified``), or the same without rectification.

    Parameters
    ----------
    stiffness : Expression
        Positive; the diagonal Lambda of the lateral matrix Lambda + A^T A.
    offset : Expression
        Added to the drive.
    rectified : bool
        Whether the response is rectified.
    """

    stiffness: Expression
    offset: Expression
    rectified: bool


def threshold_linear(response: sympy.Expr) -> ThresholdLinear | None:
    """Recognise a threshold-linear response to ``drive``; None if it is another one."""
    drive = symbol("drive")
    rectify = sympy.Function("rectify", real=True)
    atoms = [atom for atom in response.atoms(AppliedUndef) if atom.func.__name__ == "rectify"]
    if not atoms:
        if not response.has(drive):
            return None
        slope = response.expand().diff(drive)
        if slope == 0 or slope.has(drive) or slope.has(sympy.Derivative) or slope.has(sympy.Subs):
            return None
        offset = ((response - slope * drive).expand()) / slope
        return None if offset.has(drive) else ThresholdLinear(Expression.of(1 / slope), Expression.of(offset), False)
    if len(atoms) != 1:
        return None
    gain = sympy.cancel(response / atoms[0]) if not response.has(sympy.exp) else (response / atoms[0])
    argument = atoms[0].args[0].expand()
    slope = argument.diff(drive)
    if gain.has(drive) or gain.has(rectify) or slope == 0 or slope.has(drive) or argument.has(sympy.Derivative):
        return None
    offset = ((argument - slope * drive).expand()) / slope
    return (
        None if offset.has(drive) else ThresholdLinear(Expression.of(1 / (gain * slope)), Expression.of(offset), True)
    )
