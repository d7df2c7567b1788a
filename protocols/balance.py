"""Watch a spiking circuit, let its inhibition learn, and probe what it learned; weights are frozen but in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.protocols._stretches import stretches


def protocol(
    before: Any = "3 s",
    learn: Any = "60 s",
    after: Any | None = "9 s",
    stretch: Any = "1.5 s",
    populations: Sequence[str] | None = None,
    sampled: Sequence[str] = (),
    interval: Any = "1 ms",
    weights: Sequence[str] | None = None,
    weights_every: int | None = None,
) -> Protocol:
    """Return a protocol of phases "before", "learn" and "after"; the first and the last with frozen weights.

    In a cell with plastic inhibition, the rate falls to its target and inhibition takes the tuning of excitation; in a
    recurrent network volleys give way to irregular firing.

    Parameters
    ----------
    before, learn, after : quantity
        Durations; with ``after=None`` there are two phases. The defaults are compressed: the authors' program learns
        for 300 s and more.
    stretch : quantity
        Length of the stretches in which the circuit learns, a divisor of ``learn``.
    populations : sequence of str, optional
        Whose spikes, and whose variables, are recorded; all unless given.
    sampled : sequence of str
        Variables that are sampled while weights are frozen, such as conductances and currents.
    interval : quantity
        Between samples.
    weights : sequence of str, optional
        Pathways whose weights results hold; all unless given.
    weights_every : int, optional
        Keep the weights after each so many stretches.

    Raises
    ------
    ValidationError
        If the stretch does not divide the time of learning.

    References
    ----------
    Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), doi:10.1126/science.1211095, figures 2 and 4.
    """
    spikes = True if populations is None else tuple(populations)
    frozen = Record(*sampled, populations=populations, interval=interval if sampled else None, spikes=spikes)
    phases = [
        Phase("before", duration=before, plasticity=False, record=frozen),
        Phase(
            "learn",
            record=Record(spikes=spikes, weights_every=weights_every),
            **stretches("balance", "learn", learn, stretch),
        ),
    ]
    if after is not None:
        phases.append(Phase("after", duration=after, plasticity=False, record=frozen))
    return Protocol(phases, name="balance", weights=weights)
