"""What a network needs of memory and disk, known before it is drawn."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.protocol import Protocol

# Bytes, fitted to programs of 5 to 240 million synapses: while they are declared and while the program runs.
_BASE, _PER_SYNAPSE, _PER_PLASTIC = 0.26e9, 43.0, 8.0
_PER_DELAY, _PER_TRACE = 14.0, 16.0  # of synapses with delays of their own
_DISK_PER_DELAY = 16.0
_DISK_PER_SYNAPSE, _DISK_PER_PLASTIC, _PER_COPY = 24.0, 24.0, 8.0


@dataclass(frozen=True)
class Needs:
    """What a run needs.

    Attributes
    ----------
    n_synapses : float
        Synapses that transmit spikes, about.
    memory, disk : float
        Bytes; the disk of a compiled program alone.
    """

    n_synapses: float
    memory: float
    disk: float


def needs(plan: Plan, protocol: Protocol) -> Needs:
    """Return about what a protocol needs on a plan, for its synapses that transmit spikes."""
    total = plastic = 0.0
    own = np.zeros(2)  # bytes of delays and traces of synapses: memory, disk
    for pathway in plan.pathways.values():
        if pathway.events is not None and pathway.listed:
            n = pathway.declaration.connectivity.n_expected(plan.shape(pathway))
            total += n
            plastic += n if pathway.events.learns else 0.0
            if pathway.declaration.delays_differ:
                traces = _PER_TRACE * any(side == "pre" for side, _ in pathway.events.traces.values())
                own += n * np.array([_PER_DELAY + traces, _DISK_PER_DELAY + traces])
    copies = _PER_COPY * (len(protocol.phases) - 1)
    memory = _BASE + _PER_SYNAPSE * total + (_PER_PLASTIC + 2 * copies) * plastic
    disk = _DISK_PER_SYNAPSE * total + (_DISK_PER_PLASTIC + 2 * copies) * plastic
    return Needs(total, memory + float(own[0]), disk + float(own[1]))


def too_dense(plan: Plan, dtype: str, free: float | None = None, what: str = "memory") -> list[str]:
    """Return why the weight matrices do not fit into memory, with the numbers.

    A matrix is held once, as a mask too where it is sparse, and once more for each text of weights that is sent.

    Parameters
    ----------
    plan : Plan
        The plan.
    dtype : str
        Precision of weights.
    free : float, optional
        Bytes that are free; those of the machine unless given.
    what : str
        Name of the memory.
    """
    size, largest, most = 0.0, "", 0.0
    for name, pathway in plan.pathways.items():
        n_post, n_pre = plan.shape(pathway)
        texts = sum(term.weight is not None and term.weight.text != "w" for term in pathway.terms)
        held = (pathway.owns + texts) * np.dtype(dtype).itemsize + (pathway.declaration.connectivity != AllToAll())
        size += (bytes_ := 0.0 if pathway.listed else held * float(n_post) * n_pre)
        if bytes_ > most:
            most, largest = bytes_, f"{name!r} of {n_post} x {n_pre}"
    free = available_memory() if free is None else free
    if size <= free:
        return []
    return [
        f"the weight matrices of circuit {plan.circuit.name!r} need about {size / 2**30:.1f} GiB of {what}, the "
        f"largest is {largest}, and {free / 2**30:.1f} GiB are free; use fewer units, for a spiking circuit "
        "mean_field(circuit, per='population'), or a larger machine"
    ]


def available_memory() -> float:
    """Return how many bytes of memory are free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024.0 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages))


def too_large(plan: Plan, protocol: Protocol, compiled: bool, directory: str | None) -> list[str]:
    """Return why a network does not fit on this machine, with the numbers."""
    found, reasons = needs(plan, protocol), []
    what = f"the {found.n_synapses:,.0f} synapses of circuit {plan.circuit.name!r} need about"
    if found.memory > (free := available_memory()):
        reasons.append(
            f"{what} {found.memory / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; use fewer cells or "
            "synapses, or a larger machine"
        )
    place = Path(directory or tempfile.gettempdir())
    while not place.exists():
        place = place.parent
    if compiled and found.disk > (free := shutil.disk_usage(place).free):
        reasons.append(
            f"{what} {found.disk / 2**30:.1f} GiB on disk, and '{place}' has {free / 2**30:.1f} GiB; name another "
            "directory, or use device='runtime'"
        )
    return reasons
