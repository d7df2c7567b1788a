"""The timetable of a standalone program: which pattern is shown when, and the scale of every learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import NOTHING, Protocol
from neurocircuits.engines.arrays import dense
from neurocircuits.errors import UnsupportedError
from neurocircuits.randomness import Streams

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2

_MOST_BYTES = 4 * 2**30


class Schedule:
    """What happens in which time step.

    Parameters
    ----------
    engine : Brian2
        Time step and learning step.
    plan : Plan
        The plan.
    protocol : Protocol
        The protocol.
    streams : Streams
        Random streams of the stimuli.

    Attributes
    ----------
    slot : int
        Time steps of a slot, the common divisor of all presentations and windows.
    patterns : dict of str to ndarray, shape (n_distinct, n_units)
        Distinct patterns of each source.
    which : dict of str to ndarray of int, shape (n_slots,)
        Pattern of each slot.
    tick : int
        Time steps between moments at which anything may learn.
    learning : dict of str to ndarray, shape (n_ticks,)
        For how many seconds, scaled, each learner learns at the end of each tick; mostly 0.
    scales : dict of str to ndarray, shape (n_slots + 1,)
        Scale of every learner in each slot, and 0 in the time step after the end.
    phase_of : ndarray of int, shape (n_slots + 1,)
        Phase of each slot, and one after the end.
    ends : ndarray of int, shape (n_presentations,)
        Slot after the last of each presentation.

    Raises
    ------
    UnsupportedError
        If patterns and record need too much memory.
    """

    def __init__(self, engine: Brian2, plan: Plan, protocol: Protocol, streams: Streams) -> None:
        self.dt = engine.dt
        learners = list(plan.learners)
        lengths: set[int] = set()
        rows: list[tuple[int, float, list[tuple[int, int]]]] = []
        distinct: dict[str, dict[bytes, int]] = {name: {} for name in plan.sources}
        kept: dict[str, list[np.ndarray]] = {name: [] for name in plan.sources}
        shown: dict[str, list[int]] = {name: [] for name in plan.sources}
        size = 0
        for number, phase in enumerate(protocol.phases):
            position = 0
            while position < phase.n_presentations:
                parts = phase.batch(position, min(256, phase.n_presentations - position), streams)
                durations = next(iter(parts.values())).durations
                for name, part in ((name, part) for name, part in parts.items() if name != NOTHING):
                    for row in dense(part.values):
                        key = np.ascontiguousarray(row, dtype=float).tobytes()
                        if key not in distinct[name]:
                            distinct[name][key] = len(kept[name])
                            kept[name].append(np.array(row, dtype=float))
                            size += len(key)
                        shown[name].append(distinct[name][key])
                if size > _MOST_BYTES:
                    raise _too_large("distinct patterns")
                for k, duration in enumerate(durations):
                    windows = []
                    for window in phase.windows(float(duration)):
                        n_steps, every = engine.window_steps(window)
                        windows.append((n_steps, every if learners and not phase.frozen(learners) else 0))
                        lengths.add(n_steps)
                    rows.append((number, (position + k) / phase.n_presentations, windows))
                position += len(durations)
        self.slot = math.gcd(*lengths)
        self.patterns = {name: np.stack(patterns) for name, patterns in kept.items()}
        self._lay_out(rows, shown, protocol, learners)
        self._check_memory(plan, protocol)

    def _lay_out(
        self,
        rows: list[tuple[int, float, list[tuple[int, int]]]],
        shown: dict[str, list[int]],
        protocol: Protocol,
        learners: list[str],
    ) -> None:
        repeats = np.array([sum(n for n, _ in windows) // self.slot for _, _, windows in rows])
        self.ends = np.cumsum(repeats)
        self.n_slots = int(self.ends[-1])
        self.n_steps = self.n_slots * self.slot
        numbers = np.array([number for number, _, _ in rows])
        self.phase_of = np.append(np.repeat(numbers, repeats), len(protocol.phases))
        self.onsets = np.append(0, self.ends[:-1])
        self.which = {name: np.repeat(np.array(order), repeats) for name, order in shown.items()}
        self._lay_out_learning(rows, protocol, learners)
        self.scales = {name: np.zeros(self.n_slots + 1) for name in learners}
        start = 0
        for number, progress, windows in rows:
            for n_steps, every in windows:
                slots = slice(start, start := start + n_steps // self.slot)
                for name in learners if every else ():
                    self.scales[name][slots] = protocol.phases[number].scale(name, progress)
        first = [int(np.flatnonzero(self.phase_of == k)[0]) for k in range(len(protocol.phases))]
        self.phase_starts = np.array(first)
        self.phase_slots = math.gcd(*[int(k) for k in self.phase_starts], self.n_slots)

    def _lay_out_learning(
        self, rows: list[tuple[int, float, list[tuple[int, int]]]], protocol: Protocol, learners: list[str]
    ) -> None:
        """Say when what learns, and for how long, at the coarsest ticks that meet every learning step."""
        moments: dict[int, list[tuple[int, int]]] = {}
        start = 0
        for k, (_, _, windows) in enumerate(rows):
            for n_steps, every in windows:
                if every:
                    moments.setdefault(k, []).extend(
                        (end, every) for end in range(start + every, start + n_steps + 1, every)
                    )
                start += n_steps
        self.tick = math.gcd(*(end for pairs in moments.values() for end, _ in pairs)) or self.n_steps
        self.learning = {name: np.zeros(self.n_steps // self.tick + 1) for name in learners}
        for k, pairs in moments.items():
            number, progress, _ = rows[k]
            for name in learners:
                scale = protocol.phases[number].scale(name, progress)
                for end, every in pairs:
                    self.learning[name][end // self.tick - 1] = every * self.dt * scale

    def _check_memory(self, plan: Plan, protocol: Protocol) -> None:
        if any(phase.record is not None and phase.record.weights_every for phase in protocol.phases):
            learning = [p for p in plan.pathways.values() if p.rule is not None or (p.events and p.events.learns)]
            sizes = [p.declaration.connectivity.n_expected(plan.shape(p)) for p in learning]
            if 8 * sum(sizes) * self.n_slots > _MOST_BYTES:
                raise _too_large("record of weights")
        if any(phase.record is not None and phase.record.variables for phase in protocol.phases):
            n_values = sum(population.n_units * len(population.states) for population in plan.driven.values())
            if 8 * n_values * self.n_slots > _MOST_BYTES:
                raise _too_large("record")


def _too_large(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"Brian2: the {what} of a standalone program would need more than {_MOST_BYTES / 2**30:g} GiB of memory. Use "
        f"device='runtime', which reads stimuli and keeps records as they are shown."
    )
