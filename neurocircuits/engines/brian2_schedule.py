"""The timetable of a standalone program: which pattern is shown when, and the scale of every learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import Protocol
from neurocircuits.engines.values import dense
from neurocircuits.errors import UnsupportedError
from neurocircuits.randomness import Streams

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2

_LARGEST_PATTERNS = 4 * 2**30  # bytes


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
    scales : dict of str to ndarray, shape (n_slots,)
        Scale of each learning rate, 0 where a window is not plastic.
    phase_of : ndarray of int, shape (n_slots + 1,)
        Phase of each slot, and one after the end.
    ends : ndarray of int, shape (n_presentations,)
        Slot after the last of each presentation.
    learning_steps : int
        Time steps of a learning step.

    Raises
    ------
    UnsupportedError
        If learning steps differ between phases, or the patterns need too much memory.
    """

    def __init__(self, engine: Brian2, plan: Plan, protocol: Protocol, streams: Streams) -> None:
        dt = engine.dt
        learners = [*plan.plastic, *(name for name, p in plan.populations.items() if p.slow)]
        lengths: set[int] = set()
        learning: set[int] = set()
        rows: list[tuple[int, float, list[tuple[int, bool]]]] = []
        distinct: dict[str, dict[bytes, int]] = {name: {} for name in plan.sources}
        kept: dict[str, list[np.ndarray]] = {name: [] for name in plan.sources}
        shown: dict[str, list[int]] = {name: [] for name in plan.sources}
        size = 0
        for number, phase in enumerate(protocol.phases):
            position = 0
            while position < phase.n_presentations:
                parts = phase.batch(position, min(256, phase.n_presentations - position), streams)
                durations = next(iter(parts.values())).durations
                for name, part in parts.items():
                    for row in dense(part.values):
                        key = np.ascontiguousarray(row, dtype=float).tobytes()
                        if key not in distinct[name]:
                            distinct[name][key] = len(kept[name])
                            kept[name].append(np.array(row, dtype=float))
                            size += len(key)
                        shown[name].append(distinct[name][key])
                if size > _LARGEST_PATTERNS:
                    raise UnsupportedError(
                        f"Brian2: the distinct patterns of a standalone program need more than {_LARGEST_PATTERNS / 2**30:g} GiB of memory. Use "
                        f"device='runtime', which reads stimuli as they are shown."
                    )
                for k, duration in enumerate(durations):
                    windows = []
                    for window in phase.windows(float(duration)):
                        n_steps, every = engine.window_steps(window)
                        windows.append((n_steps, window.plastic))
                        lengths.add(n_steps)
                        if every and learners and not phase.frozen(learners):
                            learning.add(every)
                    rows.append((number, (position + k + 1) / phase.n_presentations, windows))
                position += len(durations)
        if len(learning) > 1:
            raise UnsupportedError(
                f"Brian2: learning steps of {sorted(dt * k for k in learning)} s differ between phases or windows. Give one with Brian2(learning_step=...)."
            )
        self.learning_steps = learning.pop() if learning else 1
        self.slot = math.gcd(*lengths)
        self.patterns = {name: np.stack(patterns) for name, patterns in kept.items()}
        self._lay_out(rows, shown, protocol, learners)

    def _lay_out(
        self,
        rows: list[tuple[int, float, list[tuple[int, bool]]]],
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
        plastic = np.concatenate([np.full(n // self.slot, float(on)) for _, _, windows in rows for n, on in windows])
        self.scales = {}
        for name in learners:
            scale = np.array([protocol.phases[number].scale(name, progress) for number, progress, _ in rows])
            self.scales[name] = np.repeat(scale, repeats) * plastic
        first = [int(np.flatnonzero(self.phase_of == k)[0]) for k in range(len(protocol.phases))]
        self.phase_starts = np.array(first)
        self.phase_slots = math.gcd(*[int(k) for k in self.phase_starts], self.n_slots)


