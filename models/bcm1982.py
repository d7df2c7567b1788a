"""Cells that learn to be selective by themselves: a threshold that slides with the mean rate, and no inhibition.

References
----------
Bienenstock EL, Cooper LN, Munro PW (1982) Theory for the development of neuron selectivity: orientation specificity and
binocular interaction in visual cortex, J. Neurosci. 2:32-48, doi:10.1523/JNEUROSCI.02-01-00032.1982.

Notes
-----
A cell's rate is c = sum m d; here it is rectified. Synapses change by phi(c, theta) d - epsilon m, with theta =
(mean/c0)^power mean, where the mean of c over patterns is the slow variable of the cell. Of phi the source asks only
where it changes sign; here it is c (c - theta)/theta. So that cells that rarely respond do not leap, the mean that the
threshold is computed from is 0.3 c0 at least. Synapses are ideal ones, which may be of either sign, so the circuit
declares ``dale="unconstrained"``. All numbers are defaults of this package.

Cells do not know of each other. Among N independent patterns that are shown equally often each cell comes to answer to
one alone, at the rate ``c0 * N**((power + 1)/power)``, and nothing keeps two cells from choosing the same.
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import BCM
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Normal, Weights
from neurocircuits.errors import ValidationError

REFERENCE = "Bienenstock, Cooper and Munro (1982), doi:10.1523/JNEUROSCI.02-01-00032.1982"

_EQUATIONS = """
    dr/dt = (rectify(drive) - r)/tau : 1
    theta = mean*(mean/c0)**power : 1
    dmean/dt = eta*(r - mean) : 1 (slow)
"""


def circuit(
    n_sensory: int = 784,
    n_cells: int = 100,
    power: float = 2.0,
    c0: float = 1.0,
    epsilon: float = 0.0,
    eta: Any = "2 Hz",
    eta_mean: Any = "2 Hz",
    tau: Any = "5 ms",
    initial: Weights | None = None,
) -> Circuit:
    """Return cells with a sliding threshold and without lateral inhibition.

    Parameters
    ----------
    n_sensory, n_cells : int
        Numbers of units.
    power : float
        How much faster than the mean rate the threshold rises, positive.
    c0 : float
        Mean rate at which threshold and mean are equal.
    epsilon : float
        Decay of weights, in units of ``eta``.
    eta, eta_mean : quantity
        Learning rates of the weights and of the mean, 1/s; with presentations of 100 ms a tenth of it per presentation.
    tau : quantity
        Time constant of the cells.
    initial : Weights, optional
        Initial weights; standard normal unless given.

    Raises
    ------
    ValidationError
        If ``power`` or ``c0`` is not positive.

    Notes
    -----
    Stimuli should be scaled by one constant so that the mean of |u|^2 is 1.
    """
    if not power > 0 or not c0 > 0:
        raise ValidationError(
            f"bcm1982.circuit: power = {power!r} and c0 = {c0!r} must be positive, or the threshold does not "
            "outrun the rates."
        )
    cells = Population(
        "E",
        n_cells,
        equations=_EQUATIONS,
        parameters={"tau": tau, "c0": c0, "power": power, "eta": eta_mean},
        initial={"mean": c0},
        bounds={"mean": (0.3 * c0, float("inf"))},
    )
    weights = Normal(0.0, 1.0) if initial is None else initial
    synapses = Synapses("S", "E", weights=weights, rule=BCM(eta, epsilon))
    return Circuit("bcm1982", [Population("S", n_sensory), cells], [synapses], dale="unconstrained")
