"""Small circuits and hand-written integrations, against which the continuous-time engine is held."""

from __future__ import annotations

import importlib

import numpy as np

import neurocircuits as nc

N_S, N_E, N_I = 36, 12, 4
TAU, ETA_W, ETA_A, ETA_G, P, KAPPA = 5e-3, 0.4, 0.4, 0.2, 0.35, 0.03


def stimuli(n: int, seed: int = 1, n_units: int = N_S) -> np.ndarray:
    """Return sparse rates, (n, n_units), with a mean square length of 1."""
    rng = np.random.default_rng(seed)
    values = (rng.random((n, n_units)) < 0.2) * rng.uniform(0.5, 1.5, (n, n_units))
    values[values.sum(axis=1) == 0, 0] = 1.0
    return values / np.sqrt((values**2).sum(axis=1).mean())


def disynaptic(
    cap: float | None = 0.15,
    floor: float = 0.02,
    tau: str = "5 ms",
    weights: tuple | None = None,
    rates: float = 1.0,
    tau_inhibitory: str | None = None,
) -> nc.Circuit:
    """Return a disynaptic circuit as text; ``weights`` (W, A, log_gain) continue from what was learned."""
    w, a, log_gain = weights if weights is not None else (nc.Uniform(0, 0.6), nc.Uniform(0, 0.2), 0.0)
    cells = nc.Population(
        "E",
        N_E,
        equations="""
        dr/dt = (rectify(drive)/gain - r)/tau : 1
        gain = exp(log_gain) : 1
        dlog_gain/dt = eta*(r**2/q**2 - 1) : 1 (slow)
        """,
        parameters={"tau": tau, "eta": f"{ETA_G * rates} Hz", "q": 1.0},
        initial={"log_gain": log_gain},
        bounds={"log_gain": (float(np.log(floor)), np.inf)},
        steps={} if cap is None else {"log_gain": nc.Cap(cap)},
    )
    interneurons = nc.Population(
        "I",
        N_I,
        equations="dr/dt = (drive - r)/tau : 1",
        parameters={"tau": tau_inhibitory or tau},
        sign="inhibitory",
    )
    return nc.Circuit(
        "small",
        [nc.Population("S", N_S), cells, interneurons],
        [
            nc.Synapses("S", "E", weights=w, rule=nc.Hebbian(eta=f"{ETA_W * rates} Hz", gamma=1.0, kappa=KAPPA)),
            nc.Synapses("E", "I", weights=a, rule=nc.AntiHebbian(eta=f"{ETA_A * rates} Hz", p=P, q=1.0)),
            nc.Synapses("I", "E", weights=nc.Tied("E_to_I")),
        ],
    )


def initial_weights(tree) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of W and A at the start of a run."""
    return tree["/synapses/S_to_E"].ds["w"].values[0].copy(), tree["/synapses/E_to_I"].ds["w"].values[0].copy()


class Euler:
    """The disynaptic circuit in plain NumPy: products, Euler step, then learning if it is due, in that order.

    ``copies`` rows of rates share weights, which learn on the mean of the rows.
    """

    def __init__(self, W: np.ndarray, A: np.ndarray, copies: int = 1, floor: float = 0.02, cap: float = 0.15) -> None:
        self.W, self.A, self.g = W.copy(), A.copy(), np.zeros(N_E)
        self.x, self.y = np.zeros((copies, N_E)), np.zeros((copies, N_I))
        self.floor, self.cap = np.log(floor), cap

    def step(self, u: np.ndarray, dt: float) -> None:
        """Advance the rates."""
        drive = u @ self.W.T - self.y @ self.A
        fed = self.x @ self.A.T
        self.x, self.y = (
            self.x + dt * (np.maximum(drive, 0) / np.exp(self.g) - self.x) / TAU,
            self.y + dt * (fed - self.y) / TAU,
        )

    def learn(self, u: np.ndarray, seconds: float) -> None:
        """Learn from the present rates."""
        n, W, A = len(u), self.W, self.A
        dW = self.x.T @ u / n - W - KAPPA * W.sum(axis=1, keepdims=True)
        dA = self.y.T @ self.x / n - (1 - P**2) * A - P**2 * A.sum(axis=1, keepdims=True)
        dg = (self.x**2).mean(axis=0) - 1
        self.W = np.maximum(W + seconds * ETA_W * dW, 0)
        self.A = np.maximum(A + seconds * ETA_A * dA, 0)
        self.g = np.clip(
            self.g + seconds * ETA_G * dg,
            np.maximum(self.floor, self.onset - self.cap),
            self.onset + self.cap,
        )

    def present(self, u: np.ndarray, n_steps: int, dt: float, every: int = 0, sample: int = 0) -> list:
        """Show ``u`` (copies, N_S) for some steps; learn after each ``every`` of them; return rates after each ``sample``."""
        self.onset, samples = self.g.copy(), []
        for k in range(1, n_steps + 1):
            self.step(u, dt)
            if every and k % every == 0:
                self.learn(u, every * dt)
            if sample and k % sample == 0:
                samples.append((self.x.copy(), self.y.copy()))
        return samples


def worst(tree, path: str, name: str, expected: np.ndarray, last: bool = False) -> float:
    """Return the largest difference of a variable of a tree from what is expected."""
    found = tree[path].ds[name].values
    return float(np.abs((found[-1] if last else found) - expected).max())


def brian2_state() -> dict:
    """Return what a run must leave as it was."""
    import brian2 as b2
    from brian2.core.network import Network
    from brian2.utils.logger import BrianLogger

    devices = importlib.import_module("brian2.devices.device")
    return {
        "device": devices.get_device(),
        "earlier devices": list(devices.previous_devices),
        "preferences": b2.prefs.as_file,
        "dt": float(b2.defaultclock.dt_),
        "filters": list(BrianLogger.console_handler.filters),
        "running": Network._globally_running,
    }
