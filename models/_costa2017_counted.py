"""What spikes cost a subLSTM column: the discrete cell, if each number that it computes with is counted from spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurocircuits.models.costa2017_spikes import HOLDING, POOLS, with_leak
from neurocircuits.units import quantity, seconds


def counted(
    weights: Mapping[str, Any],
    x: Any,
    n_pool: int = 200,
    peak: Any = "200 Hz",
    presentation: Any = "100 ms",
    read: Any = "95 ms",
    tau_s: Any = "2 ms",
    tau_average: Any = "20 ms",
    tau_latch: Any = "1 ms",
    seed: int = 0,
) -> np.ndarray:
    """Return h, (time, n_sequences, H), of the discrete cell if all it computes with is counted from spikes, and late.

    This derives what spikes cost a circuit with recurrent weights: each number is one of spikes, drawn anew, over what
    it would be if they were infinitely many. Deviations between copies of a sequence are those of the circuit to first
    order in 1/(N peak D), and their mean is that of the circuit to first order in tau_s/D.

    Parameters
    ----------
    weights, n_pool, peak, presentation, tau_s, tau_average, tau_latch
        Those of `circuit`.
    x : array_like, shape (time, n_sequences, D)
        Signed inputs, those of `costa2017.protocol`.
    read : quantity
        For how long h is read in a time step: what is left by the pulse, but for an interval between spikes of "H".
    seed : int
        Seed of the counts.
    """
    rate = quantity(peak, "counted: peak").value
    each = (presentation, read, tau_s, tau_average, tau_latch)
    whole, window, decay, average, latch = (seconds(time, "counted") for time in each)
    values, rng = with_leak(weights), np.random.default_rng(seed)
    # spikes at a gate of 1 while the memory is open, in what is averaged, and in what is read
    ends, held, reads = (n_pool * rate * time for time in (whole, 2 * (average + decay), window))

    def counts(mean: np.ndarray, spikes: Any) -> np.ndarray:
        return np.asarray(rng.poisson(mean * spikes) / spikes)

    def gates(u: np.ndarray, h: np.ndarray, spikes: float) -> dict[str, np.ndarray]:
        """Gates of a sum that pools which hold h send; what of its noise is fast makes them less steep."""
        sent, found = [2 * counts(np.maximum(1 + h, 0) / 2, spikes) - 1 for _ in HOLDING], {}
        for g in POOLS:
            R = values[f"R_{g}"]
            a = u @ values[f"W_{g}"].T + values[f"b_{g}"] + sent[0] @ np.maximum(R, 0).T - sent[1] @ np.maximum(-R, 0).T
            fast = np.maximum(1 + h, 0) @ (R**2).T / (2 * n_pool * rate * decay)
            found[g] = _sigma(a / np.sqrt(1 + np.pi * fast / 8))
        return found

    c = h = before = np.zeros((np.shape(x)[1], len(values["W_z"])))
    rows, last = [], dict.fromkeys("zil", c)
    for u in np.asarray(x, dtype=float):
        now, passed = gates(u, h, ends), gates(u, before, ends)
        for found in (now, passed):
            found["l"] = -np.log(found["f"])
        z, i, leak = (
            now[g] + (decay * (last[g] - now[g]) + (2 * decay + latch) * (passed[g] - now[g])) / whole for g in "zil"
        )
        half = np.maximum(leak / 2, 1e-6)
        unlike = half / np.tanh(half)  # early spikes have leaked at the end, late ones have not, as if there were fewer
        c = np.exp(-counts(leak, ends)) * c + counts(z, ends / unlike) - counts(i, ends / unlike)
        o = gates(u, h, held)["o"]
        rows.append(counts(_sigma(c), reads) - counts(o, reads))
        before, h, last = h, counts(_sigma(c), held) - counts(o, held), now
    return np.array(rows)


def _sigma(a: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-a)))
