"""Circuits of sensory, excitatory and inhibitory neurons that learn, declared once and run both ways.

A circuit is declared as equations; the same declaration runs in continuous time (`Brian2`) and as steady states
(`SteadyState`). Names are imported when they are first used, so that ``import neurocircuits`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "neurocircuits.declare.circuit": ("Circuit",),
    "neurocircuits.declare.functions": ("Function",),
    "neurocircuits.declare.population": ("Population",),
    "neurocircuits.declare.interventions": ("Clamp", "Scale"),
    "neurocircuits.declare.protocol": ("Phase", "Protocol", "Record", "Window"),
    "neurocircuits.declare.rule": ("Rule",),
    "neurocircuits.declare.rules": (
        "AntiHebbian",
        "BCM",
        "CorrelationMeasuring",
        "Foldiak",
        "Hebbian",
        "Krotov",
        "LateralAntiHebbian",
        "Oja",
    ),
    "neurocircuits.declare.short_term": ("ShortTerm", "TsodyksMarkram"),
    "neurocircuits.declare.spike_rules": ("PairSTDP", "Vogels"),
    "neurocircuits.declare.steps": ("Cap", "Euler", "Inverse", "LargestChange", "Linear", "PerUnit", "Steps"),
    "neurocircuits.declare.stimulus": ("Patterns", "Presentations", "Stimulus"),
    "neurocircuits.declare.synapses": ("Synapses",),
    "neurocircuits.declare.connectivity": ("AllToAll", "Explicit", "FixedInDegree", "OneToOne", "Probability"),
    "neurocircuits.declare.weights": (
        "Clipped", "Constant", "Given", "Lognormal", "Normal", "Normalise", "Paired", "Symmetric", "Tied", "Uniform",
    ),
    "neurocircuits.compile.compiler": ("compile_circuit",),
    "neurocircuits.compile.mean_field": ("mean_field",),
    "neurocircuits.engines.steady_state": ("SteadyState",),
    "neurocircuits.engines.brian2_engine": ("Brian2",),
    "neurocircuits.simulation": ("resume", "run"),
    "neurocircuits.sweeping": ("sweep",),
    "neurocircuits.results.storage": ("load", "save"),
    "neurocircuits.errors": (
        "DataError", "DivergenceError", "InterruptedRun", "NeurocircuitsError", "RunError", "StorageError", "UnitError",
        "UnsupportedError", "ValidationError",
    ),
}  # fmt: skip
_WHERE = {name: module for module, names in _HOME.items() for name in names}
__all__ = ["__version__", *sorted(_WHERE)]

if TYPE_CHECKING:
    from neurocircuits.compile.compiler import compile_circuit as compile_circuit
    from neurocircuits.compile.mean_field import mean_field as mean_field
    from neurocircuits.declare.circuit import Circuit as Circuit
    from neurocircuits.declare.connectivity import (  # noqa: F401
        AllToAll,
        Explicit,
        FixedInDegree,
        OneToOne,
        Probability,
    )
    from neurocircuits.declare.functions import Function as Function
    from neurocircuits.declare.interventions import Clamp, Scale  # noqa: F401
    from neurocircuits.declare.population import Population as Population
    from neurocircuits.declare.protocol import Phase, Protocol, Record, Window  # noqa: F401
    from neurocircuits.declare.rule import Rule as Rule
    from neurocircuits.declare.rules import (  # noqa: F401
        BCM,
        AntiHebbian,
        CorrelationMeasuring,
        Foldiak,
        Hebbian,
        Krotov,
        LateralAntiHebbian,
        Oja,
    )
    from neurocircuits.declare.short_term import ShortTerm, TsodyksMarkram  # noqa: F401
    from neurocircuits.declare.spike_rules import PairSTDP, Vogels  # noqa: F401
    from neurocircuits.declare.steps import Cap, Euler, Inverse, LargestChange, Linear, PerUnit, Steps  # noqa: F401
    from neurocircuits.declare.stimulus import Patterns, Presentations, Stimulus  # noqa: F401
    from neurocircuits.declare.synapses import Synapses as Synapses
    from neurocircuits.declare.weights import (  # noqa: F401
        Clipped,
        Constant,
        Given,
        Lognormal,
        Normal,
        Normalise,
        Paired,
        Symmetric,
        Tied,
        Uniform,
    )
    from neurocircuits.engines.brian2_engine import Brian2 as Brian2
    from neurocircuits.engines.steady_state import SteadyState as SteadyState
    from neurocircuits.results.storage import load, save  # noqa: F401
    from neurocircuits.simulation import resume, run  # noqa: F401
    from neurocircuits.sweeping import sweep as sweep


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'neurocircuits' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
