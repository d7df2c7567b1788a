"""What a device cannot run of a protocol on a plan: one reason for each thing, with its remedy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from neurocircuits.compile.expressions import Expression
from neurocircuits.compile.plan import Loop, Plan
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.serialise import FrozenArray
from neurocircuits.engines.arrays import SPARSE, free_memory, missing
from neurocircuits.engines.memory import too_dense
from neurocircuits.engines.solvers import solves_every_row
from neurocircuits.engines.threshold_linear import structure

_OTHERWISE = "use device='cpu'"
_ON_HOST = re.compile(r"\b(exprel|lif_rate)\(")


def refused(
    plan: Plan, protocol: Protocol, device: str, dtype: str, solver: str, tolerances: Mapping[str, float]
) -> list[str]:
    """Return every reason why a device cannot run a protocol on a plan.

    Parameters
    ----------
    plan : Plan
        The plan.
    protocol : Protocol
        The protocol.
    device, dtype, solver : str
        Settings of the engine.
    tolerances : mapping of str to float
        Its ``tolerance`` and ``learning_tolerance``.
    """
    reason = missing(device)
    reasons = [reason] if reason else too_dense(plan, dtype, free_memory(device), f"memory on device {device!r}")
    if solver != "auto":
        reasons.append(f"solver {solver!r} runs on the processor alone; leave it at 'auto', or {_OTHERWISE}")
    reasons += _functions(plan)
    for phase in protocol.phases:
        reasons += [
            f"phase {phase.name!r} shows {name!r} a sparse stimulus, which {SPARSE}"
            for name, stimulus in phase.stimuli.items()
            if any(hasattr(found.values, "indptr") for found in _instances(stimulus, FrozenArray))
        ]
        if any(window.step for window in phase.timetable):
            reasons.append(
                f"phase {phase.name!r} takes steps within presentations, too small for a device; {_OTHERWISE}"
            )
    for loop in plan.loops:
        reasons += _loop(plan, protocol, loop, tolerances)
    return reasons


def _functions(plan: Plan) -> Iterator[str]:
    """Yield populations and pathways whose equations call functions that only the host has."""
    kinds: dict[str, Mapping[str, Any]] = {"population": plan.populations, "synapses": plan.pathways}
    for kind, members in kinds.items():
        for name, member in members.items():
            texts = [expression.text for expression in _instances(member, Expression)]
            for function in sorted({found for text in texts for found in _ON_HOST.findall(text)}):
                yield f"{kind} {name!r}: a device has no function {function}(); {_OTHERWISE}"


def _loop(plan: Plan, protocol: Protocol, loop: Loop, tolerances: Mapping[str, float]) -> Iterator[str]:
    """Yield why a loop does not come to rest by products of whole batches."""
    names = " and ".join(map(repr, loop.populations))
    members = [plan.populations[name] for name in loop.populations]
    if not loop.recurrent and all(member.explicit or not member.states for member in members):
        return
    if not loop.rectified:
        yield f"populations {names} are brought to rest by integration or row by row, not by products; {_OTHERWISE}"
        return
    few, symmetric = structure(plan, loop)
    if not few and not symmetric:
        yield (
            f"populations {names} inhibit each other by other pathways than a few linear units or tied ones, so each "
            f"presentation is solved on its own; {_OTHERWISE}"
        )
    elif not few:
        for phase in protocol.phases:
            what = _tolerance(plan, phase, tolerances)
            if solves_every_row(tolerances[what]):
                yield (
                    f"phase {phase.name!r} asks a {what} of {tolerances[what]:g} of populations {names}, at which each "
                    f"presentation is solved on its own; raise it, for example to 1e-05, or {_OTHERWISE}"
                )


def _tolerance(plan: Plan, phase: Phase, tolerances: Mapping[str, float]) -> str:
    """Return the name of the smallest tolerance that a phase asks."""
    if not plan.learners or phase.frozen(plan.learners):
        return "tolerance"
    plastic = {window.plastic for window in phase.timetable} or {True}
    return min(("learning_tolerance" if learns else "tolerance" for learns in plastic), key=tolerances.__getitem__)


def _instances(value: Any, kind: type) -> Iterator[Any]:
    """Yield what is of a kind in a declaration or a plan."""
    if isinstance(value, kind):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _instances(getattr(value, field.name), kind)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _instances(item, kind)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _instances(item, kind)
