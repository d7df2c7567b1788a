"""Lines found by binary cells with anti-Hebbian inhibition, and what rates, pairs and weights come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.models import foldiak1990
from neurocircuits.plotting import FAINT, NEUTRAL, mosaic, panel_letters, panels
from neurocircuits.protocols import features
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

N_PATTERNS = {True: 1200, False: 4000}
EVERY, N_PROBE = 400, 10_000
SHOWN = (0, 400, 800, 1200, 4000)  # snapshots that are drawn, where they were reached
P = 1 / 8
OFF_BAR = 1 - (1 - P) ** 2  # how often a pixel is on that does not belong to a given line: two others cross there
# Euler steps from rest, a tenth of the time constant each; inputs and outputs are binary, so there is little to settle.
ENGINE = SteadyState(solver="relaxation")
SETTLING: dict[str, Any] = {"settle": "150 ms", "step": "1 ms", "restart": True}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn from lines, one pattern after the other, then present others with plasticity off."""
    n = N_PATTERNS[quick]
    patterns = datasets.bars(n + N_PROBE, rng=seed).values
    circuit = foldiak1990.circuit(p=P)
    protocol = features.protocol(
        patterns[:n],
        n_learn=n,
        n_probe=N_PROBE,
        shuffle=False,
        probe_values=patterns[n:],
        weights_every=EVERY,
        **SETTLING,
    )
    tree = run(circuit, protocol, engine or ENGINE, seed)
    kept = tree["/synapses/S_to_E"].ds
    weights = kept["w"].values[kept["phase"].values != "probe"]
    lateral = tree["/synapses/E_to_E"].ds["w"].values[-1]
    moment, conditional = statistics(tree["/populations/E"].ds, patterns[n:])
    matched = [analysis.match_templates(w, datasets.bar_templates()) for w in weights]
    dims = ("unit", "other")
    groups = {
        "/features": xr.Dataset(
            {
                "w": (("presentations", "unit", "pixel"), weights.astype(np.float32)),
                "n_found": ("presentations", [int(m["n_found"]) for m in matched]),
                **contrast(weights[-1], matched[-1]["unit"].values),
            },
            {"presentations": np.arange(len(weights)) * EVERY},
        ),
        "/pairs": xr.Dataset({"lateral": (dims, lateral), "moment": (dims, moment)}),
        "/conditional": xr.Dataset({"mean": (("unit", "pixel"), conditional)}),
    }
    return learning.combined(groups, engine or ENGINE, n_patterns=n)


