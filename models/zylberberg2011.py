"""SAILnet: spiking cells that inhibit each other all to all and learn a sparse code by rules local to their synapses.

References
----------
Zylberberg J, Murphy JT, DeWeese MR (2011) A sparse coding model with synaptically local plasticity and spiking neurons
can account for the diverse shapes of V1 simple cell receptive fields, PLoS Comput. Biol. 7:e1002250,
doi:10.1371/journal.pcbi.1002250. Numbers are those of the authors' program, github.com/jzlab/SAILnet.

Notes
-----
One of the program's 50 steps for an image is a time step of 1 ms here, so run with ``Brian2(dt="1 ms",
method="euler", batch=100)``: u <- (1 - 0.1) u + 0.1 (Q x - W s), where s are the spikes of the step before, which add
to a variable that lasts for one step. An image starts with u = 0 (``restart=True``), and after its last step weights
and thresholds change once, by what the spike counts r of a hundred images say on average (`TIMETABLE`). Cells excite
others in the cortex, but here inhibit each other, which breaks Dale's law, as do weights from pixels of either sign:
``dale="unconstrained"``. `king2013` is the network that mends the first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Window
from neurocircuits.declare.rules import LateralAntiHebbian, Oja
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Given
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams

REFERENCE = "Zylberberg, Murphy and DeWeese (2011), doi:10.1371/journal.pcbi.1002250"

TIMETABLE = (Window("49 ms", plastic=False), Window("1 ms"))
LEARNING_STEP = "1 ms"

_EQUATIONS = """
    du/dt = (drive - g - u)/tau : 1
    dg/dt = -g/step : 1 (input)
    dr/dt = 0*Hz : 1
    dtheta/dt = gamma*(r - p) : 1 (slow)
    """


def circuit(
    n_cells: int = 256,
    n_pixels: int = 256,
    p: float = 0.05,
    alpha: float = 1.0,
    beta: float = 0.01,
    gamma: float = 0.1,
    rng: Any = 0,
) -> Circuit:
    """Return SAILnet.

    Parameters
    ----------
    n_cells, n_pixels : int
        Numbers of units.
    p : float
        Target, spikes for an image.
    alpha, beta, gamma : float
        Learning rates of lateral weights, weights from pixels and thresholds, per batch of images.
    rng : int or Generator
        Where the initial weights from pixels are drawn from: normal, rows of unit length. Lateral ones are 0,
        thresholds 2.

    Raises
    ------
    ValidationError
        If a number is not positive.
    """
    if not all(value > 0 for value in (p, alpha, beta, gamma)):
        raise ValidationError(
            f"zylberberg2011.circuit: p {p!r} and the rates alpha {alpha!r}, beta {beta!r}, gamma {gamma!r} must be "
            "positive."
        )
    generator = rng if isinstance(rng, np.random.Generator) else Streams(rng).generator("zylberberg2011")
    from_pixels = generator.standard_normal((n_cells, n_pixels))
    from_pixels /= np.linalg.norm(from_pixels, axis=1, keepdims=True)
    per_step = {name: f"{rate * 1e3!r} Hz" for name, rate in (("alpha", alpha), ("beta", beta), ("gamma", gamma))}
    cells = Population(
        "E",
        n_cells,
        _EQUATIONS,
        parameters={"tau": "10 ms", "step": "1 ms", "gamma": per_step["gamma"], "p": p},
        initial={"theta": 2.0},
        threshold="u >= theta",
        reset="u = 0\nr += 1",
    )
    lateral = Synapses(
        "E",
        "E",
        input="g",
        weights=0.0,
        connectivity=AllToAll(self_connections=False),
        bounds=(0.0, math.inf),
        rule=LateralAntiHebbian(per_step["alpha"], p),
    )
    pixels = Synapses("X", "E", weights=Given(from_pixels), rule=Oja(per_step["beta"]))
    return Circuit("zylberberg2011", [Population("X", n_pixels), cells], [pixels, lateral], dale="unconstrained")
