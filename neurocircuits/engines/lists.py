"""What is drawn or given for each synapse of a list: weights and delays."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuits.compile.plan import PathwayPlan
from neurocircuits.declare.connectivity import Explicit, Pairs
from neurocircuits.declare.weights import Constant, Given, Weights, first_illegal
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams


def listed_weights(
    pathway: PathwayPlan, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs, dtype: np.dtype[Any]
) -> np.ndarray:
    """Return a weight for each synapse; weights that are all equal and do not change are one number."""
    weights = pathway.declaration.weights
    if isinstance(weights, Constant) and not (pathway.events is not None and pathway.events.learns):
        return np.broadcast_to(weights.draw(generator, ()).astype(dtype), len(pairs[0]))
    return _listed(pathway, weights, generator, shape, pairs)


def delays(pathway: PathwayPlan, streams: Streams, shape: tuple[int, int], pairs: Pairs) -> np.ndarray:
    """Return the delay of each synapse in seconds.

    Raises
    ------
    ValidationError
        If one is negative or not finite.
    """
    generator = streams.generator("delays", pathway.name)
    drawn = _listed(pathway, pathway.declaration.delay, generator, shape, pairs)
    allowed = (drawn >= 0) & np.isfinite(drawn)
    if not allowed.all():
        raise ValidationError(
            f"{first_illegal(drawn, allowed)} delays are no times of 0 s or more. Draw others, or cut them, as in "
            "Clipped(Normal('1.5 ms', '0.5 ms'), '0.1 ms', '3 ms')."
        )
    return drawn


def _listed(
    pathway: PathwayPlan, values: Weights, generator: np.random.Generator, shape: tuple[int, int], pairs: Pairs
) -> np.ndarray:
    connectivity = pathway.declaration.connectivity
    if isinstance(connectivity, Explicit) and isinstance(values, Given) and values.values.values.ndim == 1:
        return connectivity.arranged(values.values.values)
    return values.listed(generator, shape, pairs)
