"""Expression texts: parsed once, expanded, then evaluated on arrays or handed to symbolic algebra.

An expression is Python's own syntax restricted to arithmetic, comparisons and known functions, which is also Brian 2's.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np
import sympy

from neurocircuits.declare.functions import AGGREGATES, ELEMENTWISE, LAYER, UNIT_NAMES, Function
from neurocircuits.errors import ValidationError, listed
from neurocircuits.siegert import lif_rate
from neurocircuits.units import quantity

_ALLOWED = (
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Call, ast.Name, ast.Constant, ast.Load, ast.boolop,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.Not,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


RANDOM = ("rand", "randn", "poisson")  # functions that draw a number for each unit and time step


def _exprel(x: Any) -> Any:
    from scipy.special import exprel

    return exprel(x)


def _rectify(x: Any) -> Any:
    if isinstance(x, np.ndarray) and x.ndim > 1 and x.dtype.char in "df":
        return np.maximum(x, _zeros(x.shape[-1], x.dtype))  # a row of zeros: half the time that a number takes
    return np.maximum(x, 0.0)


@cache
def _zeros(n: int, dtype: np.dtype) -> np.ndarray:
    return np.zeros(n, dtype)


def _integer_power(base: Any, exponent: int) -> Any:
    result = base
    for _ in range(exponent - 1):
        result = result * base
    return result


NUMPY_FUNCTIONS: dict[str, Any] = {
    "rectify": _rectify,
    "clip": np.clip,
    "int": lambda x: (x if hasattr(x, "astype") else np.asarray(x)).astype(int),  # wherever x is
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "exprel": _exprel,
    "lif_rate": lif_rate,
    "integer_power": _integer_power,
} | {
    name: getattr(np, name)
    for name in (
        "exp log log10 expm1 log1p sqrt abs sign sin cos tan sinh cosh tanh arcsin arccos arctan floor ceil"
    ).split()
}


class _Expand(ast.NodeTransformer):
    """Replace calls of a user's functions by their bodies and units by their values."""

    def __init__(self, functions: Mapping[str, Function], known: Collection[str]) -> None:
        self.functions, self.known = functions, known

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name) or node.func.id not in self.functions:
            return node
        function = self.functions[node.func.id]
        if len(node.args) != len(function.arguments):
            raise ValidationError(
                f"Function({function.name!r}) takes {len(function.arguments)} arguments, but {ast.unparse(node)!r} "
                f"gives {len(node.args)}."
            )
        body = parse(function.expression, self.functions, f"Function({function.name!r})", self.known)
        return _Substitute(dict(zip(function.arguments, node.args, strict=True))).visit(body)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in UNIT_NAMES and node.id not in self.known:
            return ast.Constant(quantity(f"1*{node.id}").value)
        if node.id in ("True", "False"):
            return ast.Constant(node.id == "True")
        return node


class _Substitute(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.AST]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.values.get(node.id, node)


def parse(
    text: str,
    functions: Mapping[str, Function] | None = None,
    owner: str = "expression",
    known: Collection[str] = (),
    special: Collection[str] = (),
) -> ast.expr:
    """Parse an expression, expand the user's functions and replace units by SI values.

    Parameters
    ----------
    text : str
        The expression.
    functions : mapping of str to Function, optional
        The user's functions.
    owner : str
        Named in errors.
    known : collection of str
        Names that are variables even if units share them.
    special : collection of str, optional
        Functions of a side or a layer that may be called.

    Raises
    ------
    ValidationError
        If the text is not an expression or uses something that is not allowed.
    """
    return _Expand(functions or {}, known).visit(_read(text, functions or {}, owner, special))


def _read(text: str, functions: Mapping[str, Function], owner: str, special: Collection[str] = ()) -> ast.expr:
    try:
        tree = ast.parse(" ".join(str(text).split()), mode="eval").body
    except SyntaxError as error:
        raise ValidationError(
            f"{owner}: {text!r} is not an expression ({error.msg} at column {error.offset})."
        ) from None
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ValidationError(f"{owner}: {text!r} uses {type(node).__name__}, which equations do not have.")
        if isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
            raise ValidationError(f"{owner}: {text!r} holds {node.value!r}, which is not a number.")
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            raise ValidationError(
                f"{owner}: {text!r} chains comparisons. Join two with 'and', as in 'x > 0 and x < 1'."
            )
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            if name not in ELEMENTWISE and name not in special and name not in functions:
                if name in AGGREGATES or name in LAYER:
                    place = "aggregates" if name in AGGREGATES else "terms"
                    raise ValidationError(
                        f"{owner}: {text!r} calls {name!r} directly. Name its value in the rule's {place} and use "
                        "the name."
                    )
                candidates = difflib.get_close_matches(str(name), [*ELEMENTWISE, *special, *functions], 1)
                hint = (
                    f" Did you mean {candidates[0]!r}?"
                    if candidates
                    else " Declare it with Function(name, arguments, expression)."
                )
                raise ValidationError(
                    f"{owner}: {text!r} calls the unknown function {name or ast.unparse(node.func)!r}.{hint}"
                )
            if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
                raise ValidationError(
                    f"{owner}: {text!r} calls {name!r} with keywords; give the arguments in their order."
                )
    return tree


def check_functions(functions: Mapping[str, Function]) -> None:
    """Refuse functions that use other names than their arguments, or that call each other in a circle.

    Raises
    ------
    ValidationError
        If one does.
    """
    calls: dict[str, set[str]] = {}
    for name, function in functions.items():
        tree = _read(function.expression, functions, f"Function({name!r})")
        calls[name] = {getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)} & set(
            functions
        )
        check_names(
            _Expand({}, function.arguments).visit(tree), function.arguments, f"Function({name!r})", function.expression
        )
    while calls:
        ready = [name for name, needed in calls.items() if not needed & set(calls)]
        if not ready:
            raise ValidationError(f"Functions {listed(calls)} call each other in a circle.")
        for name in ready:
            del calls[name]


