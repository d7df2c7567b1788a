"""Declarations as dictionaries: every declaration becomes plain data, is rebuilt from it, and is hashed by it.

One mechanism for all: a frozen dataclass becomes ``{"type": name, field: value, ...}``. Arrays are kept as numbers in
nested lists with their dtype when small, and referred to by a hash of their content when large.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurocircuits.errors import ValidationError, listed
from neurocircuits.units import Quantity

_REGISTRY: dict[str, type] = {}
_LARGEST_INLINE = 4096


def declaration(cls: type) -> type:
    """Make a frozen dataclass known to ``from_dict`` by its name (a class decorator)."""
    _REGISTRY[cls.__name__] = cls
    return cls


class FrozenMap(Mapping[str, Any]):
    """An immutable, hashable, ordered mapping."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __repr__(self) -> str:
        return repr(self._items)


class FrozenArray:
    """A read-only array that is compared and hashed by its content.

    Parameters
    ----------
    values : array_like or scipy.sparse matrix
        Dense of any shape, or sparse (kept as CSR).
    """

    __slots__ = ("_digest", "values")
    values: Any

    def __init__(self, values: Any) -> None:
        if isinstance(values, FrozenArray):
            values = values.values
        if hasattr(values, "tocsr"):
            from scipy.sparse import csr_array

            self.values = csr_array(values)
        elif hasattr(values, "shape") and hasattr(values, "dtype") and not isinstance(values, np.ndarray):
            self.values = values  # a lazy array (memory map, Zarr, dask): read by slices
        else:
            self.values = (values if isinstance(values, np.memmap) else np.asarray(values)).view()
            self.values.flags.writeable = False
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of dtype, shape and content."""
        if self._digest is None:
            digest = hashlib.sha256(f"{self.values.dtype.str}{self.values.shape}".encode())
            if hasattr(self.values, "indptr"):
                for part in (self.values.indptr, self.values.indices, self.values.data):
                    digest.update(np.ascontiguousarray(part).tobytes())
            else:
                for start in range(0, max(self.values.shape[0], 1) if self.values.shape else 1, 4096):
                    block = self.values[start : start + 4096] if self.values.shape else self.values
                    digest.update(np.ascontiguousarray(block).tobytes())
            self._digest = digest.hexdigest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"FrozenArray(shape={self.values.shape}, dtype={self.values.dtype})"


def to_dict(value: Any, arrays: dict[str, Any] | None = None) -> Any:
    """Return a declaration as plain data that ``json`` can write.

    Arrays of more than 4096 values are replaced by their shape, dtype and hash: such a declaration can be compared and
    hashed, and is rebuilt with the arrays that are put into ``arrays`` (hash to array) if that is given.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Quantity):
            return value.to_value()
        fields = {field.name: to_dict(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, FrozenArray):
        array = value.values
        if hasattr(array, "indptr") or np.prod(array.shape) > _LARGEST_INLINE:
            if arrays is not None:
                arrays[value.digest] = array
            return {"type": "array", "shape": list(array.shape), "dtype": array.dtype.str, "sha256": value.digest}
        values = np.asarray(array).tolist()
        return {"type": "array", "dtype": array.dtype.str, "values": values, "shape": list(array.shape)}
    if isinstance(value, Mapping):
        return {str(key): to_dict(item, arrays) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_dict(item, arrays) for item in value]
    if isinstance(value, np.generic):
        return to_dict(value.item(), arrays)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValidationError(
        f"{value!r} of type {type(value).__name__} has no plain form; declarations hold plain values."
    )


def from_dict(data: Any, arrays: Mapping[str, Any] | None = None) -> Any:
    """Rebuild what ``to_dict`` wrote, given the large arrays by their hash.

    Raises
    ------
    ValidationError
        If a type is not known, or an array was too large to be kept.
    """
    if isinstance(data, list):
        return tuple(from_dict(item, arrays) for item in data)
    if not isinstance(data, Mapping):
        return {"inf": float("inf"), "-inf": float("-inf")}.get(data, data) if isinstance(data, str) else data
    if not isinstance(data.get("type"), str):
        return {key: from_dict(item, arrays) for key, item in data.items()}
    if data["type"] == "array":
        if "values" not in data:
            if arrays is not None and data["sha256"] in arrays:
                return FrozenArray(arrays[data["sha256"]])
            raise ValidationError(
                f"An array of shape {tuple(data['shape'])} is known by its hash only ({data['sha256'][:12]}...); "
                "declare the stimulus or weights again from their data."
            )
        return FrozenArray(np.array(data["values"], dtype=data["dtype"]).reshape(data["shape"]))
    if data["type"] not in _REGISTRY:
        raise ValidationError(f"Type {data['type']!r} is not a declaration. Known: {listed(sorted(_REGISTRY))}.")
    return _REGISTRY[data["type"]](**{key: from_dict(item, arrays) for key, item in data.items() if key != "type"})


def to_json(value: Any) -> str:
    """Return the canonical JSON text of a declaration; equal declarations have equal texts."""
    return json.dumps(_canonical(to_dict(value)), sort_keys=True, separators=(",", ":"))


def _canonical(data: Any) -> Any:
    """Write whole floats as integers, which they equal."""
    if isinstance(data, dict):
        return data if data.get("type") == "array" else {key: _canonical(item) for key, item in data.items()}
    if isinstance(data, list):
        return [_canonical(item) for item in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON text of a declaration."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()
