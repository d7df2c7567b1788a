"""Eigenvalues of cells and interneurons that whiten, beside those derived."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.models import pehlevan2015
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_most
from neurocircuits.simulation import run

N_PATTERNS = {True: 3000, False: 40_000}
EIGENVALUES = np.array([5, 4, 3, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1])  # of the input covariance
N_CELLS, ALPHA, BETA = 6, 1.0, 1.0
KEPT = EIGENVALUES > ALPHA
N_KEPT = int(KEPT.sum())
N_SNAPSHOTS = 20
ENGINE = SteadyState()


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn from Gaussian inputs, one after the other, and follow the covariances of Y and Z at rest."""
    n, rng = N_PATTERNS[quick], np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(len(EIGENVALUES),) * 2))[0]
    inputs = rng.normal(size=(n, len(EIGENVALUES))) * EIGENVALUES**0.5 @ vectors.T
    circuit = pehlevan2015.circuit(len(EIGENVALUES), N_CELLS, N_CELLS, ALPHA, BETA)
    record = Record(weights_every=n // N_SNAPSHOTS)
    phase = Phase("learn", {"S": Patterns(inputs, duration="100 ms")}, record=record)
    tree = run(circuit, Protocol([phase]), engine or ENGINE, seed)
    names = ("S_to_Y", "Z_to_Y", "Y_to_Z")
    snapshots = zip(*(tree[f"/synapses/{name}"].ds["w"].values for name in names), strict=True)
    covariance = vectors * EIGENVALUES @ vectors.T
    rows = [at_rest(W, inhibition, excitation, covariance) for W, inhibition, excitation in snapshots]
    time = np.arange(len(rows)) * (n // N_SNAPSHOTS)
    dims = ("presentations", "mode")
    columns = {name: (dims, np.array([row[k] for row in rows])) for k, name in enumerate(("principal", "interneurons"))}
    reciprocity = ("presentations", np.array([row[2] for row in rows]))
    groups = {"/eigenvalues": xr.Dataset({**columns, "difference": reciprocity}, {"presentations": time})}
    return learning.combined(groups, engine or ENGINE, n_patterns=n)


def at_rest(
    W: np.ndarray, inhibition: np.ndarray, excitation: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the eigenvalues of the covariances of Y and Z, in falling order, and how far Z_to_Y is from the transpose.

    For inputs of a covariance the linear circuit passes on F C F^T with F = (1 + W_YZ W_ZY)^-1 W_YX.
    """
    passed = np.linalg.solve(np.eye(len(W)) + inhibition @ excitation, W)
    seen = excitation @ passed
    principal, interneurons = (np.linalg.eigvalsh(F @ covariance @ F.T)[::-1] for F in (passed, seen))
    transposed = BETA / ALPHA * excitation.T
    return principal, interneurons, float(np.abs(inhibition - transposed).max() / np.abs(transposed).max())


def expected() -> dict[str, np.ndarray]:
    """Return the derived eigenvalues: beta of Y and lambda - alpha of Z on modes above alpha, 0 on others."""
    excess = np.where(KEPT, EIGENVALUES - ALPHA, 0.0)[:N_CELLS]
    return {"principal": np.where(KEPT, BETA, 0.0)[:N_CELLS], "interneurons": excess}


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the eigenvalues as they are learned, first seed, and in the end, all seeds, beside those derived."""
    data, targets = trees[0]["/eigenvalues"].ds, expected()
    figure, axes = panels(1, 3, size=(10.0, 2.8))
    looks = {"principal": ("cells Y", EXCITATORY), "interneurons": ("interneurons Z", INHIBITORY)}
    for ax, (name, (label, colour)) in zip(axes, looks.items(), strict=False):
        for target in np.unique(targets[name]):
            ax.axhline(target, color=FAINT, linestyle="--", linewidth=1, zorder=0)
        ax.plot(data["presentations"][1:], data[name][1:], color=colour, linewidth=1.2)
        ax.set(xlabel="patterns", ylabel="eigenvalue of the covariance", ylim=(-0.1, 1.4 * targets[name].max()))
        ax.set_title(f"{label} (derived: dashed)")
    modes = np.arange(1, len(EIGENVALUES) + 1)
    axes[2].plot(modes, EIGENVALUES, "s", color=NEUTRAL, markersize=4, label="input")
    for name, (label, colour) in looks.items():
        axes[2].plot(modes[:N_CELLS], targets[name], "_", color="black", markersize=11, markeredgewidth=1)
        for k, tree in enumerate(trees):
            found = tree["/eigenvalues"].ds[name].values[-1]
            axes[2].plot(
                modes[:N_CELLS], found, "o", color=colour, markersize=4, alpha=0.8, label=label if k == 0 else None
            )
    axes[2].axhline(ALPHA, color=FAINT, linewidth=1, zorder=0)
    axes[2].annotate(r"$\alpha = \beta$", (modes[-1], ALPHA), (0, 3), textcoords="offset points", ha="right")
    axes[2].plot([], [], "_", color="black", markersize=11, label="derived")
    axes[2].set(xlabel="mode", ylabel="eigenvalue", ylim=(-0.1, 1.1 * EIGENVALUES[0]), xticks=modes)
    axes[2].legend()
    axes[2].set_title(f"in the end ({len(trees)} seed{'s' * (len(trees) > 1)})")
    panel_letters(axes)
    return figure


def claim_kept(name: str) -> Any:
    """Return a check that the eigenvalues of the modes that are kept are those derived, within 5 %."""

    def check(tree: xr.DataTree) -> Any:
        found, target = tree["/eigenvalues"].ds[name].values[-1][:N_KEPT], expected()[name][:N_KEPT]
        return at_most(np.abs(found / target - 1).max(), 0.05)

    return check


def claim_dropped(tree: xr.DataTree) -> float:
    """Return the largest eigenvalue of either population on the modes that are dropped."""
    data = tree["/eigenvalues"].ds
    return float(max(data[name].values[-1][N_KEPT:].max() for name in ("principal", "interneurons")))


SOURCE = "Pehlevan and Chklovskii (2015), arXiv:1511.09426"
FIGURE = Figure(
    name="pehlevan2015_whitening",
    title="Whitening by interneurons",
    source=SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "whitened",
            "The variance of Y is beta on each mode that is kept, within 5 %.",
            claim_kept("principal"),
            SOURCE,
        ),
        Claim(
            "interneurons",
            "The variance of Z is lambda - alpha there, within 5 %.",
            claim_kept("interneurons"),
            f"{SOURCE}, as derived again",
        ),
        Claim(
            "dropped",
            "On modes below alpha both are below 0.05.",
            lambda tree: at_most(claim_dropped(tree), 0.05),
            SOURCE,
        ),
        Claim(
            "reciprocal",
            "Weights from Z to Y, which start as beta/alpha times the transpose of those back, stay so to rounding.",
            lambda tree: at_most(tree["/eigenvalues"].ds["difference"].values[-1], 1e-9),
            "follows from the published rules",
        ),
    ),
)
