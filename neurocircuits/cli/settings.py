"""Settings as ``key=value``: to whom a key belongs, what its text means, and clear errors for what does not fit."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import typer

from neurocircuits.cli.catalogue import Factory, unknown

HINT = "--set"
_WORDS = {"true": True, "false": False, "none": None}
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text"),
}


def split(pairs: Iterable[str], prefixes: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Sort settings by what they belong to.

    Parameters
    ----------
    pairs : iterable of str
        ``key=value``, ``prefix.key=value``.
    prefixes : iterable of str
        Prefixes that are allowed.

    Returns
    -------
    dict of str to dict of str to str
        Texts by key, for each prefix and for ``""``.

    Examples
    --------
    >>> split(["p=0.3", "engine.batch=10"], ["engine"])
    {'': {'p': '0.3'}, 'engine': {'batch': '10'}}
    """
    found: dict[str, dict[str, str]] = {"": {}, **{prefix: {} for prefix in prefixes}}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not key=value, for example n_excitatory=16.", param_hint=HINT)
        prefix, _, name = key.rpartition(".")
        if prefix not in found:
            raise unknown("prefix", prefix, [f"{p}." if p else "(none, for the circuit)" for p in found], HINT)
        if name in found[prefix]:
            raise typer.BadParameter(f"{key!r} is given twice.", param_hint=HINT)
        found[prefix][name] = value.strip()
    return found


def make(factory: Factory, texts: Mapping[str, str], given: Mapping[str, Any], prefix: str = "") -> Any:
    """Call a factory with what the user set and, where it asks for them and the user does not say, with given values.

    Parameters
    ----------
    factory : Factory
        What to call.
    texts : mapping of str to str
        The user's settings.
    given : mapping of str to object
        Values to use for settings of these names.
    prefix : str
        What stands before the keys on the command line.
    """
    for name in texts:
        if name not in factory.settings:
            known = [key for key in factory.settings if key not in ARRAYS]
            raise unknown(f"setting of {factory.name}", name, known, f"{HINT} {prefix}{name}")
        if name in ARRAYS:
            raise typer.BadParameter(f"{prefix}{name} is an array; --data chooses what is shown.", param_hint=HINT)
    values = {name: value for name, value in given.items() if name in factory.settings}
    values |= {name: convert(text, factory.settings[name], prefix) for name, text in texts.items()}
    required = [name for name, parameter in factory.settings.items() if parameter.default is inspect.Parameter.empty]
    if missing := [f"--set {prefix}{name}=..." for name in required if name not in values]:
        raise typer.BadParameter(f"{factory.name} needs {' and '.join(missing)}.", param_hint=HINT)
    return factory.call(**values)


ARRAYS = ("values", "labels", "probe_values")
"""Arguments of protocols that a data set fills."""


def convert(text: str, parameter: inspect.Parameter, prefix: str = "") -> Any:
    """Return the value that a text stands for: a Python literal, a word such as ``true``, else the text itself.

    Parameters
    ----------
    text : str
        As typed.
    parameter : inspect.Parameter
        Whose value it is; its annotation says what is allowed, where it is a plain type.
    prefix : str
        What stands before the name on the command line.

    Examples
    --------
    >>> parameter = inspect.Parameter("n_learn", inspect.Parameter.KEYWORD_ONLY, annotation="int | None")
    >>> convert("1e5", parameter)
    100000
    """
    given = parameter.annotation
    annotation = given if isinstance(given, str) else getattr(given, "__name__", "")
    kinds = [part.strip() for part in annotation.split("|")]
    if kinds == ["str"]:
        return text
    try:
        value = _WORDS[text.lower()] if text.lower() in _WORDS else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if "int" in kinds and "float" not in kinds and isinstance(value, float) and value.is_integer():
        value = int(value)
    allowed = [_KINDS[kind] for kind in kinds if kind in _KINDS]
    fits = any(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for kind, _ in allowed)
    unchecked = [kind for kind in kinds if kind not in _KINDS and kind != "None"]
    if fits or unchecked or (value is None and "None" in kinds):
        return value
    expected = " or ".join([words for _, words in allowed] + ["none"] * ("None" in kinds))
    raise typer.BadParameter(f"{prefix}{parameter.name}={text}: expected {expected}.", param_hint=HINT)
