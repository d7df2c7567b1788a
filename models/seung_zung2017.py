"""The correlation game with all-to-all inhibition: feature cells that inhibit each other directly.

References
----------
Seung HS, Zung J (2017) A correlation game for unsupervised learning yields computational interpretations of Hebbian
excitation, anti-Hebbian inhibition, and synapse elimination, arXiv:1704.00646.

Notes
-----
The feature cells excite nothing: all their synapses are the lateral ones, so under Dale's law they are one inhibitory
population, excited by S. The self-inhibition L_ii is the divisive gain. The equations follow the abstract and the later
papers of the first author; numbers are defaults.

Nothing keeps the learned inhibition positive definite, and its smallest eigenvalue ends a little below zero. Steady
states are then not unique, and exact methods do not find them: give the steady-state engine more gradient steps and a
tolerance that they reach, ``SteadyState(batch=100, learning_tolerance=0.01, tolerance=0.01, max_iterations=1000)``. The
additive rule of the lateral weights must be slow against their size, which falls with the number of cells.
"""

from __future__ import annotations

import math
from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.rules import Hebbian, LateralAntiHebbian
from neurocircuits.declare.steps import Cap
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Symmetric, Uniform

REFERENCE = "Seung and Zung (2017), arXiv:1704.00646"


def circuit(
    n_sensory: int = 64,
    n_excitatory: int = 64,
    p: float = 0.3,
    q: float = 1.0,
    gamma: float = 1.0,
    kappa: float = 0.003,
    eta_excitatory: Any = "0.02 Hz",
    eta_lateral: Any = "0.05 Hz",
    eta_gain: Any = "0.5 Hz",
    tau: Any = "5 ms",
    gain_floor: float = 5e-4,
    initial_gain: float = 1.0,
    largest_gain_step: float = 0.15,
    initial_excitatory: float = 0.6,
    initial_lateral: float = 0.05,
) -> Circuit:
    """Return the all-to-all circuit.

    Parameters
    ----------
    n_sensory, n_excitatory : int
        Numbers of units; the feature cells are called E as in the disynaptic circuit.
    p, q : float
        Targets: <r_i^2> tends to q^2, <r_i r_j> to p^2 at most.
    gamma, kappa : float
        Decay and competition of the synapses from S.
    eta_excitatory, eta_lateral, eta_gain : quantity
        Learning rates, 1/s.
    tau : quantity
        Time constant of the cells.
    gain_floor, initial_gain : float
        Lower bound and initial value of the self-inhibition L_ii.
    largest_gain_step : float
        Largest change of the logarithm of the gain in a presentation.
    initial_excitatory, initial_lateral : float
        Initial weights are uniform between 0 and these; lateral ones are symmetric.
    """
    cells = Population(
        "E",
        n_excitatory,
        equations="""
            dr/dt = (rectify(drive)/gain - r)/tau : 1
            gain = exp(log_gain) : 1
            dlog_gain/dt = eta*(r**2/q**2 - 1) : 1 (slow)
        """,
        parameters={"tau": tau, "eta": eta_gain, "q": q},
        initial={"log_gain": math.log(initial_gain)},
        bounds={"log_gain": (math.log(gain_floor), math.inf)},
        steps={"log_gain": Cap(largest_gain_step)},
        sign="inhibitory",
    )
    return Circuit(
        "seung_zung2017",
        [Population("S", n_sensory), cells],
        [
            Synapses(
                "S",
                "E",
                weights=Uniform(0.0, initial_excitatory),
                rule=Hebbian(eta=eta_excitatory, gamma=gamma, kappa=kappa),
            ),
            Synapses(
                "E",
                "E",
                weights=Symmetric(Uniform(0.0, initial_lateral)),
                rule=LateralAntiHebbian(eta=eta_lateral, p=p),
                connectivity=AllToAll(self_connections=False),
            ),
        ],
    )


def mnist(**settings: Any) -> Circuit:
    """Return the circuit for MNIST: 64 feature cells, p/q 0.3, kappa/gamma 0.003; ``settings`` override."""
    defaults = {"initial_excitatory": 0.2, "initial_lateral": 0.02, "eta_lateral": "0.02 Hz"}
    return circuit(**{"n_sensory": 784, **defaults, **settings})
