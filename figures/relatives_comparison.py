"""Networks that learn features with inhibition, on the same inputs: what they find, and at what expense."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.figures import _learning as learning
from neurocircuits.figures import _relatives as relatives
from neurocircuits.plotting import FAINT, mosaic, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

INPUTS = ("bars", "digits")
N_BARS = 6000
SPARSE = ("seung2018", "seung_zung2017", "foldiak1990")  # whose publications speak of parts or independent causes
LINEAR = "pehlevan2018"
DRAWN = {
    "correlation": "rms correlation of two cells",
    "sparseness": "population sparseness",
    "error": "variance not reconstructed",
    "n_inhibitory": "inhibitory synapses",
    "milliseconds": "ms per presentation",
}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Let each network learn from each kind of inputs; every network keeps its own engine."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    weights = np.full((len(INPUTS), len(relatives.NETWORKS), relatives.N_CELLS, 64), np.nan, dtype=np.float32)
    for i, name in enumerate(INPUTS):
        data = datasets.bars(N_BARS, rng=seed) if name == "bars" else datasets.digits()
        rows[name] = {}
        for k, (network, row) in enumerate(relatives.NETWORKS.items()):
            rows[name][network], weights[i, k] = relatives.learned(row, name, data, quick, seed)
    found = [int(analysis.match_templates(w, datasets.bar_templates())["n_found"]) for w in weights[0]]
    groups = {
        "/measures": relatives.table(rows),
        "/features": xr.Dataset(
            {"w": (("input", "network", "cell", "pixel"), weights), "n_bars": ("network", found)},
            {"input": list(INPUTS), "network": list(relatives.NETWORKS)},
        ),
    }
    return learning.combined(groups, tuple(row.engine for row in relatives.NETWORKS.values()))


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the features of the first seed for each kind of inputs, and the measures of all seeds."""
    features = trees[0]["/features"].ds
    names = [str(name) for name in features["network"].values]
    figure, axes = panels(3, len(names), size=(13.0, 7.2), squeeze=False, height_ratios=(1, 1, 1.15))
    for i, images in enumerate(INPUTS):
        for k, name in enumerate(names):
            w = features["w"].values[i, k]
            mosaic(axes[i, k], w, (8, 8), n_columns=4, scale="each")
            found = f": {int(features['n_bars'].values[k])} bars" if images == "bars" else f", {images}"
            axes[i, k].set_title(f"{name}{found}", fontsize="small")
    places = np.arange(len(names))
    for ax, (measure, label) in zip(axes[2], DRAWN.items(), strict=False):
        for i, images in enumerate(INPUTS):
            for tree in trees:
                values = tree["/measures"].ds[measure].sel(input=images).values
                shown = images if tree is trees[0] else None
                ax.plot(
                    places + 0.14 * (2 * i - 1), values, "so"[i], color=f"C{i}", markersize=4, alpha=0.8, label=shown
                )
        ax.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor")
        ax.set(ylabel=label, xlim=(-0.6, len(names) - 0.4))
        ax.grid(axis="y", color=FAINT, linewidth=0.4)
        if measure == "milliseconds":
            ax.set_yscale("log")
        else:
            ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    axes[2, 0].legend()
    for ax in axes[2, len(DRAWN) :]:
        ax.remove()
    panel_letters([*axes[0], *axes[1], *axes[2, : len(DRAWN)]])
    return figure


def measured(tree: xr.DataTree, name: str, *networks: str, images: str | None = None) -> np.ndarray:
    """Return a measure of some networks on one kind of inputs, or on all."""
    data = tree["/measures"].ds[name].sel(network=list(networks) or tree["/measures"].ds["network"].values)
    return np.asarray((data if images is None else data.sel(input=images)).values)


def claim_best(tree: xr.DataTree) -> float:
    """Return by how much any network leaves less variance than the linear one, at most."""
    return float((measured(tree, "error", LINEAR) - measured(tree, "error")).max())


def claim_sparser(tree: xr.DataTree) -> float:
    """Return by how much sparse networks are sparser than the linear one, at least."""
    return float((measured(tree, "sparseness", *SPARSE) - measured(tree, "sparseness", LINEAR)).min())


def claim_fewest(tree: xr.DataTree) -> float:
    """Return the inhibitory synapses of the disynaptic network, relative to those of any other network, at most."""
    counts = measured(tree, "n_inhibitory")
    return float((counts[:, :1] / counts[:, 1:]).max())


def bars_of(tree: xr.DataTree, *networks: str) -> np.ndarray:
    """Return how many bars networks found."""
    return np.asarray(tree["/features"].ds["n_bars"].sel(network=list(networks)).values)


OWN = "target of this package"
FIGURE = Figure(
    name="relatives_comparison",
    title="Networks with inhibition, side by side",
    source="Seung (2018); Seung, Zung (2017); Foldiak (1990); Pehlevan, Chklovskii (2014); Pehlevan et al. (2018)",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "bars",
            "The disynaptic network, the all-to-all game and Foldiak's network find 14 of 16 bars or more.",
            lambda tree: at_least(bars_of(tree, *SPARSE).min(), 14),
            "the publications, and the targets of their own figures here",
        ),
        Claim(
            "a-subspace-has-no-bars",
            "The principal subspace has none.",
            lambda tree: at_most(bars_of(tree, LINEAR).max(), 0),
            "a control",
        ),
        Claim(
            "linear-reconstructs-best",
            "To linear regression no network leaves 0.02 less of the inputs' variance than the principal subspace.",
            lambda tree: at_most(claim_best(tree), 0.02),
            "Eckart and Young (1936): the subspace is the best of its dimension",
        ),
        Claim(
            "sparser",
            "Their rates are sparser than those of the principal subspace, by 0.2 or more, on all inputs.",
            lambda tree: at_least(claim_sparser(tree), 0.2),
            OWN,
        ),
        Claim(
            "decorrelated",
            "On bars their cells have an rms correlation below 0.1.",
            lambda tree: at_most(measured(tree, "correlation", *SPARSE, images="bars").max(), 0.1),
            OWN,
        ),
        Claim(
            "fewest-synapses",
            "The disynaptic network has the fewest inhibitory synapses, at most 0.6 of those of the others.",
            lambda tree: at_most(claim_fewest(tree), 0.6),
            "half as many inhibitory cells",
        ),
        Claim(
            "nobody-silent",
            "No cell of any network is silent.",
            lambda tree: at_most(measured(tree, "n_silent").max(), 0),
            OWN,
        ),
    ),
    needs=(),
)
