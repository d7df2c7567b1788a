"""Learn features, probe them, and probe them again with a population silenced."""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.protocol import Clamp, Phase, Protocol
from neurocircuits.protocols import features


def protocol(values: Any, labels: Any = None, silenced: str = "I", **settings: Any) -> Protocol:
    """Return a protocol that learns, probes the intact circuit, and probes it with a population silenced.

    Parameters
    ----------
    values : array_like, shape (n_images, n_pixels)
        Images as rates; scaled so that the mean of |u|^2 is 1.
    labels : array_like, shape (n_images,), optional
        Labels.
    silenced : str
        The population that is held at 0 in the phase "silenced".
    **settings
        As for `neurocircuits.protocols.features.protocol`.
    """
    learned = features.protocol(values, labels, **settings)
    probe = learned.phases[-1]
    again = Phase(
        "silenced", probe.stimuli, plasticity=False, interventions=[Clamp(silenced, 0.0)], record=probe.record
    )
    return Protocol([*learned.phases, again], name="silencing")
