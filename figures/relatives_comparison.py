"""Networks that learn features with inhibition, on the same inputs: what they find, and at what expense.

Bars and digits are not negative, whitened natural images are of either sign, some networks spike: `_relatives` says in
which form each network is shown them. No cell of the table is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.figures import _learning as learning
from neurocircuits.figures import _relatives as relatives
from neurocircuits.plotting import FAINT, mosaic, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

NATURAL = relatives.INPUTS[-1]
SPARSE = ("seung2018", "seung_zung2017", "foldiak1990")  # whose publications speak of parts or independent causes
SPIKING = ("zylberberg2011", "king2013")
LATERAL = ("seung_zung2017", "luther2019", "foldiak1990", "pehlevan2014", "pehlevan2018", "zylberberg2011")
HALF = ("seung2018", "king2013")  # with half as many inhibitory cells
WHITE, LINEAR = "pehlevan2015", "pehlevan2018"
DRAWN = {
    "correlation": "rms correlation of two cells",
    "sparseness": "population sparseness",
    "error": "variance not reconstructed",
    "oriented": "share of oriented features",
    "n_inhibitory": "synapses that inhibit",
    "milliseconds": "ms per presentation",
}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Let each network learn from each kind of inputs; every network keeps its own engine."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    shape = (len(relatives.INPUTS), len(relatives.NETWORKS), relatives.N_CELLS, relatives.SIDE**2)
    features = np.full(shape, np.nan, dtype=np.float32)
    for i, name in enumerate(relatives.INPUTS):
        data = relatives.images(name, quick, seed)
        rows[name] = {}
        for k, (network, row) in enumerate(relatives.NETWORKS.items()):
            rows[name][network], features[i, k] = relatives.learned(row, name, data, quick, seed)
    found = [int(analysis.match_templates(w, datasets.bar_templates())["n_found"]) for w in features[0]]
    groups = {
        "/measures": relatives.table(rows),
        "/features": xr.Dataset(
            {"w": (("input", "network", "cell", "pixel"), features), "n_bars": ("network", found)},
            {"input": list(relatives.INPUTS), "network": list(relatives.NETWORKS)},
        ),
    }
    return learning.combined(groups, tuple(row.engine for row in relatives.NETWORKS.values()))


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the features of the first seed for each kind of inputs, and the measures of all seeds."""
    features = trees[0]["/features"].ds
    names = [str(name) for name in features["network"].values]
    figure, whole = panels(size=(13.0, 8.2))
    whole.remove()
    above, below = figure.subfigures(2, 1, height_ratios=(1.75, 1.0))
    tiles = above.subplots(len(relatives.INPUTS), len(names), squeeze=False)
    for i, images in enumerate(relatives.INPUTS):
        for k, name in enumerate(names):
            ax, w = tiles[i, k], features["w"].values[i, k]
            mosaic(ax, w, (relatives.SIDE, relatives.SIDE), n_columns=4, scale="each")
            if i == 0:
                ax.set_title(f"{name}\n{int(features['n_bars'].values[k])} of 16 bars", fontsize="medium")
        tiles[i, 0].annotate(
            images, (-0.06, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center", fontsize="large"
        )
    axes = below.subplots(1, len(DRAWN), sharey=True)
    places = np.arange(len(names))
    for ax, (measure, label) in zip(axes, DRAWN.items(), strict=True):
        for i, images in enumerate(relatives.INPUTS):
            for tree in trees:
                values = tree["/measures"].ds[measure].sel(input=images).values
                shown = images if tree is trees[0] else None
                ax.plot(values, places + 0.2 * (i - 1), "so^"[i], color=f"C{i}", markersize=4, alpha=0.8, label=shown)
        ax.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        for place in places[:-1] + 0.5:
            ax.axhline(place, color=FAINT, linewidth=0.4)
        if measure == "milliseconds":
            ax.set_xscale("log")
        else:
            ax.set_xlim(0, 1.08 * ax.get_xlim()[1])
    axes[0].set_yticks(places, names)
    below.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(relatives.INPUTS))
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
    return float((measured(tree, "sparseness", *SPARSE, *SPIKING) - measured(tree, "sparseness", LINEAR)).min())


