"""Circuits and protocols that many tests build, all through the public interface."""

from __future__ import annotations

from typing import Any

import numpy as np

import neurocircuits as nc
from neurocircuits.randomness import Streams

EXCITATORY = """
    dr/dt = (rectify(drive)/gain - r)/tau : 1
    gain = exp(log_gain) : 1
    dlog_gain/dt = eta*(r**2/q**2 - 1) : 1 (slow)
"""
LINEAR = "dr/dt = (drive - r)/tau : 1"
TAU = {"tau": "5 ms"}
ACTIVITY = nc.Record("r", "excitation", "inhibition")


def excitatory(n_units: int, name: str = "E", gain: float = 1.0, eta: Any = "0.5 Hz", **settings: Any) -> nc.Population:
    """Return rectified cells with a learned divisive gain."""
    settings = {
        "initial": {"log_gain": float(np.log(gain))},
        "bounds": {"log_gain": (float(np.log(5e-4)), float("inf"))},
        "steps": {"log_gain": nc.Cap(0.15)},
    } | settings
    return nc.Population(name, n_units, EXCITATORY, parameters={**TAU, "eta": eta, "q": 1.0}, **settings)


def inhibitory(n_units: int, name: str = "I") -> nc.Population:
    """Return linear inhibitory cells."""
    return nc.Population(name, n_units, LINEAR, parameters=TAU, sign="inhibitory")


def learning_circuit(n_s: int = 6, n_e: int = 5, n_i: int = 3, connectivity: Any = None, **settings: Any) -> nc.Circuit:
    """Return a small disynaptic circuit that learns everywhere."""
    settings = {"eta_w": "0.4 Hz", "eta_a": "0.6 Hz", "kappa": 0.2, "p": 0.3, "eta_gain": "0.5 Hz"} | settings
    hebbian = nc.Hebbian(eta=settings["eta_w"], gamma=1.0, kappa=settings["kappa"])
    connected = {} if connectivity is None else {"connectivity": connectivity}
    return nc.Circuit(
        "small",
        [nc.Population("S", n_s), excitatory(n_e, eta=settings["eta_gain"]), inhibitory(n_i)],
        [
            nc.Synapses("S", "E", weights=nc.Uniform(0.0, 0.6), rule=hebbian, **connected),
            nc.Synapses(
                "E", "I", weights=nc.Uniform(0.0, 0.4), rule=nc.AntiHebbian(eta=settings["eta_a"], p=settings["p"])
            ),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I")),
        ],
    )


def fixed_circuit(weights: np.ndarray, inhibition: np.ndarray, gain: float = 1.0) -> nc.Circuit:
    """Return a disynaptic circuit of given weights without rules."""
    return nc.Circuit(
        "fixed",
        [nc.Population("S", weights.shape[1]), excitatory(len(weights), gain=gain), inhibitory(len(inhibition))],
        [
            nc.Synapses("S", "E", weights=weights),
            nc.Synapses("E", "I", weights=inhibition),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I")),
        ],
    )


def alive(circuit: nc.Circuit, stimuli: np.ndarray, engine: Any = None, seed: int = 0, **settings: Any) -> Any:
    """Return a live simulation in a phase that shows ``stimuli`` from S without plasticity."""
    simulation = (engine or nc.SteadyState()).open(nc.compile_circuit(circuit), Streams(seed))
    simulation.begin(nc.Phase("probe", {"S": nc.Patterns(stimuli)}, **{"plasticity": False, **settings}))
    return simulation


def put(simulation: Any, **values: np.ndarray) -> None:
    """Put arrays into the state of a live simulation; ``E__log_gain`` is the slow variable log_gain of E."""
    state = simulation.state()
    for name, value in values.items():
        key = f"values/{name.replace('__', '/')}" if "__" in name else f"weights/{name}"
        assert state[key].shape == value.shape
        state[key] = value
    simulation.load(state)


def show(simulation: Any, stimuli: Any) -> Any:
    """Present stimuli from S and return the readings."""
    patterns = nc.Patterns(stimuli)
    return simulation.advance({"S": patterns.at(np.arange(patterns.n_presentations), Streams(0))})


def run(circuit: nc.Circuit, *phases: nc.Phase, engine: Any = None, seed: int = 0, **settings: Any) -> Any:
    """Run phases without a progress bar."""
    return nc.run(circuit, nc.Protocol(phases), engine=engine, seed=seed, progress=False, **settings)


def recorded(tree: Any, population: str = "E", variable: str = "r", phase: str | None = None) -> np.ndarray:
    """Return what was recorded, (time, unit)."""
    data = tree[f"/populations/{population}"].ds
    rows = slice(None) if phase is None else data["phase"].values == phase
    return data[variable].values[rows]


def weights(tree: Any, pathway: str, at: int = -1) -> np.ndarray:
    """Return a snapshot of weights, (post, pre)."""
    return tree[f"/synapses/{pathway}"].ds["w"].values[at]
