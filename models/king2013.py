"""E-I Net: spiking cells learn sparse codes while a few inhibitory ones decorrelate them.

References
----------
King PD, Zylberberg J, DeWeese MR (2013) Inhibitory interneurons decorrelate excitatory cells to drive sparse code
formation in a spiking model of V1, J. Neurosci. 33:5475-5485, doi:10.1523/JNEUROSCI.4188-12.2013. Numbers are those of
the authors' program, github.com/paulking/ei_net.

Notes
-----
One of the program's iterations is a time step of 1 ms here (a tenth of its time unit), so run with ``Brian2(dt="1
ms", method="euler")``. In each, u <- exp(-1/10) u + 0.1 W x - W_EI s for E cells and u <- exp(-1/5) u + W_IE s - W_II
s for I cells, where s are the spikes of the step before: they add to a variable that lasts for one step. A sample is
shown for 50 ms and starts with u = 0 (`RESTARTED`), a hundred of them at once (``batch=100``), which share their
weights.

Rates r are exponential averages of spikes over 10 ms, per iteration, and start at 0 with each sample; thresholds
follow an average of their own that goes on. The program changes weights after a hundred samples by the sum over
samples and iterations; here they change by the mean over samples while these are shown, at the engine's learning step
(5 ms samples r well). ``model_rate`` multiplies the rates of the program's blocks (input to E 0.2, E to I and I to E
0.7, I to I 1.5, thresholds 1). The slow mean of a rate is over 5000 iterations of all samples together, which are 50
ms of a hundred.

What the program calls the correlation of cells is the root mean square over pairs within a hundred samples, averaged
over hundreds. Of independent cells it is 0.1, since that is the error of a correlation of a hundred samples. Pixels
and the weights from them are of either sign, so the circuit is ``dale="unconstrained"``; all other weights have the
bounds (0, inf), and equations subtract what I cells send.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import AllToAll
from neurocircuits.declare.population import Population
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.rules import CorrelationMeasuring
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Given
from neurocircuits.errors import ValidationError
from neurocircuits.randomness import Streams

REFERENCE = "King, Zylberberg and DeWeese (2013), doi:10.1523/JNEUROSCI.4188-12.2013"

SAMPLE = "50 ms"
RESTARTED = ("E.u", "I.u", "E.g", "I.g", "I.h", "E.n", "I.n", "E.r", "I.r")
LEARNERS = ("X_to_E", "E_to_I", "I_to_E", "I_to_I", "E", "I")
BLOCKS = {"X_to_E": 0.2, "E_to_I": 0.7, "I_to_E": 0.7, "I_to_I": 1.5}

_STEP, _BATCH, _UNIT = 1e-3, 100, 10  # seconds and copies of an iteration, iterations of a time unit
_FORGET = 1 - math.exp(-1 / 10)  # of an average over ten iterations
_CELL = """
    dr/dt = -forget*r : 1
    dlasting/dt = forget*(tiny - lasting) : 1
    dn/dt = 0*Hz : 1
    dtheta/dt = eta_theta*({unit}*lasting - target) : 1 (slow)
    dmean/dt = (r - mean)/tau_mean : 1 (slow)
    """
_E = """
    du/dt = -leak*u + (0.1*drive - g)/step : 1
    dg/dt = -g/step : 1 (input)
    """
_I = """
    du/dt = -leak*u + (g - h)/step : 1
    dg/dt = -g/step : 1 (input)
    dh/dt = -h/step : 1 (input)
    """


def circuit(
    n_excitatory: int = 400,
    n_inhibitory: int = 49,
    n_pixels: int = 100,
    model_rate: float = 0.4,
    targets: tuple[float, float] = (0.02, 0.04),
    inhibition: float = 1.0,
    tau_mean: Any = "50 ms",
    rng: Any = 0,
) -> Circuit:
    """Return E-I Net.

    Parameters
    ----------
    n_excitatory, n_inhibitory, n_pixels : int
        Numbers of units.
    model_rate : float
        Overall learning rate of the program; scale it in a phase by ``plasticity=slower(0.25)``.
    targets : (float, float)
        Target rates of E and I cells, spikes per time unit of 10 ms.
    inhibition : float
        Factor of what I cells send to E cells (the program's weight multiplier).
    tau_mean : quantity
        Time constant of the slow mean of rates.
    rng : int or Generator
        Where initial weights are drawn from: rows of unit length, of either sign from pixels, positive from E to I;
        others are 0.

    Raises
    ------
    ValidationError
        If a rate is not allowed.
    """
    if not (model_rate > 0 and all(target > 0 for target in targets) and inhibition >= 0):
        raise ValidationError(
            f"king2013.circuit: model_rate {model_rate!r} and targets {targets!r} must be positive, inhibition "
            f"{inhibition!r} 0 or more."
        )
    generator = rng if isinstance(rng, np.random.Generator) else Streams(rng).generator("king2013")
    from_pixels = generator.uniform(-1, 1, (n_excitatory, n_pixels))
    to_inhibitory = generator.uniform(0, 1, (n_inhibitory, n_excitatory))
    rates = {name: f"{_per_second(0.1 * model_rate * block)!r} Hz" for name, block in BLOCKS.items()}
    # the program's input of a rule is 0.02 of a pixel
    oja = Rule(
        "eta*r_post*(0.02*r_pre - r_post*w)", {"eta": rates["X_to_E"]}, source="King et al. (2013), after Oja (1982)"
    )
    positive: dict[str, Any] = {"bounds": (0.0, math.inf)}
    return Circuit(
        "king2013",
        [
            Population("X", n_pixels),
            _cells("E", n_excitatory, 1.0, targets[0], model_rate, tau_mean),
            _cells("I", n_inhibitory, 0.5, targets[1], model_rate, tau_mean),
        ],
        [
            Synapses("X", "E", weights=Given(_unit_rows(from_pixels)), rule=oja),
            Synapses(
                "E", "I", input="g", weights=Given(_unit_rows(to_inhibitory)),
                rule=CorrelationMeasuring(rates["E_to_I"]), **positive,
            ),
            Synapses(
                "I", "E", input="g", weights=0.0, transmits=f"{float(inhibition)!r}*w",
                rule=CorrelationMeasuring(rates["I_to_E"]), **positive,
            ),
            Synapses(
                "I", "I", input="h", weights=0.0, connectivity=AllToAll(self_connections=False),
                rule=CorrelationMeasuring(rates["I_to_I"]), **positive,
            ),
        ],
        dale="unconstrained",
    )  # fmt: skip


def slower(factor: float) -> Mapping[str, float]:
    """Return the plasticity of a phase that learns at a fraction of the model rate."""
    return dict.fromkeys(LEARNERS, float(factor))


def _per_second(rate: float) -> float:
    """Return the rate of a drift whose step of 1 ms is what the program sums over a batch in one iteration."""
    return rate * _BATCH / _STEP


def _cells(name: str, n_units: int, tau: float, target: float, model_rate: float, tau_mean: Any) -> Population:
    """Return cells with a time constant in time units."""
    threshold_rate = 0.01 * model_rate * _BATCH / _UNIT / _STEP  # a batch lasts for 500 time units in the program
    return Population(
        name,
        n_units,
        (_E if name == "E" else _I) + _CELL.format(unit=_UNIT),
        sign="excitatory" if name == "E" else "inhibitory",
        parameters={
            "step": f"{_STEP!r} second",
            "leak": f"{(1 - math.exp(-1 / (_UNIT * tau))) / _STEP!r} Hz",
            "forget": f"{_FORGET / _STEP!r} Hz",
            "eta_theta": f"{threshold_rate!r} Hz",
            "target": target,
            "tiny": 1e-12,  # numbers of 32 bits get slow when they decay below 1e-38
            "tau_mean": tau_mean,
        },
        initial={"theta": 2.0, "mean": target / _UNIT},
        threshold="u >= theta",
        reset=f"u = 0\nn += 1\nr += {_FORGET!r}\nlasting += {_FORGET!r}",
    )


def _unit_rows(weights: np.ndarray) -> np.ndarray:
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)
