"""Competing hidden units in continuous time: the replication that integrates both equations, as it was run.

References
----------
Zanola A (2021) Biological networks is all you need (slides), with the notebook ``QLS_project.ipynb`` of the public
repository Bio-Networks; after Krotov and Hopfield (2018), arXiv:1806.10181, eqs. 2 and 4.

Notes
-----
One image at a time: the activity follows eq. 4 for 0.6 s (12 tau), in 100 steps of 0.5 ms and 275 of 2 ms, from where
the image before left it; then it is held while the weights follow eq. 2 for 180 steps of 10 ms (0.36 tau_L), which
drives every unit above h_* all the way to the image. The slides describe other values than the notebook ran: w_inh 0.8
instead of 0.7, steps of 1 ms instead of 2, and initial weights that are normal instead of uniform (``as_described``).
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Window
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.weights import Normal, Uniform
from neurocircuits.models import krotov2019

REFERENCE = "Zanola (2021), slides and notebook"
N_HIDDEN = 484


def circuit(**settings: Any) -> Circuit:
    """Return the circuit as it was run: 484 hidden units, p 2, w_inh 0.7, h_* 3, delta 0.01; ``settings`` override."""
    defaults: dict[str, Any] = {
        "n_hidden": N_HIDDEN, "p": 2.0, "w_inh": 0.7, "h_star": 3.0, "delta": 0.01, "tau": "50 ms", "eta": "0.2 Hz",
        "initial": Uniform(0.0, 1.0),
    }  # fmt: skip
    return krotov2019.competition(**{**defaults, **settings})


def as_described(**settings: Any) -> Circuit:
    """Return the circuit as the slides describe it: w_inh 0.8, initial weights standard normal."""
    return circuit(**{"w_inh": 0.8, "initial": Normal(0.0, 1.0), **settings})


def protocol(values: Any, labels: Any = None, scale: float = 1.0, settling_step: Any = "2 ms") -> Protocol:
    """Return a protocol that shows images one by one: the activity settles, then it is held while the weights learn.

    Parameters
    ----------
    values : array_like, shape (n_images, n_pixels)
        Images, with ``scale`` in 0 to 1.
    labels : array_like, shape (n_images,), optional
        Labels.
    scale : float
        A constant that multiplies all values.
    settling_step : quantity
        Step of the second part of settling; the slides describe 1 ms.
    """
    timetable = [
        Window("50 ms", plastic=False, step="0.5 ms"),
        Window("550 ms", plastic=False, step=settling_step),
        Window("1.8 s", plastic=True, hold=True, step="10 ms"),
    ]
    shown = Patterns(values, labels=labels, scale=scale)
    return Protocol([Phase("learn", {"S": shown}, timetable=timetable)], name="zanola2021")
