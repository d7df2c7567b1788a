"""What there is: the tables of `list`, and the claims of a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neurocircuits.cli import catalogue
from neurocircuits.cli.reports import table
from neurocircuits.errors import DataError


def sections() -> Iterator[tuple[str, str]]:
    """Yield title and table of models, protocols, figures, engines and data sets."""
    modules = catalogue.modules("neurocircuits.models")
    rows: list[tuple[str, ...]] = []
    for name, variants in catalogue.models().items():
        others = ", ".join(f".{variant}" for variant in variants if variant != "circuit")
        reference = getattr(modules[name], "REFERENCE", "")
        rows.append((name, others, reference, catalogue.first_sentence(modules[name].__doc__)))
    yield "models (circuits, with variants)", table(rows)
    modules = catalogue.modules("neurocircuits.protocols")
    for title, listed in (("protocols", catalogue.protocols()), ("tasks", catalogue.tasks())):
        yield title, table([(name, catalogue.first_sentence(modules[name].__doc__)) for name in listed])
    sets = catalogue.stored()
    found = {name: _state(factory) for name, factory in sets.items()}
    yield "figures", table(_figures(found)) or "  none"
    yield (
        "engines",
        table([(name, factory.summary) for name, factory in catalogue.engines().items()]) or "  none: pip install -e .",
    )
    yield "data sets", table([(name, factory.summary, found[name]) for name, factory in sets.items()])


def _figures(found: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    from neurocircuits import reproduce

    for name, figure in reproduce.figures().items():
        missing = [need for need in figure.needs if "not" in found.get(need, "not")]
        state = f"quick only: {', '.join(missing)} not on this machine" if missing else "quick and full"
        yield name, figure.title, figure.source, f"{len(figure.claims)} claims", state


def _state(factory: catalogue.Factory) -> str:
    """Return whether a data set can be had here, without downloading anything."""
    try:
        return "on this machine" if catalogue.from_files(factory) else "comes with the package"
    except DataError:
        return "not on this machine; `neurocircuits doctor` says where it is looked for and how to get it"


def describe_figure(content: Mapping[str, Any]) -> str:
    """Return the table of a figure's claims: verdict, value over the seeds, target and text."""
    rows = []
    for claim in content["claims"]:
        spread = f" +- {claim['spread']:.2g}" if claim["spread"] == claim["spread"] else ""
        within = f" +- {claim['tolerance']:.3g}" if claim["tolerance"] else ""
        found = claim.get("error") or f"{claim['value']:.4g}{spread}"
        rows.append(
            (
                "holds" if claim["holds"] else "FAILS",
                claim["name"],
                found,
                f"{claim['relation']} {claim['target']:.4g}{within}",
                claim["text"],
            )
        )
    return table(rows)