def claim_fewest(tree: xr.DataTree) -> float:
    """Return the inhibitory synapses of networks with half as many inhibitory cells, relative to lateral ones."""
    counts = tree["/measures"].ds["n_inhibitory"]
    fewer, more = (counts.sel(network=list(names)).values for names in (HALF, LATERAL))
    return float(fewer.max() / more.min())


def claim_rates(tree: xr.DataTree) -> float:
    """Return the largest relative distance of the mean count of a spiking network from its target."""
    found = [
        abs(float(measured(tree, "rate", name, images=images)[0]) / relatives.target(name, images) - 1)
        for name in SPIKING
        for images in relatives.INPUTS
    ]
    return float(np.max(found))


def bars_of(tree: xr.DataTree, *networks: str) -> np.ndarray:
    """Return how many bars networks found."""
    return np.asarray(tree["/features"].ds["n_bars"].sel(network=list(networks)).values)


OWN = "target of this package"
FIGURE = Figure(
    name="relatives_comparison",
    title="Networks with inhibition, side by side",
    source="Seung (2018); Seung, Zung (2017); Foldiak (1990); Pehlevan, Chklovskii (2014, 2015); Pehlevan et al. "
    "(2018); Zylberberg et al. (2011); King et al. (2013)",
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
            "The principal subspace has none, whitened or not.",
            lambda tree: at_most(bars_of(tree, LINEAR, WHITE).max(), 0),
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
            "Rates of these three and of the spiking networks are sparser than those of the principal subspace, by 0.2 "
            "or more, on all inputs.",
            lambda tree: at_least(claim_sparser(tree), 0.2),
            OWN,
        ),
        Claim(
            "decorrelated",
            "On bars cells of the three have an rms correlation below 0.1.",
            lambda tree: at_most(measured(tree, "correlation", *SPARSE, images="bars").max(), 0.1),
            OWN,
        ),
        Claim(
            "counts-decorrelated",
            "Spike counts of SAILnet on natural images hardly correlate: 0.1 at most, root mean square.",
            lambda tree: at_most(measured(tree, "correlation", "zylberberg2011", images=NATURAL)[0], 0.1),
            "Zylberberg et al. (2011), figure 5",
        ),
        Claim(
            "lateral-decorrelates-more",
            "On natural images counts correlate less in SAILnet than in E-I Net, whose few cells inhibit indirectly.",
            lambda tree: at_most(float(np.divide(*measured(tree, "correlation", *SPIKING, images=NATURAL))), 1.0),
            "King et al. (2013), stored results: 0.099 and 0.121 in hundreds of samples, where 0.1 is independence",
        ),
        Claim(
            "whitened",
            "Whitened cells have an rms correlation below 0.1 on digits and natural images (bars have but 15 modes).",
            lambda tree: at_most(
                max(measured(tree, "correlation", WHITE, images=name)[0] for name in relatives.INPUTS[1:]), 0.1
            ),
            "Pehlevan and Chklovskii (2015): the covariance of the cells is the identity",
        ),
        Claim(
            "rates",
            "Spike counts of both spiking networks are within a fifth of their targets on all inputs.",
            lambda tree: at_most(claim_rates(tree), 0.2),
            "both publications; the tolerance is a default",
            when=("full",),
        ),
        Claim(
            "oriented",
            "More than half of the fields of both spiking networks on natural images are oriented.",
            lambda tree: at_least(measured(tree, "oriented", *SPIKING, images=NATURAL).min(), 0.5),
            "the titles of both; 69 % in both networks that King et al. (2013) stored",
            when=("full",),
        ),
        Claim(
            "fewest-synapses",
            "Networks with half as many inhibitory cells have 0.8 of the inhibitory synapses of lateral ones at most.",
            lambda tree: at_most(claim_fewest(tree), 0.8),
            "half as many cells, which in E-I Net inhibit each other, too: (16 + 7)/(2 x 15)",
        ),
        Claim(
            "nobody-silent",
            "No cell of any network is silent.",
            lambda tree: at_most(measured(tree, "n_silent").max(), 0),
            OWN,
        ),
    ),
    needs=("natural_images",),
)
