"""The discrete subLSTM cell and a plain integration of its column, without the package."""

from __future__ import annotations

import numpy as np


def sigma(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def random_weights(n_units: int, n_inputs: int, seed: int, fixed: bool = False) -> dict[str, np.ndarray]:
    """Weights of either sign of a cell with recurrent input as strong as its input."""
    rng, weights = np.random.default_rng(seed), {}
    for g in "zio" if fixed else "zifo":
        weights[f"W_{g}"] = rng.normal(size=(n_units, n_inputs))
        weights[f"R_{g}"] = rng.normal(size=(n_units, n_units)) * 2 / np.sqrt(n_units)
        weights[f"b_{g}"] = rng.normal(size=n_units)
    return weights | ({"f": np.linspace(0.5, 1.0, n_units)} if fixed else {})


def gates(weights: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> dict[str, np.ndarray]:
    """All gates for inputs (n, D) and outputs (n, H)."""
    found = {
        g: sigma(x @ weights[f"W_{g}"].T + h @ weights[f"R_{g}"].T + weights[f"b_{g}"])
        for g in "zifo"
        if f"W_{g}" in weights
    }
    return {"f": np.broadcast_to(weights.get("f", np.nan), h.shape), **found}


def discrete(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """h of the cell of Costa et al. (2017), section 3, for sequences (time, n, D)."""
    c = h = np.zeros((x.shape[1], len(weights["W_z"])))
    rows = []
    for u in x:
        a = gates(weights, u, h)
        c = a["f"] * c + a["z"] - a["i"]
        h = sigma(c) - a["o"]
        rows.append(h)
    return np.array(rows)


def integrated(
    weights: dict[str, np.ndarray], x: np.ndarray, D: float, tau: float, tau_latch: float, pulse: float, dt: float
) -> np.ndarray:
    """h of the column at the end of each presentation, by Euler steps; ``pulse=0`` is without a latch."""
    shape = (x.shape[1], len(weights["W_z"]))
    r = {g: np.full(shape, 0.5) for g in "zifo"}
    c, a_end, a_held, q_end, q_held = np.zeros(shape), *(np.full(shape, 0.5) for _ in range(4))
    rows = []
    for u in x:
        for k in range(round(D / dt)):
            on = float(k < round(pulse / dt))
            a = sigma(c)
            h = a_held - q_held if pulse else a - r["o"]
            target = gates(weights, u, h)
            f = r["f"] if "W_f" in weights else target["f"]
            leak = -np.log(f) / D
            gain = np.divide(leak, 1 - f, out=np.full(shape, 1 / D), where=f < 1)
            dc = -leak * c + gain * (r["z"] - r["i"])
            steps = [
                (1 - on) * (a - a_end), on * (a_end - a_held), (1 - on) * (1 - r["o"] - q_end), on * (1 - q_end - q_held)
            ]  # fmt: skip
            r = {g: r[g] + dt * (target[g] - r[g]) / tau for g in r}
            c = c + dt * dc
            a_end, a_held, q_end, q_held = (
                v + dt * step / tau_latch for v, step in zip((a_end, a_held, q_end, q_held), steps, strict=True)
            )
        rows.append(sigma(c) - r["o"])
    return np.array(rows)


def counted(
    c: np.ndarray, currents: np.ndarray, gates: dict[str, np.ndarray], spikes: float, lag: float, n_steps: int = 1000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and variance of c after a presentation from c, and the mean currents after it, if gates are Poisson spikes.

    ``spikes`` are those of a pool at a gate of 1 in a presentation, ``lag`` the time constant of their currents, in
    presentations. Mean currents, u of z - i and l of -ln f, approach the gates with it, from where they were. The memory
    is dc = (u M(l) - l c) ds, M = l/(1 - exp(-l)), so a spike of Z or I moves c by M/spikes and one that lets it leak
    by (u M' - c)/spikes; spikes in a short time have the variance of their mean number (Campbell's theorem).
    """
    shown = np.array([gates["z"] - gates["i"], -np.log(gates["f"])])
    both, currents = gates["z"] + gates["i"], np.broadcast_to(currents, shown.shape)
    mean, variance, step = c.astype(float), np.zeros_like(c, dtype=float), 1 / n_steps
    for _ in range(n_steps):
        u, leak = currents[0], np.maximum(currents[1], 1e-6)
        gain = leak / -np.expm1(-leak)
        slope = (1 - gain * np.exp(-leak)) / -np.expm1(-leak)
        jump = both * gain**2 + leak * (u * slope - mean) ** 2
        variance = variance + step * (jump / spikes - 2 * leak * variance)
        mean = mean + step * (u * gain - leak * mean)
        currents = currents + step / lag * (shown - currents)
    return mean, variance, currents
