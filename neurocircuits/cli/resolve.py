"""From names on the command line to an experiment: circuit, protocol, engine and data that fit each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocircuits.cli import catalogue, settings

DEFAULT_DATA = "digits"
N_BARS = 20_000


@dataclass(frozen=True)
class Experiment:
    """What `run` needs, and a line that says what was chosen."""

    circuit: Any
    protocol: Any
    engine: Any
    summary: str


def experiment(model: str, protocol: str, engine: str, data: str | None, pairs: Iterable[str], seed: int) -> Experiment:
    """Resolve names and settings.

    Parameters
    ----------
    model, protocol, engine : str
        Names, as `neurocircuits list` shows them.
    data : str or None
        Name of the data set, or a file of stimuli (`neurocircuits.datasets.from_file`); unless given, the one that the
        circuit is named after, as ``seung2018.bars``, else the digits.
    pairs : iterable of str
        ``key=value`` for the circuit, ``protocol.key=value``, ``engine.key=value`` and ``data.key=value``.
    seed : int
        Seed, also of generated data.

    Notes
    -----
    The data set fills the arguments ``values`` and ``labels`` of a protocol, and its number of features the argument
    ``n_sensory`` of a circuit, where they are asked for. Stimuli are scaled by one constant, so that the mean of
    |u|^2 is 1.
    """
    of_model, of_protocol, of_engine = catalogue.model(model), catalogue.protocol(protocol), catalogue.engine(engine)
    texts = settings.split(pairs, ("protocol", "engine", "data"))
    made_engine = settings.make(of_engine, texts["engine"], {}, "engine.")
    given: dict[str, Any] = {}
    shown = ""
    if "values" in of_protocol.settings:
        from neurocircuits.datasets import from_file

        sets = catalogue.data_sets()
        variant = of_model.name.rpartition(".")[2]
        name = data or (variant if variant in sets else DEFAULT_DATA)
        own = Path(name).suffix
        source = catalogue.of_function("datasets.from_file", from_file) if own else catalogue.data_set(name)
        loaded = settings.make(source, texts["data"], {"n": N_BARS, "rng": seed, "path": name}, "data.")
        scaled, constant = loaded.unit_power()
        labels = scaled.labels if scaled.labels is not None and scaled.labels.ndim == 1 else None
        given = {"values": scaled.values, "labels": labels, "n_sensory": scaled.n_features}
        shown = f"; data {loaded!r} times {constant:.4g}"
    circuit = settings.make(of_model, texts[""], given)
    made_protocol = settings.make(of_protocol, texts["protocol"], given, "protocol.")
    phases = ", ".join(f"{phase.name} {phase.n_presentations}" for phase in made_protocol.phases)
    summary = f"{of_model.name}, {of_protocol.name} ({phases} presentations), {made_engine}, seed {seed}{shown}"
    return Experiment(circuit, made_protocol, made_engine, summary)
