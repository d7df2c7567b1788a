"""Published learning written out by hand, a loop over presentations and batches; nothing of the package is used here."""

from __future__ import annotations

import numpy as np

from tests.references.threshold_linear import rates_by_nnls


def disynaptic(
    u, w, a, log_gain, *, batch, substeps, duration, eta_w, eta_a, eta_gain, kappa, p, q=1.0, floor=5e-4, cap=0.15
):
    """Seung (2018): settle, then step W (E x S), A (I x E) and log Lambda on the batch mean, ``substeps`` times."""
    w, a, log_gain = w.copy(), a.copy(), log_gain.copy()
    for start in range(0, len(u), batch):
        rows, before = u[start : start + batch], log_gain.copy()
        for _ in range(substeps):
            x = rates_by_nnls(np.diag(np.exp(log_gain)) + a.T @ a, rows @ w.T)
            y = x @ a.T
            dt, n = duration / substeps, len(rows)
            dw = eta_w * (x.T @ rows / n - w - kappa * w.sum(1, keepdims=True))
            da = eta_a * (y.T @ x / n - (q**2 - p**2) * a - p**2 * a.sum(1, keepdims=True))
            dg = eta_gain * ((x**2).mean(0) / q**2 - 1)
            w, a = np.maximum(w + dt * dw, 0), np.maximum(a + dt * da, 0)
            log_gain = np.clip(log_gain + dt * dg, np.maximum(before - cap, np.log(floor)), before + cap)
    return w, a, log_gain


def all_to_all(u, w, lateral, log_gain, *, batch, duration, eta_w, eta_l, eta_gain, kappa, p, floor=5e-4, cap=0.15):
    """Seung and Zung (2017): direct inhibition without self-connections, the divisive gain as its diagonal."""
    w, lateral, log_gain = w.copy(), lateral.copy(), log_gain.copy()
    for start in range(0, len(u), batch):
        rows, before = u[start : start + batch], log_gain.copy()
        x = rates_by_nnls(np.diag(np.exp(log_gain)) + lateral, rows @ w.T)
        c = x.T @ x / len(rows)
        w = np.maximum(w + duration * eta_w * (x.T @ rows / len(rows) - w - kappa * w.sum(1, keepdims=True)), 0)
        lateral = np.maximum(lateral + duration * eta_l * (c - p**2), 0) * (1 - np.eye(len(w)))
        log_gain = np.clip(
            log_gain + duration * eta_gain * (np.diag(c) - 1), np.maximum(before - cap, np.log(floor)), before + cap
        )
    return w, lateral, log_gain


def oja(u, w, *, batch, duration, eta):
    """Oja (1982) on linear units, batch means."""
    w = w.copy()
    for start in range(0, len(u), batch):
        rows = u[start : start + batch]
        y = rows @ w.T
        w = w + duration * eta * (y.T @ rows / len(rows) - (y**2).mean(0)[:, None] * w)
    return w


def krotov(u, w, *, batch, size, p, k, delta, size_end=None):
    """Krotov and Hopfield (2019), public notebook: rank currents, largest change ``size`` in each batch, going to ``size_end``."""
    w = w.copy()
    for start in range(0, len(u), batch):
        rows = u[start : start + batch]
        currents = rows @ (np.sign(w) * np.abs(w) ** (p - 1)).T
        order = np.argsort(-currents, axis=1, kind="stable")
        gate = np.zeros_like(currents)
        gate[np.arange(len(rows)), order[:, 0]] = 1.0
        gate[np.arange(len(rows)), order[:, k - 1]] -= delta
        drift = gate.T @ rows - (gate * currents).sum(0)[:, None] * w
        now = size if size_end is None else size + (size_end - size) * start / len(u)
        w = w + now * drift / np.abs(drift).max()
    return w
