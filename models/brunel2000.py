"""A sparse random network of excitatory and inhibitory integrate-and-fire cells, driven by Poisson spikes.

References
----------
Brunel N (2000) Dynamics of sparsely connected networks of excitatory and inhibitory spiking neurons, J. Comput.
Neurosci. 8:183-208, doi:10.1023/A:1008925309027. Numbers as in Brian 2's example of its figure 8.

Notes
-----
tau v' = -v between spikes; after the delay an excitatory spike adds J to v and an inhibitory one takes g J away. A cell
has C excitatory, gamma C inhibitory and C external synapses. External spikes are Poisson and independent for each cell;
``nu_ext_ratio`` is the rate of an external afferent over theta/(J C tau), which takes the mean input to threshold.
What arrives while a cell is refractory is lost.

External spikes are drawn as their number in each time step, for each cell.

Rates of the asynchronous state are those of `predicted_rate`. Where the network synchronises (panels A, B and D of
`PANELS`), they differ: figure 8 has 60.7 Hz for B and 5.5 Hz for D, and this network 61 and 5.4 Hz, where mean field
has 55.8 and 6.5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurocircuits.analysis.mean_field import LeakyCell, network_rates
from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import FixedInDegree
from neurocircuits.declare.population import Population
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Uniform
from neurocircuits.errors import UnitError, ValidationError, listed
from neurocircuits.units import quantity, seconds, unit_text

REFERENCE = "Brunel (2000), doi:10.1023/A:1008925309027"
PANELS = {"A": (3.0, 2.0), "B": (6.0, 4.0), "C": (5.0, 2.0), "D": (4.5, 0.9)}
"""g and nu_ext_ratio of the states of figure 8: synchronous regular, fast synchronous irregular, asynchronous
irregular, slow synchronous irregular."""

_VOLTAGE = {
    "poisson": "dv/dt = -v/tau + J*count/dt : volt (unless refractory, input)",
    "diffusion": "dv/dt = (mu - v)/tau + sigma*xi/sqrt(tau) : volt (unless refractory, input)",
}

_RATE = "dr/dt = (lif_rate(mean, sqrt(variance), tau, theta, v_reset, t_ref) - r)/tau : Hz\n"
_TRANSFER = {
    "poisson": _RATE
    + """
        mean = tau*(v_drive + J*nu) : volt
        variance = tau*(v_drive_variance + J**2*nu) : volt**2
    """,
    "diffusion": _RATE
    + """
        mean = mu + tau*v_drive : volt
        variance = sigma**2 + tau*v_drive_variance : volt**2
    """,
}


def circuit(
    g: float = 5.0,
    nu_ext_ratio: float = 2.0,
    n_excitatory: int = 10000,
    n_synapses: int = 1000,
    gamma: float = 0.25,
    J: Any = "0.1 mV",
    delay: Any = "1.5 ms",
    tau: Any = "20 ms",
    threshold: Any = "20 mV",
    reset: Any = "10 mV",
    refractory: Any = "2 ms",
    external: str = "poisson",
    v_start: Any = None,
) -> Circuit:
    """Return the network, populations E and I of equal cells.

    Parameters
    ----------
    g : float
        Strength of inhibitory synapses relative to excitatory ones.
    nu_ext_ratio : float
        Rate of each external afferent, in units of the one that takes the mean input to threshold.
    n_excitatory : int
        Number of excitatory cells; of inhibitory ones there are ``gamma`` times as many.
    n_synapses : int
        Excitatory synapses of a cell, C, from different cells; of external ones there are as many.
    gamma : float
        Inhibitory for each excitatory cell and synapse.
    J : quantity
        Jump of the voltage that an excitatory spike makes.
    delay : quantity
        Time from a spike to its arrival.
    tau, threshold, reset, refractory : quantity
        Membrane time constant, voltages relative to rest, and refractory time.
    external : {"poisson", "diffusion"}
        External spikes, or white noise of the same mean and size.
    v_start : Weights or quantity, optional
        Voltages at the start; uniform from 0 to the threshold unless given.

    Raises
    ------
    ValidationError
        If a setting is not allowed.
    """
    for name, value in (("g", g), ("nu_ext_ratio", nu_ext_ratio), ("gamma", gamma)):
        if not is_number(value) or not 0 <= value < math.inf:
            raise ValidationError(f"brunel2000.circuit: {name} = {value!r} is not a finite number of 0 or more.")
    if not is_whole(n_excitatory) or not is_whole(n_synapses) or not 0 < n_synapses <= n_excitatory:
        raise ValidationError(
            f"brunel2000.circuit: n_synapses = {n_synapses!r} and n_excitatory = {n_excitatory!r} must be positive "
            "whole numbers; a cell receives from different cells, so there are no fewer cells than synapses."
        )
    if external not in _VOLTAGE:
        raise ValidationError(f"brunel2000.circuit: external {external!r}. Allowed: {listed(_VOLTAGE)}.")
    jump, high, low = (_volts(value, name) for value, name in ((J, "J"), (threshold, "threshold"), (reset, "reset")))
    membrane = seconds(tau, "brunel2000.circuit: tau")
    rate = nu_ext_ratio * high / (jump * membrane)  # of all external afferents of a cell together
    equations = _VOLTAGE[external]
    parameters = {"tau": f"{membrane} s", "theta": f"{high} V", "v_reset": f"{low} V", "t_ref": refractory}
    if external == "poisson":
        equations += "\ncount = poisson(nu*dt) : 1 (constant over dt)"
        parameters |= {"J": f"{jump} V", "nu": f"{rate} Hz"}
    else:
        parameters |= {"mu": f"{jump * rate * membrane} V", "sigma": f"{jump * math.sqrt(rate * membrane)} V"}
    cells = [
        Population(
            name,
            n,
            equations,
            sign=sign,
            parameters=parameters,
            initial={"v": Uniform(0.0, high) if v_start is None else v_start},
            threshold="v > theta",
            reset="v = v_reset",
            refractory=refractory,
            transfer=_TRANSFER[external],
        )
        for name, n, sign in (
            ("E", n_excitatory, "excitatory"),
            ("I", max(1, round(gamma * n_excitatory)), "inhibitory"),
        )
    ]
    into = {"E": (n_synapses, jump), "I": (round(gamma * n_synapses), g * jump)}
    synapses = [
        Synapses(
            pre,
            post,
            weights=Constant(into[pre][1]),
            unit="1 volt",
            connectivity=FixedInDegree(into[pre][0]),
            delay=delay,
        )
        for pre in ("E", "I")
        for post in ("E", "I")
        if into[pre][0] > 0
    ]
    return Circuit("brunel2000", cells, synapses)


def panel(name: str = "C", **settings: Any) -> Circuit:
    """Return the network of a panel of figure 8, "A" to "D"; ``settings`` as for `circuit`.

    Raises
    ------
    ValidationError
        If there is no such panel.
    """
    if name not in PANELS:
        raise ValidationError(f"brunel2000.panel: {name!r}. Allowed: {listed(PANELS)}.")
    g, nu_ext_ratio = PANELS[name]
    return circuit(**{"g": g, "nu_ext_ratio": nu_ext_ratio, **settings})


def predicted_rate(
    g: float = 5.0,
    nu_ext_ratio: float = 2.0,
    n_synapses: int = 1000,
    gamma: float = 0.25,
    J: Any = "0.1 mV",
    tau: Any = "20 ms",
    threshold: Any = "20 mV",
    reset: Any = "10 mV",
    refractory: Any = "2 ms",
) -> float:
    """Return the rate of the asynchronous state in the diffusion approximation, Hz.

    Parameters
    ----------
    g, nu_ext_ratio, n_synapses, gamma, J, tau, threshold, reset, refractory
        As for `circuit`.
    """
    jump = _volts(J, "J")
    cell = LeakyCell(
        seconds(tau, "brunel2000.predicted_rate: tau"),
        _volts(threshold, "threshold"),
        _volts(reset, "reset"),
        seconds(refractory, "brunel2000.predicted_rate: refractory"),
    )
    jumps = jump * np.array([[1.0, -g, 1.0]] * 2)
    numbers = np.array([[n_synapses, gamma * n_synapses, n_synapses]] * 2)
    outside = nu_ext_ratio * cell.threshold / (jump * n_synapses * cell.tau)
    return float(network_rates(jumps, numbers, cell, outside)[0])


def _volts(value: Any, name: str) -> float:
    read = quantity(value, f"brunel2000: {name}")
    if unit_text(read.dimension) != unit_text(quantity("1 volt").dimension):
        raise UnitError(f"brunel2000: {name} {value!r} is not a voltage. Write for example '0.1 mV'.")
    return read.value
