"""Circuits and rules that every engine is held to, and why some engine is excused from some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import neurocircuits as nc
from neurocircuits.models import bcm1982, krotov2019, seung2018, seung_zung2017

N_S, N_E = 16, 6
TAU = {"tau": "2 ms"}
RECTIFIED = "dr/dt = (rectify(drive) - r)/tau : 1"
STANDALONE = "brian2-standalone"


@dataclass(frozen=True)
class Case:
    """A circuit, the names of what a protocol does to it, and engines that cannot run it, with the words that say why."""

    circuit: Callable[[], nc.Circuit]
    scaled: str = "S_to_E"
    clamped: str = "E"
    override: tuple[str, str] = ("E.tau", "2.5 ms")
    excused: dict[str, str] = field(default_factory=dict)
    linear: bool = True  # whether drive is all that the cells receive


def cells(name: str = "E", n: int = N_E, equations: str = RECTIFIED, **settings) -> nc.Population:
    return nc.Population(name, n, equations=equations, **{"parameters": TAU} | settings)


def feedforward(rule: nc.Rule, post: nc.Population | None = None, **settings) -> nc.Circuit:
    synapses = nc.Synapses("S", "E", rule=rule, **{"weights": nc.Uniform(0, 0.4)} | settings)
    return nc.Circuit("feedforward", [nc.Population("S", N_S), post or cells()], [synapses])


def disynaptic() -> nc.Circuit:
    return seung2018.circuit(
        N_S, N_E, 3, tau="2 ms", gain_floor=0.05, eta_excitatory="0.5 Hz", eta_inhibitory="1 Hz", initial_inhibitory=0.3
    )


def all_to_all() -> nc.Circuit:
    return seung_zung2017.circuit(N_S, N_E, tau="2 ms")


def texts() -> nc.Circuit:
    """Return pathways with a function of their own, sums over either side, texts that are sent and rates per unit."""
    hidden = cells(
        "E",
        equations="""
        dr/dt = (saturate(rectify(drive - a)) - r)/tau : 1
        da/dt = (0.3*r - a)/(2*tau) : 1
        dseen/dt = eta*r : 1 (slow)
        """,
        parameters=TAU | {"eta": "1 Hz"},
        initial={"seen": 1.0},
    )
    averaged = RECTIFIED + "\ndmean/dt = (r - mean)*rate : 1 (slow)"
    lateral = cells("L", 4, averaged, sign="inhibitory", parameters=TAU | {"rate": "0.5 Hz"}, initial={"mean": 0.5})
    grown = nc.Rule(
        "eta*(saturate(r_post)*r_pre - w*total_in/n_pre - 0.1*w*total_out)",
        parameters={"eta": "2 Hz"},
        aggregates={"total_in": "sum_over_pre(w*r_pre)", "total_out": "sum_over_post(w)"},
        step=nc.PerUnit("seen"),
    )
    return nc.Circuit(
        "texts",
        [nc.Population("S", N_S), hidden, lateral],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 0.6), rule=grown, transmits="w*(r_pre + 0.1*r_pre**2)"),
            nc.Synapses("E", "L", weights=nc.Uniform(0, 1), rule=nc.Oja(eta="2 Hz"), connectivity=nc.FixedInDegree(4)),
            nc.Synapses(
                "L",
                "L",
                weights=nc.Uniform(0, 0.1),
                rule=nc.CorrelationMeasuring(eta="0.2 Hz"),
                connectivity=nc.AllToAll(self_connections=False),
            ),
        ],
        functions=[nc.Function("saturate", ("x",), "x/(1 + abs(x))")],
    )


def not_separable() -> nc.Circuit:
    return feedforward(nc.Rule("eta*rectify(r_post - r_pre)*(0.5 - w)", parameters={"eta": "3 Hz"}))


def sparse_and_capped() -> nc.Circuit:
    connectivity = nc.Explicit(np.arange(24) % N_E, np.arange(24) * 5 % N_S)
    rule = nc.Hebbian(eta="2 Hz", kappa=0.02, step=nc.Cap(0.03))
    return feedforward(rule, connectivity=connectivity, bounds=(0.05, 0.41), weights=nc.Uniform(0.05, 0.4))


def unconstrained() -> nc.Circuit:
    rule = nc.Rule("eta*(r_post*r_pre - 0.3*w)", parameters={"eta": "2 Hz"})
    synapses = nc.Synapses("S", "E", weights=nc.Normal(0, 0.3), rule=rule)
    return nc.Circuit("signed", [nc.Population("S", N_S), cells()], [synapses], dale="unconstrained")


def conductances() -> nc.Circuit:
    equations = """
    dv/dt = (g_e*(E_e - v) + g_i*(E_i - v) + g_leak*(E_leak - v))/C : volt
    g_e : siemens (input, excitatory)
    g_i : siemens (input, inhibitory)
    r = rectify(v - theta)/scale : 1
    dtheta/dt = eta*(r - 0.2)*scale : volt (slow)
    """
    parameters = {"g_leak": "10 nS", "E_leak": "-70 mV", "E_e": "0 mV", "E_i": "-80 mV", "C": "20 pF", "scale": "5 mV"}
    cell = cells(
        "E", equations=equations, parameters=parameters | {"eta": "1 Hz"}, initial={"v": -0.07, "theta": -0.06}
    )
    rule = nc.Rule("eta*(r_post*r_pre*unit - w)", parameters={"eta": "2 Hz", "unit": "4 nS"})
    return nc.Circuit(
        "conductances",
        [nc.Population("S", N_S), nc.Population("V", 5, sign="inhibitory"), cell],
        [
            nc.Synapses("S", "E", input="g_e", weights=nc.Uniform(0, 8e-9), rule=rule),
            nc.Synapses("V", "E", input="g_i", weights=nc.Uniform(0, 2e-9)),
        ],
    )


def implicit() -> nc.Circuit:
    """Return cells whose rest no formula gives: their equations are relaxed."""
    return feedforward(
        nc.Foldiak(eta="1 Hz"),
        cells(equations="dr/dt = (rectify(drive - r**3) - r)/tau : 1"),
        weights=nc.Uniform(0, 0.3),
    )


def ranked() -> nc.Circuit:
    rule = nc.Rule(
        "eta*(best - 0.4*next_best)*(r_pre - w)",
        parameters={"eta": "1 Hz"},
        terms={"best": "ranked(r_post, 1)", "next_best": "ranked(r_post, 2)"},
        step=nc.LargestChange(nc.Linear(0.05, 0.01)),
    )
    return feedforward(rule)


def competing() -> nc.Circuit:
    """Return cells that compete through a unit without a time constant, and learn by their activity at rest."""
    return krotov2019.competition(
        N_S, N_E, h_star=0.5, delta=0.2, w_inh=0.3, tau="2 ms", initial=nc.Uniform(0, 0.4), eta="0.5 Hz"
    )


def paired() -> nc.Circuit:
    rule = nc.Rule("eta*(r_post*(r_pre - 0.2) - w)", parameters={"eta": "2 Hz"})
    return nc.Circuit(
        "paired",
        [nc.Population("S", N_S), nc.Population("V", N_S, sign="inhibitory"), cells()],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 0.4), rule=rule),
            nc.Synapses("V", "E", weights=nc.Paired("S_to_E", nc.Uniform(0, 0.2))),
        ],
    )


def sliding_threshold() -> nc.Circuit:
    return bcm1982.circuit(N_S, N_E, initial=nc.Uniform(0, 0.4), eta="1 Hz", tau="2 ms")


def balanced() -> nc.Circuit:
    """Return the rate form of inhibitory plasticity."""
    rule = nc.Vogels(eta=25.0, target=0.2, tau="20 ms")
    return nc.Circuit(
        "balanced",
        [nc.Population("S", N_S), nc.Population("V", 5, sign="inhibitory"), cells()],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0, 0.4)),
            nc.Synapses("V", "E", weights=nc.Uniform(0, 0.2), rule=rule),
        ],
    )


def normalised() -> nc.Circuit:
    return feedforward(nc.Hebbian(eta="2 Hz"), normalise=nc.Normalise("target", norm=1.0, value=2.0))


CASES = {
    "disynaptic": Case(disynaptic),
    "all to all": Case(all_to_all),
    "texts": Case(texts, scaled="E_to_L", clamped="L", override=("S_to_E.eta", "3 Hz")),
    "not separable": Case(not_separable),
    "sparse and capped": Case(sparse_and_capped, override=("S_to_E.eta", "0.5 Hz")),
    "unconstrained": Case(unconstrained),
    "conductances": Case(conductances, clamped="V", override=("E.scale", "4 mV"), linear=False),
    "implicit": Case(implicit),
    "ranked": Case(ranked, excused={STANDALONE: "LargestChange needs the whole matrix"}),
    "competing": Case(competing, linear=False, excused={STANDALONE: "population terms (gate) need the whole layer"}),
    "paired": Case(paired, excused={STANDALONE: "'S_to_E' are a pair"}),
    "sliding threshold": Case(sliding_threshold),
    "balanced": Case(balanced, clamped="V", override=("V_to_E.eta", "15")),
    "normalised": Case(normalised, excused={STANDALONE: "'S_to_E' are normalised"}),
}
