"""The canonical microcircuit as rates: two populations of pyramidal cells, smooth cells, and a weak thalamic input.

References
----------
Douglas RJ, Martin KAC, Whitteridge D (1989) A canonical microcircuit for neocortex, Neural Comput. 1:480-488,
doi:10.1162/neco.1989.1.4.480.

Notes
-----
From the source are the three populations - superficial pyramidal cells S (layers 2 to 4), deep pyramidal cells D
(layers 5 and 6), smooth inhibitory cells I -, that all three receive thalamic input and are coupled to each other, and
what is to be explained: most excitation of a cell comes from the cortex, a pulse to the thalamic afferents gives every
cell excitation and then inhibition, and that inhibition lasts 100 to 200 ms. The source's equations and constants were
not available. The equations here, tau r' = -r + [drive]_+ with a slow inhibition tau_slow b' = -b + r_I of S and D
beside the fast one, and every number are defaults of this package. Rates are plain numbers in Hz.

Excitation alone is unstable (w_EE = 3 in sum), so all activity rests on inhibition; the eigenvalues are -19, -68, -100
and -123 per second, and from about ``recurrence=1.09`` on the circuit oscillates. At rest 86 % of the excitation of S
and D comes from S and D. With S and D alike and taken together, and no thalamic input of I,
r_E = (1 + w_II) T/((1 - w_EE)(1 + w_II) + w_EI w_IE).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.record import Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant
from neurocircuits.errors import ValidationError, listed
from neurocircuits.units import seconds

REFERENCE = "Douglas, Martin and Whitteridge (1989), doi:10.1162/neco.1989.1.4.480"

POPULATIONS = ("S", "D", "I")
WEIGHTS: dict[str, float] = {
    "S_to_S": 1.5, "D_to_S": 1.5, "S_to_D": 1.5, "D_to_D": 1.5, "S_to_I": 1.5, "D_to_I": 1.5,
    "I_to_S": 1.5, "I_to_D": 1.5, "I_to_I": 1.0, "slow_to_S": 0.1, "slow_to_D": 0.1,
    "T_to_S": 0.5, "T_to_D": 0.5, "T_to_I": 0.125,
}  # fmt: skip
"""Magnitudes, Hz per Hz; ``slow`` is the slow inhibition by I. All defaults, not from the source."""

_PYRAMIDAL = "dr/dt = (-r + rectify(drive))/tau : 1"
_SMOOTH = _PYRAMIDAL + "\ndb/dt = (r - b)/tau_slow : 1"


def circuit(
    weights: Mapping[str, float] | None = None,
    recurrence: float = 1.0,
    inhibition: float = 1.0,
    tau_pyramidal: Any = "10 ms",
    tau_smooth: Any = "5 ms",
    tau_slow: Any = "100 ms",
) -> Circuit:
    """Return the microcircuit; the source of thalamic rates is called T.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Weights that replace those of `WEIGHTS`.
    recurrence : float
        Factor of the weights between S and D.
    inhibition : float
        Factor of all weights of I, slow ones included; 0 takes inhibition away.
    tau_pyramidal, tau_smooth, tau_slow : quantity
        Time constants of S and D, of I, and of the slow inhibition.

    Raises
    ------
    ValidationError
        If there is no such weight.
    """
    values = _weights(weights, recurrence, inhibition)
    cells = [
        Population("T", 1),
        Population("S", 1, _PYRAMIDAL, parameters={"tau": tau_pyramidal}),
        Population("D", 1, _PYRAMIDAL, parameters={"tau": tau_pyramidal}),
        Population("I", 1, _SMOOTH, parameters={"tau": tau_smooth, "tau_slow": tau_slow}, sign="inhibitory"),
    ]
    synapses = []
    for name, value in values.items():
        pre, _, post = name.partition("_to_")
        slow: dict[str, Any] = {"name": name, "transmits": "w*b_pre"} if pre == "slow" else {}
        synapses.append(Synapses("I" if pre == "slow" else pre, post, weights=Constant(value), **slow))
    return Circuit("douglas1989", cells, synapses)


def matrices(
    weights: Mapping[str, float] | None = None, recurrence: float = 1.0, inhibition: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the signed weights between S, D and I, (3, 3), post x pre, those of slow inhibition, (3,), and of T, (3,).

    At rest r = (1 - W - B)^-1 T u, where B has the slow weights, negative, in its last column. Parameters and errors
    are those of `circuit`.
    """
    values = _weights(weights, recurrence, inhibition)
    W = np.array([[values[f"{pre}_to_{post}"] for pre in POPULATIONS] for post in POPULATIONS])
    W[:, 2] *= -1
    slow, thalamic = (np.array([values.get(f"{p}_to_{post}", 0.0) for post in POPULATIONS]) for p in ("slow", "T"))
    return W, slow, thalamic


def pulse(
    baseline: float = 10.0,
    height: float = 500.0,
    duration: Any = "2 ms",
    before: Any = "50 ms",
    after: Any = "448 ms",
    interval: Any = "1 ms",
) -> Protocol:
    """Return a protocol that lets the circuit settle for 1 s and then gives a pulse to the thalamic afferents.

    Parameters
    ----------
    baseline : float
        Thalamic rate all the time, Hz; it gives the cells a rate from which inhibition can take something.
    height : float
        Thalamic rate during the pulse in addition, Hz.
    duration, before, after : quantity
        Of the pulse, and of what is recorded before and after it.
    interval : quantity
        Interval of the recording.
    """
    times = [seconds(value, "douglas1989.pulse") for value in (before, duration, after)]
    shown = Patterns(np.array([[baseline], [baseline + height], [baseline]]), duration=np.array(times))
    recorded = Record("r", "drive", interval=interval)
    return Protocol(
        [
            Phase("rest", {"T": Patterns(np.array([[baseline]]), duration=1.0)}),
            Phase("pulse", {"T": shown}, record=recorded),
        ],
        name="pulse",
    )


def _weights(given: Mapping[str, float] | None, recurrence: float, inhibition: float) -> dict[str, float]:
    if unknown := [name for name in given or {} if name not in WEIGHTS]:
        raise ValidationError(f"douglas1989.circuit: no weight {unknown[0]!r}. Allowed: {listed(WEIGHTS)}.")
    values = {name: float(value) for name, value in {**WEIGHTS, **(given or {})}.items()}
    for name in values:
        pre, _, post = name.partition("_to_")
        if pre in ("I", "slow"):
            values[name] *= inhibition
        elif pre in ("S", "D") and post in ("S", "D"):
            values[name] *= recurrence
    return values