def statistics(probe: xr.Dataset, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return <y_i y_j> (unit, other), whose diagonal are the rates, and the mean pattern while a unit fires."""
    y = probe["r"].sel(time=probe["phase"] == "probe").transpose("time", "unit").values.astype(float)
    with np.errstate(invalid="ignore"):
        return y.T @ y / len(y), y.T @ patterns / y.sum(axis=0)[:, None]


def rates(tree: xr.DataTree) -> np.ndarray:
    """Return how often each unit fires."""
    return np.diag(tree["/pairs"].ds["moment"].values)


def pairs(tree: xr.DataTree) -> tuple[np.ndarray, np.ndarray]:
    """Return lateral weights, as magnitudes, and <y_i y_j> of all pairs."""
    data = tree["/pairs"].ds
    upper = np.triu_indices(data.sizes["unit"], 1)
    return data["lateral"].values[upper], data["moment"].values[upper]


def contrast(w: np.ndarray, units: np.ndarray) -> dict[str, Any]:
    """Return, for each line, the mean weight of its unit from pixels on the line and from the others."""
    on = datasets.bar_templates() > 0
    return {
        "on_line": ("bar", (w[units] * on).sum(axis=1) / on.sum(axis=1)),
        "off_line": ("bar", (w[units] * ~on).sum(axis=1) / (~on).sum(axis=1)),
    }


def mean_weight(tree: xr.DataTree, name: str) -> float:
    """Return the mean over lines of "on_line" or "off_line"."""
    return float(tree["/features"].ds[name].values.mean())


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw weights as they are learned (first seed), and rates, pairs and weights against what they should come to."""
    tree = trees[0]
    data = tree["/features"].ds
    times = [int(t) for t in data["presentations"].values if t in SHOWN]
    figure, axes = panels(2, max(len(times), 4), size=(10.2, 5.2), squeeze=False)
    for ax, time in zip(axes[0], times, strict=False):
        one = data.sel(presentations=time)
        mosaic(ax, one["w"].values, (8, 8), n_columns=4, cmap="Greys", limit=1.0)
        ax.set_title(f"after {time} patterns: {int(one['n_found'])} lines")
    for ax in [*axes[0, len(times) :], *axes[1, 4:]]:
        ax.remove()
    course, firing, joint, learned = axes[1, :4]
    for one in trees:
        found = one["/features"].ds["n_found"]
        course.plot(found["presentations"], found, "o-", color=NEUTRAL, markersize=3, linewidth=1, alpha=0.7)
    course.axhline(16, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    course.set(xlabel="patterns", ylabel="lines found", ylim=(0, 17))
    course.set_title(f"{len(trees)} seed{'s' * (len(trees) > 1)}")
    for k, one in enumerate(trees):
        firing.plot(np.sort(rates(one)), ".", color=NEUTRAL, alpha=0.7, label="seeds" if k == 0 else None)
    firing.axhline(P, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    firing.set(xlabel="unit, in order", ylabel="fraction of patterns", ylim=(0, 2.2 * P))
    firing.set_title("rates: $p$ is dashed")
    lateral, moment = (np.concatenate(parts) for parts in zip(*map(pairs, trees), strict=True))
    joint.plot(-lateral, moment, ".", color=NEUTRAL, markersize=3, alpha=0.4)
    joint.axhline(P**2, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    joint.set(xlabel="lateral weight", ylabel=r"$\langle y_i y_j\rangle$", ylim=(0, None))
    joint.set_title("pairs: $p^2$ is dashed")
    found, w = tree["/conditional"].ds["mean"].values, data["w"].values[-1]
    learned.plot(found.ravel(), w.ravel(), ".", color=NEUTRAL, markersize=3, alpha=0.4)
    learned.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, zorder=0)
    learned.plot([OFF_BAR, 1], [OFF_BAR, 1], "x", color="C3", markersize=7, label="one line and chance")
    learned.set(xlabel=r"$E[x_j|y_i = 1]$", ylabel="weight $q_{ij}$", xlim=(0, 1.05), ylim=(0, 1.05))
    learned.legend(loc="upper left")
    learned.set_title("weights (first seed)")
    panel_letters([*axes[0, : len(times)], *axes[1, :4]])
    return figure


def claim_found(*target: float) -> Any:
    """Return a check of the number of lines that units have found in the end."""
    return lambda tree: at_least(tree["/features"].ds["n_found"].values[-1], *target)


def claim_pairs(tree: xr.DataTree) -> float:
    """Return the mean of <y_i y_j> over pairs that inhibit each other, in units of p^2."""
    lateral, moment = pairs(tree)
    return float(moment[lateral > 0].mean() / P**2)


def claim_conditional(tree: xr.DataTree) -> float:
    """Return the rms difference of the weights and of the mean pattern while a unit fires."""
    return float(np.sqrt(np.mean((tree["/features"].ds["w"].values[-1] - tree["/conditional"].ds["mean"].values) ** 2)))


FOLDIAK = "Foldiak (1990), doi:10.1007/BF02331346"
FIXED = "fixed point of the published rules"
FIGURE = Figure(
    name="foldiak1990_bars",
    title="Lines found by local anti-Hebbian learning",
    source=FOLDIAK,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "lines-at-1200",
            "After 1200 patterns at least 14 of the 16 lines have a unit of their own (correlation above 0.9).",
            claim_found(14),
            f"{FOLDIAK}; 14 to 16 over four seeds of a plain loop",
            ("quick",),
        ),
        Claim(
            "lines-at-4000",
            "After 4000 patterns all 16 lines have a unit of their own.",
            claim_found(16),
            f"{FOLDIAK}; 16 in four of four seeds of a plain loop",
            ("full",),
        ),
        Claim(
            "nothing-at-first",
            "No line is found before learning.",
            lambda tree: at_most(tree["/features"].ds["n_found"].values[0], 0),
            "a control",
        ),
        Claim("mean-rate", "Units fire for p of the patterns, within 10 %, on average.",
              lambda tree: near(rates(tree).mean(), P, 0.1 * P), FIXED),
        Claim("each-rate", "Each unit does within 40 %.",
              lambda tree: at_most(np.abs(rates(tree) / P - 1).max(), 0.4), FIXED),
        Claim("pairs", "Units that inhibit each other fire together for p^2 of the patterns, within 20 % on average.",
              lambda tree: near(claim_pairs(tree), 1.0, 0.2), FIXED),
        Claim("weights", "Weights are the mean pattern while a unit fires, rms difference below 0.1.",
              lambda tree: at_most(claim_conditional(tree), 0.1), FIXED),
        Claim("on-the-line", "From pixels of its line a unit has weights of 1, within 0.05 on average.",
              lambda tree: near(mean_weight(tree, "on_line"), 1.0, 0.05), FIXED, ("full",)),
        Claim("contrast", "That is more than half a unit apart from the weights from others, on the way there, too.",
              lambda tree: at_least(mean_weight(tree, "on_line") - mean_weight(tree, "off_line"), 0.5), FIXED),
        Claim("off-the-line", "From others it has 1 - (7/8)^2 = 0.234, within 0.05 on average.",
              lambda tree: near(mean_weight(tree, "off_line"), OFF_BAR, 0.05), FIXED),
    ),
    seeds_full=5,
)  # fmt: skip
