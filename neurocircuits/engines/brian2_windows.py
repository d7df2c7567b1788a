"""The parts of a presentation in time steps of a live network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from neurocircuits.declare.protocol import Phase
from neurocircuits.engines.brian2_objects import multiple
from neurocircuits.errors import ValidationError

if TYPE_CHECKING:
    from neurocircuits.engines.brian2_engine import Brian2


class TimedWindow(NamedTuple):
    """A part of each presentation in time steps: how many, how long, how many to a learning step and to a sample."""

    n_steps: int
    every: int
    dt: float
    hold: bool
    sample: int
    plastic: bool


def timed_windows(engine: Brian2, phase: Phase, duration: float, learns: bool, paced: bool) -> list[TimedWindow]:
    """Return the windows of a presentation.

    Parameters
    ----------
    engine : Brian2
        Time step and learning step.
    phase : Phase
        The phase.
    duration : float
        Duration of the presentation in seconds.
    learns : bool
        Whether anything learns in the phase.
    paced : bool
        Whether windows with time steps of their own are built into the network.

    Raises
    ------
    ValidationError
        If steps do not divide, or a window has a step that is not built in.
    """
    record, windows = phase.record, []
    for window in phase.windows(duration):
        dt = window.step or engine.dt
        if dt != engine.dt and not paced:
            raise ValidationError(
                "Brian2: time steps of windows are not built into the network; call prepare(protocol) first."
            )
        n_steps, every = engine.window_steps(window)
        interval = None if record is None else record.interval
        sample = 0 if interval is None else 1
        if interval is not None and interval > dt:
            sample = multiple(interval, dt, "Record.interval", "the time step")
        windows.append(TimedWindow(n_steps, every if learns else 0, dt, window.hold, sample, window.plastic))
    return windows