def substitute(tree: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """Return a copy of ``tree`` with names replaced by expressions."""
    return _Substitute(values).visit(ast.parse(ast.unparse(tree), mode="eval").body)


def free_names(tree: ast.expr) -> set[str]:
    """Return the names of variables and constants in an expression."""
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions}


RULES_SEE = (
    " Rules see weights and the variables of the two cells, such as rates; labels are never available while learning."
)


def check_names(tree: ast.expr, known: Iterable[str], owner: str, text: str, note: str = "") -> None:
    """Refuse unknown names, suggesting the nearest known one; a note says what else there is to know.

    Raises
    ------
    ValidationError
        If a name is unknown.
    """
    known = set(known)
    for name in sorted(free_names(tree) - known - {"pi", "e", "inf"}):
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValidationError(
            f"{owner}: {text!r} uses the unknown name {name!r}.{hint} Known: {', '.join(sorted(known))}.{note}"
        )


class _ToNumpy(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if (
            isinstance(node.op, ast.Pow)
            and isinstance(node.right, ast.Constant)
            and node.right.value in (2, 3, 4, 5, 6)
        ):
            return ast.Call(ast.Name("integer_power", ast.Load()), [node.left, node.right], [])
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        name = "logical_and" if isinstance(node.op, ast.And) else "logical_or"
        values = [self.visit(value) for value in node.values]
        return reduce(lambda a, b: ast.Call(ast.Name(name, ast.Load()), [a, b], []), values)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        node.operand = self.visit(node.operand)
        return (
            ast.Call(ast.Name("logical_not", ast.Load()), [node.operand], []) if isinstance(node.op, ast.Not) else node
        )


@dataclass(frozen=True)
class Expression:
    """An expression that can be evaluated on arrays.

    Parameters
    ----------
    text : str
        Python text, functions and units expanded.
    names : frozenset of str
        Names that it needs.
    """

    text: str
    names: frozenset[str]

    @classmethod
    def of(cls, tree: ast.expr | sympy.Expr | str) -> Expression:
        """Make an expression from a syntax tree, a symbolic expression or a text."""
        if isinstance(tree, sympy.Expr):
            tree = str(tree)
        if isinstance(tree, str):
            tree = parse(tree)
        return cls(ast.unparse(tree), frozenset(free_names(tree) - {"pi", "e", "inf"}))

    def __post_init__(self) -> None:
        tree = ast.fix_missing_locations(ast.Expression(_ToNumpy().visit(ast.parse(self.text, mode="eval").body)))
        object.__setattr__(self, "_code", compile(tree, f"<{self.text}>", "eval"))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate on a mapping from names to arrays or numbers."""
        return eval(self._code, _GLOBALS, {name: values[name] for name in self.names})  # type: ignore[attr-defined]

    def bound(self, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Return a function that evaluates on arrays which stay the same objects."""
        names = {name: values[name] for name in self.names}
        return lambda: eval(self._code, _GLOBALS, names)  # type: ignore[attr-defined]

    def evaluate(self, values: Mapping[str, Any], functions: Mapping[str, Any]) -> Any:
        """Evaluate with functions of the caller on top of the elementwise ones."""
        return eval(self._code, {**_GLOBALS, **functions}, dict(values))  # type: ignore[attr-defined]

    def __reduce__(self) -> tuple[type[Expression], tuple[str, frozenset[str]]]:
        return (Expression, (self.text, self.names))


_GLOBALS: dict[str, Any] = {"__builtins__": {}, "pi": np.pi, "e": np.e, "inf": np.inf, **NUMPY_FUNCTIONS}
_KNOWN_TO_SYMPY = {
    name: getattr(sympy, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
}
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def to_sympy(tree: ast.expr, integers: Mapping[str, int] | None = None) -> sympy.Expr:
    """Return an expression as symbolic algebra; functions without algebra of their own stay opaque.

    Parameters
    ----------
    tree : ast.expr
        A parsed expression.
    integers : mapping of str to int, optional
        Constants to be put in as exact integers, so that ``abs(w)**(p - 1)`` becomes a product.

    Raises
    ------
    ValidationError
        If the expression holds comparisons or logic, which have no algebra.
    """

    def convert(node: ast.AST) -> sympy.Expr:
        match node:
            case ast.Constant(value=int() | float() as value):
                return sympy.Integer(value) if isinstance(value, int) else sympy.Rational(repr(float(value)))
            case ast.Name(id=name):
                return sympy.Integer(integers[name]) if integers and name in integers else symbol(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -convert(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return convert(operand)
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](convert(left), convert(right))
            case ast.Call(func=ast.Name(id=name), args=args):
                function = _KNOWN_TO_SYMPY.get(name) or sympy.Function(name, real=True)
                return function(*[convert(argument) for argument in args])
        raise ValidationError(f"{ast.unparse(node)!r} has no symbolic form (comparisons and logic do not).")

    return convert(tree)


def symbol(name: str) -> sympy.Symbol:
    """Return the real symbol of a name."""
    return sympy.Symbol(name, real=True)


def exponent_integers(trees: Iterable[ast.expr], parameters: Mapping[str, float]) -> dict[str, int]:
    """Return the parameters with whole values that occur in exponents."""
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                found |= free_names(node.right)
    return {name: int(parameters[name]) for name in found & set(parameters) if float(parameters[name]).is_integer()}
