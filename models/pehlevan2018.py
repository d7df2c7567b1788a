"""Similarity matching: linear cells that learn the principal subspace of their input, inhibiting each other directly.

References
----------
Pehlevan C, Sengupta AM, Chklovskii DB (2018) Why do similarity matching objectives lead to Hebbian/anti-Hebbian
networks?, Neural Comput. 30:84-124, doi:10.1162/neco_a_01018 ("online"). Luther K, Yang R, Seung HS (2019) Unsupervised
learning by a "softened" correlation game: duality and convergence, 53rd Asilomar Conf., 876-883,
doi:10.1109/IEEECONF44664.2019.9048957, and public notebooks of R. Yang ("offline").

Notes
-----
The rates at rest are r = M^-1 W u. W and M learn the mean products of what their synapses connect; the diagonal of M is
the divisive gain of a cell. What M^-1 W comes to has orthonormal rows, which span the leading eigenvectors of the input
covariance; the eigenvalues of M are the leading ones. Both sources have the same fixed points; they differ in the
rates, and in whether one pattern or all of them make a step.

The weights are signed, so the circuit declares ``dale="unconstrained"``. The time constant is a default, and so are
random initial weights where the sources take the first inputs (online) or M of random products (offline).
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Hebbian
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Normal
from neurocircuits.errors import ValidationError

REFERENCE = "Pehlevan, Sengupta and Chklovskii (2018), doi:10.1162/neco_a_01018"


def circuit(
    n_sensory: int = 64,
    n_cells: int = 16,
    eta: Any = "20 Hz",
    eta_lateral: Any = "20 Hz",
    tau: Any = "5 ms",
    initial: float = 0.01,
) -> Circuit:
    """Return the circuit.

    Parameters
    ----------
    n_sensory, n_cells : int
        Numbers of units; the cells are called E as in other circuits.
    eta, eta_lateral : quantity
        Learning rates of W and of M, 1/s. Online both are 2 eta_t with eta_t = 1/(t + 5) for pattern t: with patterns
        of 100 ms and these defaults ``plasticity`` is scaled by ``Inverse(1/5, n/5)`` in a phase of n patterns.
    tau : quantity
        Time constant of the cells.
    initial : float
        M is a diagonal of this at first, and the rows of W have this length on average.

    Raises
    ------
    ValidationError
        If ``initial`` is not positive.

    Notes
    -----
    Inputs should be scaled so that their mean length is about 1.
    """
    if not initial > 0:
        raise ValidationError(f"pehlevan2018.circuit: initial = {initial!r} is not positive, so nothing is at rest.")
    cells = Population(
        "E",
        n_cells,
        equations="""
            dr/dt = (drive - gain*r)/tau : 1
            dgain/dt = eta*(r**2 - gain) : 1 (slow)
        """,
        parameters={"tau": tau, "eta": eta_lateral},
        initial={"gain": initial},
        sign="inhibitory",
    )
    return Circuit(
        "pehlevan2018",
        [Population("S", n_sensory), cells],
        [
            Synapses("S", "E", weights=Normal(0.0, initial * n_sensory**-0.5), rule=Hebbian(eta=eta)),
            Synapses(
                "E",
                "E",
                weights=Constant(0.0),
                rule=Hebbian(eta=eta_lateral),
                transmits="-w*r_pre",
                connectivity=AllToAll(self_connections=False),
            ),
        ],
        dale="unconstrained",
    )


def offline(ratio: float = 0.5, eta: float = 0.01, **settings: Any) -> Circuit:
    """Return the circuit for steps on all patterns at once: ten cells for 16 x 16 pixels; ``settings`` override.

    Parameters
    ----------
    ratio : float
        Of the learning rates, eta_W/eta_M; positive.
    eta : float
        eta_W, the part of the way that W goes in a step; M goes ``eta/(2*ratio)``. A presentation lasts 100 ms.
    settings
        Of `circuit`.

    Raises
    ------
    ValidationError
        If ``ratio`` is not positive.
    """
    if not ratio > 0:
        raise ValidationError(f"pehlevan2018.offline: ratio = {ratio!r} is not positive.")
    rates = {"eta": f"{10 * eta!r} Hz", "eta_lateral": f"{10 * eta / (2 * ratio)!r} Hz"}
    return circuit(**{"n_sensory": 256, "n_cells": 10, **rates, **settings})
