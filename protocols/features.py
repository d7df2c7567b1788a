"""Learn features of images, then probe them with plasticity off."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuits.declare.checks import is_whole
from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
from neurocircuits.declare.stimulus import Patterns, Stimulus
from neurocircuits.errors import ValidationError


def protocol(
    values: Any,
    labels: Any = None,
    n_learn: int = 100_000,
    n_probe: int = 2000,
    duration: Any = "100 ms",
    shuffle: bool = True,
    probe_values: Any = None,
    weights_every: int | None = None,
    scale: float = 1.0,
    settle: Any = None,
    step: Any = None,
    restart: bool = False,
) -> Protocol:
    """Return a protocol that learns and probes.

    Parameters
    ----------
    values : array_like, shape (n_images, n_pixels)
        Images as rates; scaled so that the mean of |u|^2 is 1.
    labels : array_like, shape (n_images,), optional
        Labels.
    n_learn : int
        Presentations while learning; the images are gone through in a new random order each epoch.
    n_probe : int
        Images that are shown after learning, with plasticity off.
    duration : quantity
        Duration of a presentation.
    shuffle : bool
        Whether the order is random.
    probe_values : array_like, optional
        Other images to probe with; the first of ``values`` unless given.
    weights_every : int, optional
        Snapshots of weights each so many presentations.
    scale : float
        A constant that multiplies all values, so that images can stay bytes in memory.
    settle : quantity, optional
        How long cells come to rest before they are held for ``duration``, in which weights learn in one step.
    step : quantity, optional
        Time step of that.
    restart : bool
        Whether fast variables start each presentation from their initial values.

    Raises
    ------
    ValidationError
        If ``n_learn`` or ``n_probe`` is no whole number, from 0 and 1.
    """
    if not is_whole(n_learn) or n_learn < 0 or not is_whole(n_probe) or n_probe < 1:
        raise ValidationError(
            f"features.protocol: n_learn = {n_learn!r} and n_probe = {n_probe!r} must be whole numbers, from 0 and 1."
        )
    timetable = () if settle is None else (Window(settle, False, step=step), Window(duration, hold=True, step=duration))
    shared: dict[str, Any] = {"timetable": timetable, "restart": restart}
    images: Stimulus = Patterns(values, labels=labels, duration=duration, scale=scale)
    n_images = images.n_presentations
    shown = images.shuffled() if shuffle else images
    record = None if weights_every is None else Record(weights_every=weights_every)
    phases = []
    if epochs := n_learn // n_images:
        phases.append(Phase("learn", {"S": shown}, epochs=epochs, record=record, **shared))
    if rest := n_learn % n_images:
        phases.append(Phase("learn_rest" if epochs else "learn", {"S": shown.take(rest)}, record=record, **shared))
    shown_last = values if probe_values is None else np.asarray(probe_values)
    known = None if labels is None or probe_values is not None else np.asarray(labels)[:n_probe]
    probe = Patterns(shown_last[:n_probe], labels=known, duration=duration, scale=scale)
    recorded = Record("r", "excitation", "inhibition")
    phases.append(Phase("probe", {"S": probe}, plasticity=False, record=recorded, **shared))
    return Protocol(phases, name="features")
