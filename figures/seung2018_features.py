"""Features at small and large competition among the synapses of a cell: wholes and parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import FAINT, NEUTRAL, mosaic, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "bars", "n_minibatches": 1000, "kappas": (0.003, 0.03, 0.1), "rates": learning.BARS},
    False: {"data": "mnist", "n_minibatches": 6000, "kappas": (0.003, 0.02), "rates": {}},
}
N_SHOWN = 64


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn at each kappa/gamma (gamma = 1)."""
    setting = SETTINGS[quick]
    data = learning.images(setting["data"], seed)
    rows, weights = [], []
    for kappa in setting["kappas"]:
        circuit = (seung2018.bars if quick else seung2018.mnist)(kappa=kappa, **setting["rates"])
        tree = learning.learn(circuit, data, setting["n_minibatches"], engine, seed)
        found = int(analysis.matched_features(tree, datasets.bar_templates())["n_found"]) if quick else -1
        rows.append({**learning.measures(tree), "n_found": found})
        weights.append(learning.final_weights(tree))
    groups = {
        "/measures": learning.table(rows, "kappa", setting["kappas"]),
        "/features": xr.Dataset({"w": (("kappa", "post", "pre"), np.stack(weights))}),
        "/images": xr.Dataset({"u": (("image", "pixel"), data[:N_SHOWN].values.astype(np.float32))}),
    }
    return learning.combined(groups, engine, data=setting["data"], side=int(data.n_features**0.5))


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw stimuli, features of the first seed at the ends of the scale, and how many synapses survive."""
    tree = trees[0]
    kappas, weights, side = tree["/measures"].ds["kappa"].values, tree["/features"].ds["w"].values, tree.attrs["side"]
    figure, axes = panels(1, 4, size=(10.2, 2.75), width_ratios=(1, 1, 1, 1.05))
    n_cells = weights.shape[1]
    n_columns = int(np.ceil(n_cells**0.5))
    mosaic(axes[0], tree["/images"].ds["u"].values[:n_cells], (side, side), n_columns=n_columns, cmap="Greys")
    axes[0].set_title(f"stimuli ({tree.attrs['data']})")
    for ax, row in zip(axes[1:3], (0, -1), strict=True):
        mosaic(ax, weights[row], (side, side), n_columns=n_columns, scale="each")
        ax.set_title(rf"features, $\kappa/\gamma$ = {kappas[row]:g}")
    survivors = 100 * learning.by_seed(trees, "nonzero")
    axes[3].plot(kappas, survivors.T, "o-", color=NEUTRAL, alpha=0.7, linewidth=1)
    axes[3].axhline(25, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[3].annotate(
        "target at the largest", (kappas[0], 25), (0, -9), textcoords="offset points", color=NEUTRAL, fontsize="small"
    )
    axes[3].set(
        xscale="log", ylim=(0, max(1.1 * survivors.max(), 50)), xlabel=r"$\kappa/\gamma$", ylabel="non-zero weights (%)"
    )
    axes[3].set_xticks(kappas, [f"{kappa:g}" for kappa in kappas])
    axes[3].minorticks_off()
    axes[3].set_title(f"synapses that survive ({len(trees)} seed{'s' * (len(trees) > 1)})")
    panel_letters(axes)
    return figure


def claim_at(name: str, row: int, verdict: Any, *target: float) -> Any:
    """Return a check of a measure at the kappa/gamma of that row."""
    return lambda tree: verdict(learning.measured(tree, name)[row], *target)


SEUNG = "Seung (2018), arXiv:1812.11581, abstract"
TARGET = "targets of this package on MNIST, 64 E, 16 I, p/q 0.3, kappa/gamma 0.003, 6000 minibatches"
FIGURE = Figure(
    name="seung2018_features",
    title="Features at small and large kappa/gamma: wholes and parts",
    source="Seung (2018), arXiv:1812.11581",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "parts",
            "At the largest kappa/gamma fewer than 25 % of the weights are not zero.",
            claim_at("nonzero", -1, at_most, 0.25),
            SEUNG,
        ),
        Claim(
            "wholes",
            "At the smallest kappa/gamma at least 10 % more of the weights are not zero.",
            lambda tree: at_least(-np.diff(learning.measured(tree, "nonzero")[[0, -1]])[0], 0.1),
            SEUNG,
            beyond_spread=True,
        ),
        Claim(
            "bars",
            "At kappa/gamma 0.03 each of the 16 bars has a cell of its own (correlation above 0.9).",
            claim_at("n_found", 1, at_least, 16),
            "target of this package",
            ("quick",),
        ),
        Claim(
            "power",
            "At the smallest kappa/gamma the median power of E cells is q^2 within 10 %.",
            claim_at("median_power", 0, near, 1.0, 0.1),
            TARGET,
        ),
        Claim("silent", "No E cell is silent.", claim_at("n_silent", 0, at_most, 0), TARGET),
        Claim(
            "balance",
            "Inhibition of active E cells is their excitation, slope above 0.95.",
            claim_at("slope", 0, at_least, 0.95),
            TARGET,
            ("full",),
        ),
        Claim(
            "most-cosines",
            "95 % of the cosines of two E cells are below 0.25.",
            claim_at("percentile_95", 0, at_most, 0.25),
            TARGET,
        ),
        Claim("largest-cosine", "All are below 0.5.", claim_at("largest_cosine", 0, at_most, 0.5), TARGET),
        Claim(
            "duplicates",
            "At most 12 pairs of features have a cosine above 0.9.",
            claim_at("n_duplicates", 0, at_most, 12),
            TARGET,
        ),
    ),
    seeds_full=5,
    needs=("mnist",),
)
