"""What can be named on the command line: circuits, protocols, data sets and engines, found by listing modules.

A circuit or protocol is a public function of a module of `neurocircuits.models` or `neurocircuits.protocols` whose
return annotation says so. Nothing registers itself; a new module is found because it is there.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

EMBEDDED = ("bars", "digits", "photographs")  # data sets that need no file


@dataclass(frozen=True)
class Factory:
    """Something that makes a declaration, a data set or an engine, and what may be set on it.

    Attributes
    ----------
    name : str
        What it is called on the command line, such as ``seung2018.bars``.
    call : callable
        What makes it.
    settings : dict of str to inspect.Parameter
        Its keyword arguments and those of the function that it passes ``**settings`` on to.
    """

    name: str
    call: Callable[..., Any]
    settings: Mapping[str, inspect.Parameter]

    @property
    def summary(self) -> str:
        """First sentence of its documentation."""
        return first_sentence(inspect.getdoc(self.call))


def first_sentence(text: str | None) -> str:
    """Return the first line of a docstring without its full stop."""
    return (text or "").strip().partition("\n")[0].rstrip(".")


def modules(package: str) -> dict[str, Any]:
    """Return the public modules of a package by name."""
    parent = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(parent.__path__) if not info.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


def factories(module: Any, returns: str, main: str) -> dict[str, Factory]:
    """Return the functions of a module that are annotated to return something.

    Parameters
    ----------
    module : module
        Where they are defined.
    returns : str
        Name of the type.
    main : str
        The function that the others pass their settings on to.
    """
    own = {name: f for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
    found = {name: f for name, f in own.items() if not name.startswith("_") and _returns(f) == returns}
    stem = module.__name__.rpartition(".")[2]
    names = sorted(found, key=lambda name: (name != main, name))
    return {name: Factory(f"{stem}.{name}", found[name], _settings(found[name], found.get(main))) for name in names}


def models() -> dict[str, dict[str, Factory]]:
    """Return the circuits of each module of models."""
    return {name: factories(module, "Circuit", "circuit") for name, module in modules("neurocircuits.models").items()}


def protocols() -> dict[str, dict[str, Factory]]:
    """Return the protocols of each module of protocols that has any."""
    found = modules("neurocircuits.protocols")
    made = {name: factories(module, "Protocol", "protocol") for name, module in found.items()}
    return {name: each for name, each in made.items() if each}


def tasks() -> dict[str, dict[str, Factory]]:
    """Return the tasks of recurrent networks of each module of protocols that has any."""
    found = modules("neurocircuits.protocols")
    made = {name: factories(module, "Task", "task") for name, module in found.items()}
    return {name: each for name, each in made.items() if each}


def data_sets() -> dict[str, Factory]:
    """Return the data sets by name."""
    return _loaders("Dataset")


def corpora() -> dict[str, Factory]:
    """Return the corpora of texts by name."""
    return _loaders("Corpus")


def stored() -> dict[str, Factory]:
    """Return everything that is read or drawn by name: data sets, corpora and streams of words."""
    return data_sets() | corpora() | _loaders("WordStreams")


def from_files(factory: Factory) -> bool:
    """Return whether a data set is read from files, not embedded; a DataError says which are not on this machine."""
    if factory.name in EMBEDDED:
        return False
    plain = {"download": False, "remove": ()}  # posts as they are: cutting them takes seconds
    factory.call(**{name: value for name, value in plain.items() if name in factory.settings})
    return True


def _loaders(kind: str) -> dict[str, Factory]:
    package = importlib.import_module("neurocircuits.datasets")
    public = {name: getattr(package, name) for name in sorted(package.__all__)}
    loaders = {
        name: f
        for name, f in public.items()
        if inspect.isfunction(f)
        and _returns(f) == kind
        and not {"path", "files"} & inspect.signature(f).parameters.keys()
    }
    return {name: Factory(name, loader, _keywords(loader)) for name, loader in loaders.items()}


def of_function(name: str, function: Callable[..., Any]) -> Factory:
    """Return a function with the settings that it takes."""
    return Factory(name, function, _keywords(function))


def engines() -> dict[str, Factory]:
    """Return the engines that are registered, by name."""
    from neurocircuits.engines.base import engines as registered

    return {name: Factory(name, kind, _keywords(kind)) for name, kind in sorted(registered().items())}


def model(name: str) -> Factory:
    """Return a circuit by its name, ``module`` or ``module.function``."""
    return _of_modules(name, models(), "circuit", "MODEL")


def protocol(name: str) -> Factory:
    """Return a protocol by its name, ``module`` or ``module.function``."""
    return _of_modules(name, protocols(), "protocol", "PROTOCOL")


def data_set(name: str) -> Factory:
    """Return a data set by its name."""
    return _of(name, data_sets(), "data set", "--data")


def engine(name: str) -> Factory:
    """Return an engine by its name."""
    found = engines()
    if not found:
        raise typer.BadParameter(
            "no engine is registered, because the package is not installed. In its folder: pip install -e .",
            param_hint="--engine",
        )
    return _of(name, found, "engine", "--engine")


def unknown(what: str, name: str, known: Iterable[str], hint: str | None = None) -> typer.BadParameter:
    """Return the usage error for a name that is not known, with the nearest ones and all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return typer.BadParameter(f"no {what} {name!r}.{meant} Known: {', '.join(known) or 'none'}.", param_hint=hint)


def _of_modules(name: str, found: dict[str, dict[str, Factory]], main: str, hint: str) -> Factory:
    stem, _, function = name.partition(".")
    if stem in found and (function or main) in found[stem]:
        return found[stem][function or main]
    known = [stem if each == main else f"{stem}.{each}" for stem, each_of in found.items() for each in each_of]
    raise unknown(hint.lower(), name, known, hint)


def _of(name: str, found: dict[str, Factory], what: str, hint: str) -> Factory:
    if name not in found:
        raise unknown(what, name, found, hint)
    return found[name]


def _settings(function: Callable[..., Any], main: Callable[..., Any] | None) -> dict[str, inspect.Parameter]:
    """Return what may be set: own keywords, and those of the function that ``**settings`` is passed on to.

    That is the one which its documentation names, "As for `package.module.function`", else the main one of the module.
    """
    own = _keywords(function)
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        return own
    named = re.search(r"As for `([\w.]+)\.(\w+)`", inspect.getdoc(function) or "")
    target = getattr(importlib.import_module(named[1]), named[2]) if named else main
    return own if target is None or target is function else {**_settings(target, None), **own}


def _returns(function: Callable[..., Any]) -> str:
    annotation = inspect.signature(function).return_annotation
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def _keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in inspect.signature(function).parameters.items() if p.kind in kinds}
