"""Inhibitory plasticity that balances excitation: one cell with eight signals, and a recurrent network.

References
----------
Vogels TP, Sprekeler H, Zenke F, Clopath C, Gerstner W (2011) Inhibitory plasticity balances excitation and inhibition
in sensory pathways and memory networks, Science 334:1569-1573, doi:10.1126/science.1211095. Programs: ModelDB 143751
(``inhib_plasticity.m``, ``isp_brian.py``); Auryn ``sim_isp_orig``.

Notes
-----
Parameters are those of the authors' programs, since the text of the paper and of its supplement was not available. The
feed-forward cell has 25 inhibitory afferents in each group (the program's index arithmetic gives one of them 24, one
26), and an upper bound on weights only in so far as one is given. Signals are low-pass noise whose size depends on the
time step: ``peak`` fits steps of 0.1 ms, and others need ``0.03*sqrt(dt/(0.1 ms))``. Of the recurrent network two sets
of weights are in circulation, ten times apart: "brian" (0.3 and 3 nS, the authors' Brian program, no delay) and
"auryn" (3 and 30 nS, which Auryn and the Open Source Brain use, delay 0.8 ms).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import Connectivity, Explicit, FixedInDegree, Probability
from neurocircuits.declare.population import Population
from neurocircuits.declare.spike_rules import Vogels
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Given, Normal, Uniform, Weights
from neurocircuits.errors import ValidationError
from neurocircuits.units import quantity

REFERENCE = "Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), doi:10.1126/science.1211095"
N_GROUPS, N_EXCITATORY, N_INHIBITORY = 8, 100, 25
UNIT_EXCITATORY, UNIT_INHIBITORY = 0.014, 0.035  # conductance of weight 1, in units of the leak of 10 nS
WEIGHTS: dict[str, dict[str, Any]] = {
    "brian": {"excitatory": "0.3 nS", "inhibitory": "3 nS", "initial": "0 nS", "largest": "100 nS", "delay": 0.0},
    "auryn": {"excitatory": "3 nS", "inhibitory": "30 nS", "initial": "30 nS", "largest": "300 nS", "delay": "0.8 ms"},
}

_SIGNALS = """
    ds/dt = (noise - s)/tau_s : 1
    noise = rand() - 0.5 : 1 (constant over dt)
    r = baseline + amplitude*rectify(s)/peak : 1
