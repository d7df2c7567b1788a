"""Whitening by interneurons: linear cells whose inhibition, through others, equalises the variances that they keep.

References
----------
Pehlevan C, Chklovskii DB (2015) A normative theory of adaptive dimensionality reduction in neural networks, NIPS
28:2269-2277, arXiv:1511.09426, its third objective (equalised thresholded eigenvalues).

Notes
-----
Cells Y receive the input and the inhibition of interneurons Z, which receive Y alone. Each pathway learns the mean
product of what its ends do, over a number of presentations that each cell counts: rates are one over alpha or beta
times that number. Of the eigenvalues of the input covariance those above alpha are kept. Along these the variance of Y
is beta, that of Z the eigenvalue less alpha, and weights from Z to Y are beta/alpha times the transpose of those back.

The objective is as recalled, and what it leads to was derived again. The weights are signed, so the circuit declares
``dale="unconstrained"``. Defaults: at first each cell of Y has an interneuron of its own, since weights there and back
that do not match make the loop unstable; weights from S are random; the count that presentations are added to; the time
constant. A presentation of 100 ms counts as one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Hebbian
from neurocircuits.declare.steps import PerUnit
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Given, Normal
from neurocircuits.errors import ValidationError

REFERENCE = "Pehlevan and Chklovskii (2015), arXiv:1511.09426"

_EQUATIONS = """
    dr/dt = (drive - r)/tau : 1
    dseen/dt = eta*threshold : 1 (slow)
"""


def circuit(
    n_sensory: int = 10,
    n_principal: int = 6,
    n_interneurons: int = 6,
    alpha: float = 1.0,
    beta: float = 1.0,
    eta: Any = "10 Hz",
    seen: float = 10.0,
    tau: Any = "5 ms",
) -> Circuit:
    """Return the circuit.

    Parameters
    ----------
    n_sensory, n_principal, n_interneurons : int
        Numbers of units; of interneurons at least as many as modes are to be kept.
    alpha : float
        Threshold of eigenvalues of the input covariance, positive.
    beta : float
        Variance of the modes that are kept, positive.
    eta : quantity
        How fast presentations are counted, 1/s.
    seen : float
        The number of presentations that the initial weights count for.
    tau : quantity
        Time constant of the cells.

    Raises
    ------
    ValidationError
        If ``alpha``, ``beta`` or ``seen`` is not positive.

    Notes
    -----
    Inputs have mean 0.
    """
    if not (alpha > 0 and beta > 0 and seen > 0):
        raise ValidationError(
            f"pehlevan2015.circuit: alpha = {alpha!r}, beta = {beta!r} and seen = {seen!r} must be positive."
        )

    def cells(name: str, n_units: int, threshold: float, sign: str) -> Population:
        parameters = {"tau": tau, "eta": eta, "threshold": threshold}
        return Population(name, n_units, _EQUATIONS, sign, parameters, initial={"seen": seen * threshold})

    def learned(gamma: float) -> Any:
        return Hebbian(eta=eta, gamma=gamma, step=PerUnit("seen"))

    own = np.eye(n_interneurons, n_principal)
    return Circuit(
        "pehlevan2015",
        [
            Population("S", n_sensory),
            cells("Y", n_principal, alpha, "excitatory"),
            cells("Z", n_interneurons, beta, "inhibitory"),
        ],
        [
            Synapses("S", "Y", weights=Normal(0.0, n_sensory**-0.5), rule=learned(alpha)),
            Synapses("Z", "Y", weights=Given(beta / alpha * own.T), rule=learned(alpha), transmits="-w*r_pre"),
            Synapses("Y", "Z", weights=Given(own), rule=learned(beta)),
        ],
        dale="unconstrained",
    )
