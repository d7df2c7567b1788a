"""Arrays on a device that torch drives, which answer to NumPy's names.

NumPy hands a call over to the arrays that it is made on (NEP 13 and 18), and makes new ones where the array given as
``like`` is (NEP 35). So the texts of engines and the expressions of users run on a device as they stand. What is not
listed here is refused, and nothing passes between host and device unless that is asked for: ``np.asarray(x, like=y)``
copies to where y is, ``y.host()`` copies back. Torch itself is handed over by `arrays`, which imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from neurocircuits.errors import UnsupportedError

_SAME = (
    "add subtract multiply true_divide floor_divide remainder negative absolute maximum minimum square sqrt exp log "
    "log10 expm1 log1p sin cos tan sinh cosh tanh arcsin arccos arctan floor ceil logical_and logical_or logical_not "
    "not_equal less less_equal greater greater_equal isfinite isnan bitwise_and bitwise_or bitwise_xor matmul"
).split()  # of the same name in torch
_NAMES: dict[Any, str] = {getattr(np, name): name for name in _SAME} | {
    np.power: "pow", np.equal: "eq", np.invert: "bitwise_not", np.sign: "sign",
}  # fmt: skip
_FRACTIONAL = {
    getattr(np, name)
    for name in (
        "true_divide sqrt exp log log10 expm1 log1p sin cos tan sinh cosh tanh arcsin arccos arctan floor ceil"
    ).split()
}  # of whole numbers these are numbers of 64 bits
_FUNCTIONS: dict[Any, Callable[..., Any]] = {}
_CREATORS: dict[Any, Callable[..., Any]] = {}
torch: Any = None  # set by `arrays` once a device is used


class Flags(NamedTuple):
    """What NumPy says of the memory of an array."""

    writeable: bool
    c_contiguous: bool


class DeviceArray(NDArrayOperatorsMixin):
    """An array on a device.

    Parameters
    ----------
    tensor : torch.Tensor
        What it holds.
    """

    __slots__ = ("tensor",)

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    # -- what NumPy asks -----------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **settings: Any) -> Any:
        """Run an elementwise function of NumPy on the device."""
        if ufunc is np.add and method == "reduceat" and out is None and not settings:
            return self._sums(*inputs)
        if method != "__call__" or ufunc not in _NAMES or settings:
            name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            raise self._refusal(f"np.{name} with {sorted(settings)}" if settings else f"np.{name}")
        operands = [self._operand(x) for x in inputs]
        if ufunc is np.matmul:
            operands = _promoted(operands)
        elif ufunc in _FRACTIONAL and not any(x.dtype.is_floating_point for x in operands):
            operands = [x.to(torch.float64) for x in operands]
        function = getattr(torch, _NAMES[ufunc])
        if ufunc is np.sign:
            function = _sign
        if out is None:
            return DeviceArray(function(*operands))
        (target,) = out
        into = self._operand(target)
        if ufunc is not np.sign and _shape_of(ufunc, operands) == into.shape:
            function(*operands, out=into)
        else:
            into.copy_(function(*operands))
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any:
        """Run any other function of NumPy on the device."""
        if function in _CREATORS:
            return DeviceArray(_CREATORS[function](self.tensor.device, *args, **settings))
        if function not in _FUNCTIONS:
            raise self._refusal(f"np.{function.__name__}")
        return _FUNCTIONS[function](*args, **settings)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Refuse to become an array of the host without being asked."""
        raise UnsupportedError(f"{self}: it does not come to the host unasked. Its method host() copies it.")

    def _refusal(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{self}: {what} does not run there. Use device='cpu'.")

    def _operand(self, x: Any) -> Any:
        if isinstance(x, DeviceArray):
            return x.tensor
        if isinstance(x, np.ndarray) and x.ndim:
            raise UnsupportedError(
                f"{self}: an array of the host of shape {x.shape} does not go there unasked. np.asarray(it, like=this) "
                "copies it."
            )
        value = x.item() if isinstance(x, np.generic | np.ndarray) else x
        kind = torch.bool if isinstance(value, bool) else torch.int64 if isinstance(value, int) else torch.float64
        return torch.full((), value, dtype=kind, device=self.tensor.device)  # a copy from the host would wait for it

    def _sums(self, values: Any, starts: Any) -> DeviceArray:
        """Return the sums of the parts of a line that begin at ``starts``."""
        end = torch.full((1,), len(values), dtype=torch.int64, device=self.tensor.device)
        offsets = torch.cat((self._operand(starts), end))
        return DeviceArray(torch.segment_reduce(self._operand(values), "sum", offsets=offsets))

    # -- what an array is ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.tensor.shape)

    @property
    def ndim(self) -> int:
        """Number of its axes."""
        return self.tensor.ndim

    @property
    def size(self) -> int:
        """Number of its values."""
        return self.tensor.numel()

    @property
    def dtype(self) -> np.dtype:
        """Type of its values, as NumPy names it."""
        return np.dtype(str(self.tensor.dtype).removeprefix("torch."))

    @property
    def flags(self) -> Flags:
        """What there is to know of its memory."""
        return Flags(True, self.tensor.is_contiguous())

    @property
    def T(self) -> DeviceArray:  # noqa: N802 (NumPy's name)
        """Its transpose, a view."""
        return DeviceArray(self.tensor.T)

    def host(self) -> np.ndarray:
        """Return a copy in the memory of the host."""
        return np.array(self.tensor.detach().cpu().numpy())

    def item(self) -> Any:
        """Return its only value."""
        return self.tensor.item()

    def __len__(self) -> int:
        return len(self.tensor)

    def __iter__(self) -> Iterator[DeviceArray]:
        return (DeviceArray(row) for row in self.tensor)

    def __float__(self) -> float:
        return float(self.tensor)

    def __int__(self) -> int:
        return int(self.tensor)

    def __bool__(self) -> bool:
        return bool(self.tensor)

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if not self.ndim else format(str(self), form)

    def __repr__(self) -> str:
        where = str(self.tensor.device)
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device={where.replace('cpu', 'torch:cpu')!r})"

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.tensor[self._key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.tensor[self._key(key)] = self._operand(value).to(self.tensor.dtype)

    def _key(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return tuple(self._key(part) for part in key)
        return self._operand(key) if isinstance(key, DeviceArray | np.ndarray) else key

    # -- what it can do ------------------------------------------------------------------------------------------------

    def copy(self) -> DeviceArray:
        """Return a copy on the same device."""
        return DeviceArray(self.tensor.clone())

    def astype(self, dtype: Any, copy: bool = True) -> DeviceArray:
        """Return it with values of another type."""
        return DeviceArray(self.tensor.to(_kind(dtype), copy=copy))

    def reshape(self, *shape: Any) -> DeviceArray:
        """Return it in another shape."""
        return DeviceArray(self.tensor.reshape(*shape))

    def ravel(self) -> DeviceArray:
        """Return it as a line, a view where its memory is one."""
        return DeviceArray(self.tensor.reshape(-1))

    def sum(self, axis: Any = None, keepdims: bool = False) -> DeviceArray:
        """Return sums."""
        return DeviceArray(torch.sum(self.tensor, dim=axis, keepdim=keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> DeviceArray:
        """Return means."""
        return DeviceArray(torch.mean(self.tensor, dim=axis, keepdim=keepdims))

    def max(self, axis: Any = None, keepdims: bool = False, initial: float | None = None) -> DeviceArray:
        """Return largest values, and ``initial`` where none is larger."""
        return self._extreme(torch.amax, {"min": initial}, axis, keepdims, initial)

    def min(self, axis: Any = None, keepdims: bool = False, initial: float | None = None) -> DeviceArray:
        """Return smallest values, and ``initial`` where none is smaller."""
        return self._extreme(torch.amin, {"max": initial}, axis, keepdims, initial)

    def _extreme(self, function: Any, bound: Any, axis: Any, keepdims: bool, initial: float | None) -> DeviceArray:
        if initial is not None and not self.size and axis is None:
            return DeviceArray(self._operand(initial))
        found = function(self.tensor, dim=() if axis is None else axis, keepdim=keepdims)
        return DeviceArray(found if initial is None else torch.clamp(found, **bound))

    def any(self, axis: int | None = None) -> DeviceArray:
        """Return whether any value is not 0."""
        return DeviceArray(torch.any(self.tensor) if axis is None else torch.any(self.tensor, dim=axis))

    def all(self, axis: int | None = None) -> DeviceArray:
        """Return whether no value is 0."""
        return DeviceArray(torch.all(self.tensor) if axis is None else torch.all(self.tensor, dim=axis))

    def argmax(self, axis: int | None = None) -> DeviceArray:
        """Return the first places of the largest values."""
        return DeviceArray(torch.argmax(self.tensor, dim=axis))

    def argsort(self, kind: str = "stable") -> DeviceArray:
        """Return the order of a line; equal values stay in theirs."""
        return DeviceArray(torch.argsort(self.tensor, stable=True))

    def nonzero(self) -> tuple[DeviceArray, ...]:
        """Return where it is not 0."""
        return tuple(DeviceArray(found) for found in torch.nonzero(self.tensor, as_tuple=True))

    def take(self, indices: DeviceArray, axis: int, out: DeviceArray, mode: str = "clip") -> DeviceArray:
        """Copy some of its slices into ``out``."""
        torch.index_select(self.tensor, axis, self._operand(indices), out=out.tensor)
        return out


def _kind(dtype: Any) -> Any:
    return getattr(torch, np.dtype(dtype).name)


def _sign(x: Any) -> Any:
    return torch.where(torch.isnan(x), x, torch.sign(x))  # torch's own sign of NaN is 0


def _promoted(operands: Sequence[Any]) -> list[Any]:
    kind = operands[0].dtype
    for operand in operands[1:]:
        kind = torch.promote_types(kind, operand.dtype)
    return [operand.to(kind) for operand in operands]


def _shape_of(ufunc: np.ufunc, operands: Sequence[Any]) -> Any:
    if ufunc is np.matmul:
        return torch.Size((*operands[0].shape[:-1], *operands[1].shape[1:])) if operands[1].ndim <= 2 else None
    return torch.broadcast_shapes(*(operand.shape for operand in operands))


def _tensors(*values: Any) -> list[Any]:
    """Return tensors of arrays on a device and numbers."""
    first = next(value for value in values if isinstance(value, DeviceArray))
    return [first._operand(value) for value in values]


def _of(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that what follows is a function of NumPy on the device."""
    return lambda own: _FUNCTIONS.setdefault(function, own)


def _of_like(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that what follows makes an array where another is."""
    return lambda own: _CREATORS.setdefault(function, own)


# -- new arrays --------------------------------------------------------------------------------------------------------


@_of_like(np.empty)
def _empty(where: Any, shape: Any, dtype: Any = float, **_: Any) -> Any:
    return torch.empty(shape, dtype=_kind(dtype), device=where)


@_of_like(np.zeros)
def _zeros(where: Any, shape: Any, dtype: Any = float, **_: Any) -> Any:
    return torch.zeros(shape, dtype=_kind(dtype), device=where)


@_of_like(np.ones)
def _ones(where: Any, shape: Any, dtype: Any = float, **_: Any) -> Any:
    return torch.ones(shape, dtype=_kind(dtype), device=where)


@_of_like(np.arange)
def _arange(where: Any, *limits: int) -> Any:
    return torch.arange(*limits, device=where)


@_of_like(np.eye)
def _eye(where: Any, n: int, dtype: Any = float, **_: Any) -> Any:
    return torch.diag(torch.ones(n, dtype=_kind(dtype), device=where))


@_of_like(np.asarray)
def _asarray(where: Any, values: Any, dtype: Any = None) -> Any:
    """Bring values to the device; those that are there already are not copied."""
    if isinstance(values, DeviceArray):
        return values.tensor if dtype is None else values.tensor.to(_kind(dtype))
    return _array(where, values, dtype)


@_of_like(np.ascontiguousarray)
def _contiguous(where: Any, values: DeviceArray) -> Any:
    return values.tensor.contiguous()


@_of_like(np.array)
def _array(where: Any, values: Any, dtype: Any = None) -> Any:
    if isinstance(values, DeviceArray):
        kind = values.tensor.dtype if dtype is None else _kind(dtype)
        return values.tensor.to(kind, copy=True).contiguous()
    return torch.from_numpy(np.array(values, dtype, order="C")).to(where)


def _like(make: Any) -> Callable[..., DeviceArray]:
    def made(x: DeviceArray, dtype: Any = None, order: str = "C", subok: bool = True) -> DeviceArray:
        kind = x.tensor.dtype if dtype is None else _kind(dtype)
        return DeviceArray(make(x.tensor.device, x.shape, str(kind).removeprefix("torch.")))

    return made


_FUNCTIONS |= {np.empty_like: _like(_empty), np.zeros_like: _like(_zeros), np.ones_like: _like(_ones)}

# -- all others --------------------------------------------------------------------------------------------------------

_FUNCTIONS |= {
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.sum: lambda x, axis=None: x.sum(axis),
    np.any: lambda x, axis=None: x.any(axis),
    np.all: lambda x, axis=None: x.all(axis),
    np.nonzero: lambda x: x.nonzero(),
    np.flatnonzero: lambda x: x.ravel().nonzero()[0],
    np.argwhere: lambda x: DeviceArray(torch.nonzero(x.tensor)),
    np.diff: lambda x: x[1:] - x[:-1],
    np.repeat: lambda x, counts: DeviceArray(torch.repeat_interleave(*_tensors(x, counts))),
    np.concatenate: lambda parts, axis=0: DeviceArray(torch.cat(_tensors(*parts), dim=axis)),
    np.stack: lambda parts, axis=0: DeviceArray(torch.stack(_tensors(*parts), dim=axis)),
    np.unique: lambda x, axis=None: DeviceArray(torch.unique(x.tensor, dim=axis)),
    np.broadcast_to: lambda x, shape: DeviceArray(torch.broadcast_to(x.tensor, shape)),
    np.atleast_2d: lambda x: DeviceArray(torch.atleast_2d(x.tensor)),
    np.clip: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    np.dot: lambda x, y, out=None: np.matmul(x, y, out=out),
    np.tile: lambda x, repeats: DeviceArray(torch.tile(x.tensor, repeats)),
    np.ix_: lambda rows, columns: (rows[:, None], columns[None, :]),
    np.einsum: lambda text, *parts: DeviceArray(torch.einsum(text, *_promoted(_tensors(*parts)))),
}


@_of(np.where)
def _where(condition: Any, x: Any, y: Any) -> DeviceArray:
    return DeviceArray(torch.where(*_tensors(condition, x, y)))


@_of(np.copyto)
def _copyto(target: DeviceArray, values: Any) -> None:
    target[...] = values


@_of(np.linalg.eigvalsh)
def _eigenvalues(matrix: DeviceArray) -> DeviceArray:
    return DeviceArray(torch.linalg.eigvalsh(matrix.tensor))


@_of(np.linalg.solve)
def _solve(matrix: Any, right: Any) -> DeviceArray:
    try:
        return DeviceArray(torch.linalg.solve(*_promoted(_tensors(matrix, right))))
    except torch.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(str(error)) from None
