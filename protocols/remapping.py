"""Learn with one tuning of excitation, change it in one step, and keep on learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurocircuits.declare.interventions import Scale
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.protocols._stretches import stretches


def protocol(
    factors: Sequence[float],
    n_per_group: int = 100,
    settle: Any = "300 s",
    remapped: Any = "300 s",
    stretch: Any = "1.5 s",
    pathway: str = "E_to_cell",
    learning: str = "I_to_cell",
) -> Protocol:
    """Return a protocol of phases "settle" and "remapped", with a snapshot of weights after each stretch.

    Parameters
    ----------
    factors : sequence of float
        Of the synapses of each group of presynaptic units, in their order, at the step.
    n_per_group : int
        Units of a group.
    settle, remapped : quantity
        Durations before and after the step.
    stretch : quantity
        Length of the stretches in which phases are run, a divisor of both.
    pathway : str
        The pathway whose weights change at the step.
    learning : str
        The pathway that learns, whose weights results hold.

    Raises
    ------
    ValidationError
        If the stretch does not divide a duration.

    Notes
    -----
    The step stands for a shift of excitatory tuning like that after which Froemke, Merzenich and Schreiner (2007) saw
    inhibition follow. The protocol of the figure of Vogels et al. (2011) is not known; the durations are defaults of
    this package.
    """
    moved = [
        Scale(pathway, factor, pre=range(k * n_per_group, (k + 1) * n_per_group)) for k, factor in enumerate(factors)
    ]
    phases = []
    for name, duration, interventions in (("settle", settle, []), ("remapped", remapped, moved)):
        record = Record(spikes=("cell",), weights_every=1)
        lasts = stretches("remapping", name, duration, stretch)
        phases.append(Phase(name, interventions=interventions, record=record, **lasts))
    return Protocol(phases, name="remapping", weights=(learning,))
