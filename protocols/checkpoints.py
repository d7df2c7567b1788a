"""Learn in stretches, with a probe after each, to see how learning goes."""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.stimulus import Patterns


def protocol(
    values: Any,
    labels: Any = None,
    n_stretches: int = 10,
    n_learn: int = 100_000,
    n_probe: int = 500,
    duration: Any = "100 ms",
    scale: float = 1.0,
) -> Protocol:
    """Return a protocol of phases "learn_01", "probe_01", "learn_02" and so on.

    Parameters
    ----------
    values : array_like, shape (n_images, n_pixels)
        Images as rates; scaled so that the mean of |u|^2 is 1.
    labels : array_like, shape (n_images,), optional
        Labels.
    n_stretches : int
        Stretches of learning.
    n_learn : int
        Presentations while learning, all stretches together, drawn with replacement.
    n_probe : int
        Images of each probe, the first of ``values``.
    duration : quantity
        Duration of a presentation.
    scale : float
        A constant that multiplies all values.
    """
    images = Patterns(values, labels=labels, duration=duration, scale=scale)
    shown, probe = images.sampled(n_learn // n_stretches), images.take(min(n_probe, images.n_presentations))
    recorded = Record("r", "excitation", "inhibition", populations=("E",))
    phases = []
    for k in range(1, n_stretches + 1):
        phases.append(Phase(f"learn_{k:02d}", {"S": shown}))
        phases.append(Phase(f"probe_{k:02d}", {"S": probe}, plasticity=False, record=recorded))
    return Protocol(phases, name="checkpoints")
