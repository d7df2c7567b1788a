"""Plain Python loops over spiking networks, synapse by synapse: independent answers for the event engine."""

from __future__ import annotations

import math

import numpy as np


def trains(rates: np.ndarray, n_steps: int, dt: float, seed: int) -> np.ndarray:
    """Return spikes (n_steps, unit) of independent Bernoulli trains."""
    return np.random.default_rng(seed).random((n_steps, len(rates))) < rates * dt


def vogels_weights(
    w: np.ndarray,
    post: np.ndarray,
    pre: np.ndarray,
    fired: tuple[np.ndarray, np.ndarray],
    delay: int,
    settings: dict[str, float],
    high: float = np.inf,
) -> np.ndarray:
    """Return weights after an event-based run of the inhibitory rule, one synapse and one spike after the other.

    Parameters
    ----------
    w, post, pre : ndarray, shape (n_synapses,)
        Initial weights and indices.
    fired : (ndarray, ndarray)
        Spikes of the presynaptic and the postsynaptic units, (n_steps, unit) of bool.
    delay : int
        Steps from a presynaptic spike to its arrival.
    settings : dict
        eta, alpha, tau and dt.
    high : float
        Upper bound.
    """
    eta, alpha, tau, dt = (settings[name] for name in ("eta", "alpha", "tau", "dt"))
    w = w.copy()
    for k, (i, j) in enumerate(zip(post, pre, strict=True)):
        arrivals = [int(s) + delay for s in np.flatnonzero(fired[0][:, j])]
        own = [int(s) for s in np.flatnonzero(fired[1][:, i])]
        events = sorted([(s, 0) for s in arrivals if s < len(fired[0])] + [(s, 1) for s in own])
        for step, kind in events:
            if kind == 0:
                trace = math.fsum(math.exp(-(step - s) * dt / tau) for s in own if s < step)
                w[k] += eta * (trace - alpha)
            else:
                trace = math.fsum(math.exp(-(step - s) * dt / tau) for s in arrivals if s <= step)
                w[k] += eta * trace
            w[k] = min(max(w[k], 0.0), high)
    return w


def lif(
    drive: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    w: np.ndarray,
    n_steps: int,
    settings: dict[str, float],
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return spikes (step, unit) and final voltages of leaky cells with one exponential conductance between them.

    Forward Euler; within a step first the state update, then thresholds, arrivals, resets.
    """
    n, dt, delay = len(drive), settings["dt"], round(settings["delay"] / settings["dt"])
    v, g, last = np.full(n, settings["rest"]), np.zeros(n), np.full(n, -(10**9))
    queue: list[list[int]] = [[] for _ in range(n_steps + delay + 1)]
    spikes = []
    refractory = round(settings["refractory"] / dt)
    for step in range(n_steps):
        free = step - last >= refractory
        dv = (settings["rest"] - v + drive - g * (v - settings["reversal"])) / settings["tau"]
        v = v + np.where(free, dv * dt, 0.0)
        g = g - g / settings["tau_g"] * dt
        fired = np.flatnonzero((v > settings["threshold"]) & free)
        for unit in fired:
            spikes.append((step, int(unit)))
            queue[step + delay].append(int(unit))
        for unit in queue[step]:
            targets = pairs[1] == unit
            np.add.at(g, pairs[0][targets], w[targets])
        v[fired], last[fired] = settings["rest"], step
    return spikes, v
