"""T6: few inhibitory cells decorrelate topics; what keeps two topics from being the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import curve, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_topics": 8, "n_inhibitory": (1, 2, 8), "n_minibatches": 400, "n_passes": 20},
    False: {"n_topics": 20, "n_inhibitory": (1, 5, 10, 20), "n_minibatches": 3000, "n_passes": 30},
}
WHEN = ("from the start", "later")


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with different numbers of I cells, and with competition between words from the start or later."""
    setting = SETTINGS[quick]
    n_topics, n_minibatches = setting["n_topics"], setting["n_minibatches"]
    common = {"n_minibatches": n_minibatches, "duplicates": None}
    if quick:
        texts = other = shared.written(seed, n_topics, 160, 600, falling=1.0)[1]
    else:
        texts, other = shared.corpus("BBC News"), shared.corpus(shared.DESCRIPTIONS)
    rows = []
    for n_inhibitory in setting["n_inhibitory"]:
        learned = shared.circuit(texts, n_topics, seed, n_inhibitory=n_inhibitory, **common)
        rows.append(_measured(learned, texts))
    learned = shared.circuit(other, n_topics, seed, **common)
    later = shared.sparser(learned, other, shared.WIDE, setting["n_passes"])
    late = shared.measures(later.components_, later.transform(other.documents), other)
    soon = shared.circuit(other, n_topics, seed, kappa=shared.WIDE, **common)
    early = shared.measures(soon.components_, soon.transform(other.documents), other)
    numbers = {"n_inhibitory": list(setting["n_inhibitory"])}
    groups = {
        "/measures": xr.Dataset({k: ("n_inhibitory", [row[k] for row in rows]) for k in rows[0]}, coords=numbers),
        "/competition": xr.Dataset({k: ("when", [early[k], late[k]]) for k in early}, coords={"when": list(WHEN)}),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": shared.own_engine("topics_inhibition", engine), "data": texts.name, "other": other.name}
    return tree


def _measured(learned: Any, texts: shared.Texts) -> dict[str, float]:
    cosines = analysis.decorrelation(learned.tree_, phase="probe")
    return {
        **shared.measures(learned.components_, learned.transform(texts.documents), texts),
        "mean_score_cosine": float(cosines["mean_cosine"]),
        "largest_score_cosine": float(cosines["largest_cosine"]),
    }


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw cosines, duplicates and scores against the number of I cells, and duplicates by when competition begins."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(11.4, 2.8), width_ratios=(1, 1, 1, 0.8))
    numbers = tree["/measures"].ds["n_inhibitory"].values
    for ax, names, label in (
        (axes[0], {"largest_score_cosine": "largest", "mean_score_cosine": "mean"}, "cosine of two topics' scores"),
        (axes[1], {"duplicates": "cosine of words above 0.5"}, "pairs of topics"),
        (axes[2], {"diversity": "diversity", "coherence": "NPMI", "purity": "purity"}, "score"),
    ):
        for k, (name, text) in enumerate(names.items()):
            values = np.stack([one["/measures"].ds[name].values for one in trees])
            curve(ax, numbers, values, colour=f"C{k}", label=text)
        ax.set(xlabel="I cells", ylabel=label, ylim=(0, None), xscale="log")
        ax.set_xticks(numbers, [str(n) for n in numbers])
        ax.minorticks_off()
        ax.legend()
    axes[0].set_title(shared.draw_title(tree, trees))
    pairs = np.stack([one["/competition"].ds["duplicates"].values for one in trees])
    axes[3].bar(range(2), pairs.mean(axis=0), 0.6, color=["C3", "C2"])
    axes[3].plot(np.tile(range(2), len(pairs)), pairs.ravel(), "k.", markersize=4)
    axes[3].set_xticks(range(2), WHEN)
    axes[3].set(ylabel="pairs of topics", xlabel=r"$\kappa/\gamma$ = 1/50", ylim=(0, max(1, pairs.max() * 1.1)))
    axes[3].set_title(tree.attrs["other"], fontsize="small")
    panel_letters(axes)
    return figure


def claim_of(tree: xr.DataTree, name: str) -> np.ndarray:
    """Return a measure for all numbers of I cells."""
    return np.asarray(tree["/measures"].ds[name].values)


def claim_fall(tree: xr.DataTree) -> float:
    """Return by what the largest cosine of scores falls from one I cell to as many as topics."""
    cosines = claim_of(tree, "largest_score_cosine")
    return float(cosines[0] - cosines[-1])


def claim_few(tree: xr.DataTree) -> float:
    """Return the diversity at a quarter of I cells over that at as many as topics."""
    diversity = claim_of(tree, "diversity")
    return float(diversity[1] / diversity[-1])


def claim_duplicates(tree: xr.DataTree) -> float:
    """Return how many pairs more there are with competition from the start."""
    pairs = tree["/competition"].ds["duplicates"].values
    return float(pairs[0] - pairs[1])


FIGURE = Figure(
    name="topics_inhibition",
    title="Topics and the number of inhibitory cells",
    source=shared.SLIDES + "; Seung (2018), arXiv:1812.11581",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "more-complete",
            "The largest cosine of two topics' scores is smaller with as many I cells as topics than with one.",
            lambda tree: at_least(claim_fall(tree), 0.0),
            "Seung (2018), arXiv:1812.11581, abstract: more I cells make decorrelation more complete",
            beyond_spread=True,
        ),
        Claim(
            "few",
            "A quarter as many I cells as topics gives at least 0.9 of the diversity that as many give.",
            lambda tree: at_least(claim_few(tree), 0.9),
            "slides: few I cells suffice; the number is a default of this package",
        ),
        Claim(
            "late",
            "Fewer topics are alike where competition between words comes later than from the start.",
            lambda tree: at_least(claim_duplicates(tree), 1.0),
            "found with this package: cells that compete for words early cannot leave what they share",
            when=("full",),
        ),
    ),
    needs=("bbc_news", "dataset_descriptions"),
)
