"""Expressions that are evaluated again and again on the same arrays: constants once, all else into buffers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from neurocircuits.compile.expressions import NUMPY_FUNCTIONS, Expression, free_names

_BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}
_UNARY = {n: f for n, f in NUMPY_FUNCTIONS.items() if isinstance(f, np.ufunc) and f.nin == 1}
_GLOBALS: dict[str, Any] = {"__builtins__": {}, "copyto": np.copyto, **_UNARY} | {
    name: getattr(np, name)
    for name in ("add", "subtract", "multiply", "divide", "negative", "square", "maximum", "minimum")
}


class InPlace:
    """An expression, compiled to calls that write where they are told.

    Parameters
    ----------
    expression : Expression
        The expression.
    moving : collection of str
        Names of arrays whose content changes between evaluations; what holds none of them is computed once.

    Notes
    -----
    Each operation writes into a buffer of its own or of an operand, so nothing is allocated. Comparisons, logic and
    functions that are no elementwise function of NumPy are evaluated as they stand.
    """

    def __init__(self, expression: Expression, moving: Collection[str]) -> None:
        self._moving = frozenset(moving)
        self._arrays: list[str] = []
        self._constants: list[Expression] = []
        self._others: list[Expression] = []
        self._free: list[int] = []
        self._n_buffers = 0
        tree = _Gather(self._moving).visit(ast.parse(expression.text, mode="eval").body)
        called, _ = self._visit(tree, root=True)
        names = [
            *(f"x{k}" for k in range(len(self._arrays))),
            *(f"c{k}" for k in range(len(self._constants))),
            *(f"f{k}" for k in range(len(self._others))),
            *(f"b{k}" for k in range(self._n_buffers)),
            "out",
        ]
        body = ast.Lambda(_arguments([]), called)
        code = ast.fix_missing_locations(ast.Expression(ast.Lambda(_arguments(names), body)))
        self._make = eval(compile(code, f"<{expression.text}>", "eval"), _GLOBALS)

    def bind(self, values: Mapping[str, Any], out: np.ndarray) -> Callable[[], Any]:
        """Return a function that evaluates on arrays which stay the same objects, into ``out``.

        Parameters
        ----------
        values : mapping of str to array or number
            All names of the expression.
        out : ndarray
            Where the result goes; it may be one of the arrays. All values can be broadcast to its shape.
        """
        return self._make(
            *(values[name] for name in self._arrays),
            *(np.asarray(constant(values), out.dtype) for constant in self._constants),
            *(other.bound(values) for other in self._others),
            *(np.empty_like(out) for _ in range(self._n_buffers)),
            out,
        )

    def _visit(self, node: ast.expr, root: bool = False) -> tuple[ast.expr, int | None]:
        """Return what evaluates a node, and the buffer that holds its value."""
        if not free_names(node) & self._moving:
            found: tuple[ast.expr, int | None] = _name("c", _index(self._constants, Expression.of(node))), None
        else:
            match node:
                case ast.Name(id=name):
                    found = _name("x", _index(self._arrays, name)), None
                case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                    return self._call(_BINARY[type(op)], [left, right], root)
                case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
                    return self._call("square", [left], root)
                case ast.UnaryOp(op=ast.USub(), operand=operand):
                    return self._call("negative", [operand], root)
                case ast.Call(func=ast.Name(id="rectify"), args=[x]):
                    return self._call("maximum", [x, ast.Constant(0.0)], root)
                case ast.Call(func=ast.Name(id="clip"), args=[x, low, high]):
                    return self._call("minimum", [ast.Call(ast.Name("maximum"), [x, low], []), high], root)
                case ast.Call(func=ast.Name(id="maximum"), args=[x, low]):
                    return self._call("maximum", [x, low], root)
                case ast.Call(func=ast.Name(id=name), args=[x]) if name in _UNARY:
                    return self._call(name, [x], root)
                case _:
                    found = ast.Call(_name("f", _index(self._others, Expression.of(node))), [], []), None
        return (_called("copyto", [_name("out"), found[0]]), None) if root else found

    def _call(self, function: str, operands: list[ast.expr], root: bool) -> tuple[ast.expr, int | None]:
        """Return a call that writes into the output, or into a buffer that its operands no longer need."""
        arguments, held = [], []
        for operand in operands:
            argument, buffer = self._visit(operand)
            arguments.append(argument)
            if buffer is not None:
                held.append(buffer)
        if root:
            return _called(function, [*arguments, _name("out")]), None
        if not held and not self._free:
            self._free.append(self._n_buffers)
            self._n_buffers += 1
        into = held[0] if held else self._free.pop()
        self._free += held[1:]
        return _called(function, [*arguments, _name("b", into)]), into


class _Gather(ast.NodeTransformer):
    """Multiply the constant factors of each product with each other first."""

    def __init__(self, moving: frozenset[str]) -> None:
        self.moving = moving

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if not isinstance(node.op, ast.Mult | ast.Div):
            return self.generic_visit(node)
        factors = self._factors(node)
        constants = [factor for factor in factors if not free_names(factor) & self.moving]
        rest = [factor for factor in factors if factor not in constants]
        if len(constants) < 2 or not rest:
            return self.generic_visit(node)
        return _product([_product(constants), _product([self.visit(factor) for factor in rest])])

    def _factors(self, node: ast.expr) -> list[ast.expr]:
        match node:
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return [*self._factors(left), *self._factors(right)]
            case ast.BinOp(left=left, op=ast.Div(), right=right) if not free_names(right) & self.moving:
                return [*self._factors(left), ast.BinOp(ast.Constant(1.0), ast.Div(), right)]
        return [node]


def _product(factors: list[ast.expr]) -> ast.expr:
    return reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), factors)


@lru_cache(maxsize=256)
def in_place(expression: Expression, moving: frozenset[str]) -> InPlace:
    """Return a compiled expression, which is kept for others that ask for it."""
    return InPlace(expression, moving)


def _arguments(names: list[str]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


def _name(kind: str, number: int | None = None) -> ast.Name:
    return ast.Name(kind if number is None else f"{kind}{number}", ast.Load())


def _called(function: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(_name(function), arguments, [])


def _index(known: list[Any], one: Any) -> int:
    """Return the place of ``one`` in a list, and add it where it is not there."""
    if one not in known:
        known.append(one)
    return known.index(one)