"""
_CELL = """
    dv/dt = (v_rest - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt (unless refractory)
    dg_e/dt = -g_e/tau_e : 1 (input, excitatory)
    dg_i/dt = -g_i/tau_i : 1 (input, inhibitory)
    i_e = g_leak*g_e*(E_e - v) : amp (excitation)
    i_i = g_leak*g_i*(v - E_i) : amp (inhibition)
"""
_CELL_TRANSFER = """
    dr/dt = (lif_rate(mean, sqrt(2*variance), tau, v_threshold, v_rest, t_ref) - r)/tau : Hz
    mean_e = tau_e*g_e_drive : 1
    mean_i = tau_i*g_i_drive : 1
    g_total = 1 + mean_e + mean_i : 1
    tau = tau_m/g_total : second
    mean = (v_rest + mean_e*E_e + mean_i*E_i)/g_total : volt
    noise_e = g_e_drive_variance*(tau_e*(E_e - mean)/g_total)**2/(tau + tau_e) : volt**2
    noise_i = g_i_drive_variance*(tau_i*(E_i - mean)/g_total)**2/(tau + tau_i) : volt**2
    variance = (noise_e + noise_i)/2 : volt**2
"""  # as _TRANSFER, in units of the leak
_CONSTANTS = {
    "tau_m": "20 ms",
    "v_rest": "-60 mV",
    "v_threshold": "-50 mV",
    "E_e": "0 mV",
    "E_i": "-80 mV",
    "tau_e": "5 ms",
    "tau_i": "10 ms",
    "g_leak": "10 nS",
}
_NETWORK_CONSTANTS = {key: value for key, value in _CONSTANTS.items() if key != "tau_m"} | {
    "C": "200 pF",
    "background": "200 pA",
    "t_ref": "5 ms",
}
_MEMBRANE = """
    dv/dt = (g_leak*(v_rest - v) + g_e*(E_e - v) + g_i*(E_i - v) + background)/C : volt (unless refractory)
    i_e = g_e*(E_e - v) : amp (excitation)
    i_i = g_i*(v - E_i) : amp (inhibition)
"""
_CONDUCTANCES = """
    dg_e/dt = -g_e/tau_e : siemens (input, excitatory)
    dg_i/dt = -g_i/tau_i : siemens (input, inhibitory)
"""
_DRIVEN = """
    dg_e/dt = -g_e/tau_e + w_e*n_e/dt : siemens
    dg_i/dt = -g_i/tau_i + w_i*nS*n_i/dt : siemens
    n_e = poisson(k_e*nu_e*Hz*dt) : 1 (constant over dt)
    n_i = poisson(k_i*nu_i*Hz*dt) : 1 (constant over dt)
    dw_i/dt = 0*Hz : 1
    dnu_e/dt = 0*Hz : 1
    dnu_i/dt = 0*Hz : 1
"""
_TRANSFER = """
    dr/dt = (lif_rate(mean, sqrt(2*variance), tau, v_threshold, v_rest, t_ref) - r)*g_leak/C : Hz
    mean_e = tau_e*g_e_drive : siemens
    mean_i = tau_i*g_i_drive : siemens
    g_total = g_leak + mean_e + mean_i : siemens
    tau = C/g_total : second
    mean = (g_leak*v_rest + mean_e*E_e + mean_i*E_i + background)/g_total : volt
    noise_e = g_e_drive_variance*(tau_e*(E_e - mean)/g_total)**2/(tau + tau_e) : volt**2
    noise_i = g_i_drive_variance*(tau_i*(E_i - mean)/g_total)**2/(tau + tau_i) : volt**2
    variance = (noise_e + noise_i)/2 : volt**2
"""  # Kuhn et al. (2004) and Richardson (2004): conductances as an effective time constant


def circuit(network: str = "feedforward", **settings: Any) -> Circuit:
    """Return the feed-forward cell or the recurrent network.

    Parameters
    ----------
    network : {"feedforward", "recurrent"}
        Which.
    **settings
        Those of `feedforward` or `recurrent`.

    Raises
    ------
    ValidationError
        If there is no such network, or a setting is not allowed.
    """
    networks: dict[str, Callable[..., Circuit]] = {"feedforward": feedforward, "recurrent": recurrent}
    if network not in networks:
        raise ValidationError(f"vogels2011: network {network!r}. Allowed: {', '.join(map(repr, networks))}.")
    return networks[network](**settings)


def tuning(preferred: float = 5.0) -> np.ndarray:
    """Return the mean excitatory weight of each group, (group,), less the jitter: peaked at a group from 1 to 8."""
    return 0.3 + 1.1 / (1 + (np.arange(1, N_GROUPS + 1) - preferred) ** 4)


def group_of(population: str) -> np.ndarray:
    """Return the group, 0 to 7, of each afferent of population ``"E"`` or ``"I"``."""
    return np.repeat(np.arange(N_GROUPS), N_EXCITATORY if population == "E" else N_INHIBITORY)


def feedforward(
    target: Any = "6.25 Hz",
    eta: float = 1e-3,
    tau: Any = "20 ms",
    preferred: float = 5.0,
    initial: Any = 0.1,
    peak: float = 0.03,
    delay: Any = 0.0,
    plastic: bool = True,
    largest: float = np.inf,
    excitatory: Any = None,
) -> Circuit:
    """Return a cell that receives eight signals, each through 100 excitatory and 25 inhibitory afferents.

    Populations: "signals" (rates in Hz), afferents "E" and "I", and "cell". Conductances are in units of the leak. The
    plastic pathway is "I_to_cell".

    Parameters
    ----------
    target : quantity
        Target rate; 6.25 Hz is alpha = 0.25.
    eta : float
        Learning rate, in units of a weight of 350 pS.
    tau : quantity
        Time constant of the traces.
    preferred : float
        Group with the largest excitatory weights, 1 to 8.
    initial : float or array_like, shape (200,) or (n_cells, 200)
        Inhibitory weights at the start, in units of 350 pS; of several cells, which share their afferents.
    excitatory : array_like, shape (800,), optional
        Excitatory weights in units of 140 pS, the same for all cells; drawn around `tuning` unless given.
    peak : float
        Size of a signal at which its rate is 505 Hz.
    delay : quantity
        How much later inhibitory spikes arrive.
    plastic : bool
        Whether inhibitory synapses learn.
    largest : float
        Upper bound of inhibitory weights, in units of 350 pS.

    Raises
    ------
    ValidationError
        If a setting is not allowed.
    """
    if not 1 <= preferred <= N_GROUPS:
        raise ValidationError(f"vogels2011: preferred group {preferred!r} is not between 1 and {N_GROUPS}.")
    groups = {name: group_of(name) for name in ("E", "I")}
    start = UNIT_INHIBITORY * np.asarray(initial, dtype=float)
    if start.ndim > 2 or (start.ndim and start.shape[-1] != len(groups["I"])):
        raise ValidationError(f"vogels2011: initial weights of shape {start.shape} are not ({len(groups['I'])},).")
    start = np.broadcast_to(start, (start.shape[0] if start.ndim == 2 else 1, len(groups["I"])))
    given: Weights = Given(UNIT_EXCITATORY * np.tile(tuning(preferred)[groups["E"]], (len(start), 1)))
    given = given + Uniform(0.0, 0.1 * UNIT_EXCITATORY)
    if excitatory is not None:
        given = Given(UNIT_EXCITATORY * np.tile(np.asarray(excitatory, dtype=float), (len(start), 1)))
    signals = Population(
        "signals",
        N_GROUPS,
        _SIGNALS,
        parameters={"tau_s": "50 ms", "baseline": 5.0, "amplitude": 500.0, "peak": peak},
    )
    afferents = [
        Population(
            name,
            len(groups[name]),
            "rate = drive*Hz : Hz",
            sign=sign,
            threshold="rand() < rate*dt",
            refractory="5 ms",
            transfer="r = drive*Hz/(1 + 5*ms*drive*Hz) : Hz",
        )
        for name, sign in (("E", "excitatory"), ("I", "inhibitory"))
    ]
    cell = Population(
        "cell",
        len(start),
        _CELL,
        parameters={**_CONSTANTS, "t_ref": "5 ms"},
        initial={"v": "-60 mV"},
        threshold="v > v_threshold",
        reset="v = v_rest",
        refractory="5 ms",
        transfer=_CELL_TRANSFER,
    )
    pathways = [
        Synapses("signals", name, connectivity=Explicit(np.arange(len(group)), group)) for name, group in groups.items()
    ]
    return Circuit(
        "vogels2011-feedforward",
        [signals, *afferents, cell],
        [
            *pathways,
            Synapses("E", "cell", weights=given),
            Synapses(
                "I",
                "cell",
                weights=Given(start),
                rule=Vogels(eta * UNIT_INHIBITORY, target, tau) if plastic else None,
                bounds=(0.0, largest * UNIT_INHIBITORY),
                delay=delay,
            ),
        ],
    )


def recurrent(
    weights: str = "brian",
    n_excitatory: int = 8000,
    n_inhibitory: int = 2000,
    probability: float = 0.02,
    in_degree: tuple[int, int] | None = None,
    initial: Any = None,
    scale: float = 1.0,
    target: Any = "3 Hz",
    eta: Any = "0.01 nS",
    tau: Any = "20 ms",
    delay: Any = None,
    plastic: bool = True,
    v_start: Any = None,
) -> Circuit:
    """Return a recurrent network of excitatory and inhibitory cells with plastic inhibition of the excitatory ones.

    The plastic pathway is "I_to_E".

    Parameters
    ----------
    weights : {"brian", "auryn"}
        Set of weights and delay.
    n_excitatory, n_inhibitory : int
        Numbers of cells.
    probability : float
        Of a connection, in all four pathways.
    in_degree : (int, int), optional
        Excitatory and inhibitory synapses of each cell, instead of a probability.
    initial : quantity or Weights, optional
        Weights of the plastic pathway at the start; those of the set unless given: 0 (unbalanced) or 30 nS (balanced).
    scale : float
        Factor of all weights, for networks with another number of synapses per cell.
    target : quantity
        Target rate of excitatory cells.
    eta : quantity
        Learning rate.
    tau : quantity
        Time constant of the traces.
    delay : quantity, optional
        Delay of all synapses; that of the set unless given.
    plastic : bool
        Whether "I_to_E" learns.
    v_start : Weights or quantity, optional
        Voltages at the start; normal around rest with a standard deviation of 5 mV unless given.

    Raises
    ------
    ValidationError
        If a setting is not allowed.
    """
    if weights not in WEIGHTS:
        raise ValidationError(f"vogels2011: weights {weights!r}. Allowed: {', '.join(map(repr, WEIGHTS))}.")
    chosen = WEIGHTS[weights]
    siemens = {key: scale * quantity(chosen[key]).value for key in ("excitatory", "inhibitory", "largest", "initial")}
    late = chosen["delay"] if delay is None else delay
    cells = [
        Population(
            name,
            n,
            _MEMBRANE + _CONDUCTANCES,
            sign=sign,
            parameters=_NETWORK_CONSTANTS,
            initial={"v": Normal(-0.06, 0.005) if v_start is None else v_start},
            threshold="v > v_threshold",
            reset="v = v_rest",
            refractory=_NETWORK_CONSTANTS["t_ref"],
            transfer=_TRANSFER,
        )
        for name, n, sign in (("E", n_excitatory, "excitatory"), ("I", n_inhibitory, "inhibitory"))
    ]

    def pathway(pre: str, post: str, value: Any, **settings: Any) -> Synapses:
        connected: Connectivity = Probability(probability)
        if in_degree is not None:
            connected = FixedInDegree(in_degree[0] if pre == "E" else in_degree[1])
        drawn = value if isinstance(value, Weights) else Constant(value)
        return Synapses(pre, post, weights=drawn, connectivity=connected, delay=late, unit="1 siemens", **settings)

    start = siemens["initial"] if initial is None else initial
    start = start if isinstance(start, Weights | float) else quantity(start).value
    return Circuit(
        f"vogels2011-{weights}",
        cells,
        [
            pathway("E", "E", siemens["excitatory"]),
            pathway("E", "I", siemens["excitatory"]),
            pathway("I", "I", siemens["inhibitory"]),
            pathway(
                "I",
                "E",
                start,
                rule=Vogels(eta, target, tau) if plastic else None,
                bounds=(0.0, siemens["largest"]),
            ),
        ],
    )


def driven(nu_e: Any, nu_i: Any, w_i: Any, in_degree: tuple[int, int], weights: str = "brian") -> Circuit:
    """Return cells of the recurrent network that receive Poisson trains instead of each other: "cell".

    Parameters
    ----------
    nu_e, nu_i : array_like, shape (n_cells,)
        Rates of the excitatory and the inhibitory afferents of each cell, Hz.
    w_i : array_like, shape (n_cells,)
        Weight of its inhibitory afferents, nS.
    in_degree : (int, int)
        Excitatory and inhibitory afferents of a cell.
    weights : {"brian", "auryn"}
        Set of weights, for the excitatory ones.

    Raises
    ------
    ValidationError
        If there is no such set, or the arrays do not have one value, not negative, for each cell.
    """
    if weights not in WEIGHTS:
        raise ValidationError(f"vogels2011: weights {weights!r}. Allowed: {', '.join(map(repr, WEIGHTS))}.")
    given = {"nu_e": np.asarray(nu_e, float), "nu_i": np.asarray(nu_i, float), "w_i": np.asarray(w_i, float)}
    for name, values in given.items():
        if values.ndim != 1 or values.shape != given["nu_e"].shape or not (values >= 0).all():
            raise ValidationError(
                f"vogels2011.driven: {name} of shape {values.shape} must hold a number of 0 or more for each cell, as "
                f"many as nu_e of shape {given['nu_e'].shape}."
            )
    k_e, k_i = in_degree
    cell = Population(
        "cell",
        len(given["nu_e"]),
        _MEMBRANE + _DRIVEN,
        parameters={**_NETWORK_CONSTANTS, "w_e": WEIGHTS[weights]["excitatory"], "k_e": k_e, "k_i": k_i},
        initial={"v": "-60 mV", **{name: Given(values) for name, values in given.items()}},
        threshold="v > v_threshold",
        reset="v = v_rest",
        refractory=_NETWORK_CONSTANTS["t_ref"],
    )
    return Circuit("vogels2011-driven", [cell], [])
