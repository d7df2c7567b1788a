"""Disynaptic recurrent inhibition: excitatory cells that inhibit each other only through a few inhibitory cells.

References
----------
Seung HS (2018) Unsupervised learning by a nonlinear network with Hebbian excitatory and anti-Hebbian inhibitory
neurons, arXiv:1812.11581. Yang R, Luther K, Seung HS (2020) Unsupervised feature discovery by neural networks with
disynaptic recurrent inhibition (slides).

Notes
-----
Activity, plasticity of W (S to E) and A (E to I, tied to I to E) are printed in the slides; the update of the gain
Lambda follows from the game that the network plays. What departs from the source: the gain is learned in its
scale-free form by default (same fixed point, always positive), it has a floor, and its change in a presentation is
capped. Numerical settings of the source could not be found: every number here is a default.
"""

from __future__ import annotations

import math
from typing import Any

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.rules import AntiHebbian, Hebbian
from neurocircuits.declare.steps import Cap
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Tied, Uniform
from neurocircuits.errors import ValidationError

REFERENCE = "Seung (2018), arXiv:1812.11581"

_SCALE_FREE = """
    dr/dt = (rectify(drive)/gain - r)/tau : 1
    gain = exp(log_gain) : 1
    dlog_gain/dt = eta*(r**2/q**2 - 1) : 1 (slow)
"""
_ADDITIVE = """
    dr/dt = (rectify(drive)/gain - r)/tau : 1
    dgain/dt = eta*(r**2 - q**2) : 1 (slow)
"""


def circuit(
    n_sensory: int = 64,
    n_excitatory: int = 64,
    n_inhibitory: int = 16,
    p: float = 0.3,
    q: float = 1.0,
    gamma: float = 1.0,
    kappa: float = 0.003,
    eta_excitatory: Any = "0.02 Hz",
    eta_inhibitory: Any = "0.05 Hz",
    eta_gain: Any = "0.5 Hz",
    tau: Any = "5 ms",
    gain: str = "scale-free",
    gain_floor: float = 5e-4,
    initial_gain: float = 1.0,
    largest_gain_step: float = 0.15,
    initial_excitatory: float = 0.6,
    initial_inhibitory: float = 0.1,
    back: str | Rule | None = "tied",
) -> Circuit:
    """Return the disynaptic circuit.

    Parameters
    ----------
    n_sensory, n_excitatory, n_inhibitory : int
        Numbers of units; 0 inhibitory units leave the loop out.
    p, q : float
        Targets of the anti-Hebbian rule: <r_i^2> tends to q^2, <r_i r_j> to p^2 at most.
    gamma, kappa : float
        Decay and competition of the synapses from S to E; kappa/gamma sets how many survive.
    eta_excitatory, eta_inhibitory, eta_gain : quantity
        Learning rates of W, A and the gain, 1/s; with presentations of 100 ms a tenth of it per presentation.
    tau : quantity
        Time constant of the cells.
    gain : {"scale-free", "additive"}
        Whether the logarithm of the gain or the gain itself follows r^2 - q^2.
    gain_floor, initial_gain : float
        Lower bound and initial value of the divisive gain Lambda.
    largest_gain_step : float
        Largest change of the logarithm of the gain in a presentation (scale-free form).
    initial_excitatory, initial_inhibitory : float
        Initial weights are uniform between 0 and these.
    back : {"tied", "local"}, Rule or None
        How synapses from I to E learn: as the transposes of those from E to I; from other initial weights by the same
        rule, which is local to both; by another rule; or not at all.

    Raises
    ------
    ValidationError
        If a value is not allowed.

    Notes
    -----
    Stimuli should be scaled by one constant so that the mean of |u|^2 is 1 (then gamma = q = 1 fit).
    """
    if gain not in ("scale-free", "additive"):
        raise ValidationError(f"seung2018.circuit: gain {gain!r} is not 'scale-free' or 'additive'.")
    if isinstance(back, str) and back not in ("tied", "local"):
        raise ValidationError(f"seung2018.circuit: back {back!r} is not 'tied', 'local', a rule or None.")
    if not 0 < gain_floor <= initial_gain:
        raise ValidationError(
            f"seung2018.circuit: gain_floor {gain_floor!r} and initial_gain {initial_gain!r}; 0 < floor <= initial "
            "is needed."
        )
    scale_free = gain == "scale-free"
    slow = "log_gain" if scale_free else "gain"
    form = math.log if scale_free else float
    populations = [
        Population("S", n_sensory),
        Population(
            "E",
            n_excitatory,
            equations=_SCALE_FREE if scale_free else _ADDITIVE,
            parameters={"tau": tau, "eta": eta_gain, "q": q},
            initial={slow: form(initial_gain)},
            bounds={slow: (form(gain_floor), math.inf)},
            steps={slow: Cap(largest_gain_step)} if scale_free else {},
        ),
    ]
    synapses = [
        Synapses(
            "S",
            "E",
            weights=Uniform(0.0, initial_excitatory),
            rule=Hebbian(eta=eta_excitatory, gamma=gamma, kappa=kappa),
        ),
    ]
    if n_inhibitory:
        populations.append(
            Population(
                "I", n_inhibitory, equations="dr/dt = (drive - r)/tau : 1", parameters={"tau": tau}, sign="inhibitory"
            )
        )
        local = AntiHebbian(eta=eta_inhibitory, p=p, q=q, diverging=True)
        rule = back if isinstance(back, Rule) else local if back == "local" else None
        initial = Uniform(0.0, initial_inhibitory)
        synapses += [
            Synapses("E", "I", weights=initial, rule=AntiHebbian(eta=eta_inhibitory, p=p, q=q)),
            Synapses("I", "E", weights=Tied("E_to_I") if back == "tied" else initial, rule=rule),
        ]
    return Circuit("seung2018", populations, synapses)


def bars(**settings: Any) -> Circuit:
    """Return the circuit for 8 x 8 bars: 16 E, 8 I, p/q 0.35, kappa/gamma 0.03; ``settings`` override."""
    defaults: dict[str, Any] = {
        "n_sensory": 64, "n_excitatory": 16, "n_inhibitory": 8, "p": 0.35, "kappa": 0.03,
        "eta_excitatory": "0.05 Hz", "eta_inhibitory": "0.1 Hz",
    }  # fmt: skip
    return circuit(**{**defaults, **settings})


def mnist(**settings: Any) -> Circuit:
    """Return the circuit for MNIST: 64 E, 16 I, p/q 0.3, kappa/gamma 0.003; ``settings`` override."""
    return circuit(**{"n_sensory": 784, "initial_excitatory": 0.2, **settings})
