"""Sparse codes by local anti-Hebbian learning: binary cells that inhibit each other directly.

References
----------
Foldiak P (1990) Forming sparse representations by local anti-Hebbian learning, Biol. Cybern. 64:165-170,
doi:10.1007/BF02331346.

Notes
-----
A cell has an analogue state y, which the others feel, and an output r, which is 1 where y is above 0.5 and which the
synapses learn by. Lateral weights are symmetric, so the analogue states come to rest. All synapses of the cells are
inhibitory, so under Dale's law they are one inhibitory population, excited by S.

The printed numbers could not be read: those here are as recalled, and equal to public programs (alpha 0.1, beta and
gamma 0.02, slope 10, for each pattern). The time constant, the initial thresholds of 1 and the initial weights, of
unit length for each cell on average, are defaults. Cells come to rest before they learn, for 100 ms: see ``settle`` in
`neurocircuits.protocols.features`. So a rate of 1 Hz is a change of 0.1 for each pattern.
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Foldiak, LateralAntiHebbian
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Uniform
from neurocircuits.errors import ValidationError

REFERENCE = "Foldiak (1990), doi:10.1007/BF02331346"

_EQUATIONS = """
    dy/dt = (1/(1 + exp(-slope*(drive - theta))) - y)/tau : 1
    r = int(y > 0.5) : 1
    dtheta/dt = gamma*(r - p) : 1 (slow)
"""


def circuit(
    n_sensory: int = 64,
    n_cells: int = 16,
    p: float = 1 / 8,
    alpha: Any = "1 Hz",
    beta: Any = "0.2 Hz",
    gamma: Any = "0.2 Hz",
    slope: float = 10.0,
    tau: Any = "10 ms",
    initial_threshold: float = 1.0,
) -> Circuit:
    """Return the circuit; its defaults are those for 8 x 8 bars.

    Parameters
    ----------
    n_sensory, n_cells : int
        Numbers of units.
    p : float
        Fraction of patterns for which a cell shall fire, between 0 and 1.
    alpha, beta, gamma : quantity
        Learning rates of the lateral weights, the weights from S and the thresholds, 1/s.
    slope : float
        Steepness of the logistic response.
    tau : quantity
        Time constant of the analogue states.
    initial_threshold : float
        Thresholds at first.

    Raises
    ------
    ValidationError
        If ``p`` is not between 0 and 1, or ``slope`` is not positive.
    """
    if not 0 < p < 1 or not slope > 0:
        raise ValidationError(
            f"foldiak1990.circuit: p = {p!r} and slope = {slope!r}; 0 < p < 1 and slope > 0 are needed."
        )
    cells = Population(
        "E",
        n_cells,
        equations=_EQUATIONS,
        parameters={"tau": tau, "slope": slope, "p": p, "gamma": gamma},
        initial={"theta": initial_threshold},
        sign="inhibitory",
    )
    unit_length = (3 / n_sensory) ** 0.5  # the mean square of a uniform number is a third of the largest squared
    return Circuit(
        "foldiak1990",
        [Population("S", n_sensory), cells],
        [
            Synapses("S", "E", weights=Uniform(0.0, unit_length), rule=Foldiak(eta=beta)),
            Synapses(
                "E",
                "E",
                weights=Constant(0.0),
                rule=LateralAntiHebbian(eta=alpha, p=p),
                transmits="w*y_pre",
                connectivity=AllToAll(self_connections=False),
            ),
        ],
    )
