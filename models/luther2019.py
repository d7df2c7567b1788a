"""The softened correlation game: rectified cells that inhibit each other match the similarities of their inputs.

References
----------
Luther K, Yang R, Seung HS (2019) Unsupervised learning by a "softened" correlation game: duality and convergence, 53rd
Asilomar Conf., 876-883, doi:10.1109/IEEECONF44664.2019.9048957, and public notebooks of R. Yang.

Notes
-----
The game of `seung_zung2017` bounds correlations of cells; here they have a price, the strictly convex Psi(M) = |M|^2/2,
and excitation has Phi(W) = |W|^2/2, so that the rules of both are the same, Hebbian with decay. Rates that play it well
raise |X U'/T|^2/2 - |X X'/T|^2/4, which is to match the products of rates of two stimuli to those of their inputs
(`neurocircuits.analysis.games.similarity_value`). With rates of either sign the same game is
`pehlevan2018.circuit`, which learns the principal subspace; here rates, weights and inputs are not negative.

The cells excite nothing: all their synapses are the lateral ones, so under Dale's law they are one inhibitory
population, excited by S. The diagonal of M is the divisive gain of a cell. The time constant and the initial weights
are defaults.
"""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Hebbian
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Uniform
from neurocircuits.errors import ValidationError
from neurocircuits.units import Quantity, quantity

REFERENCE = "Luther, Yang and Seung (2019), doi:10.1109/IEEECONF44664.2019.9048957"


def circuit(
    n_sensory: int = 64,
    n_cells: int = 10,
    ratio: float = 0.5,
    eta: Any = "0.5 Hz",
    tau: Any = "5 ms",
    initial: float = 0.1,
) -> Circuit:
    """Return the circuit.

    Parameters
    ----------
    n_sensory, n_cells : int
        Numbers of units; the cells are called E as in other circuits.
    ratio : float
        Of the learning rates, eta_W/eta_M; learning may fail where it is large.
    eta : quantity
        eta_W, 1/s; M learns at ``eta/(2*ratio)``, as in the notebooks, whose 0.05 is "0.5 Hz" with patterns of 100 ms.
    tau : quantity
        Time constant of the cells.
    initial : float
        Weights from S are uniform between 0 and this at first, M is a diagonal of this.

    Raises
    ------
    ValidationError
        If ``ratio`` or ``initial`` is not positive.
    """
    if not ratio > 0 or not initial > 0:
        raise ValidationError(f"luther2019.circuit: ratio = {ratio!r} and initial = {initial!r} must be positive.")
    lateral = quantity(eta, "luther2019.circuit: eta")
    lateral = Quantity(lateral.value / (2 * ratio), lateral.dimension)
    cells = Population(
        "E",
        n_cells,
        equations="""
            dr/dt = (rectify(drive)/gain - r)/tau : 1
            dgain/dt = eta*(r**2 - gain) : 1 (slow)
        """,
        parameters={"tau": tau, "eta": lateral},
        initial={"gain": initial},
        sign="inhibitory",
    )
    return Circuit(
        "luther2019",
        [Population("S", n_sensory), cells],
        [
            Synapses("S", "E", weights=Uniform(0.0, initial), rule=Hebbian(eta=eta)),
            Synapses(
                "E",
                "E",
                weights=Constant(0.0),
                rule=Hebbian(eta=lateral),
                connectivity=AllToAll(self_connections=False),
            ),
        ],
    )
