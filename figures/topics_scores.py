"""T5: coherence, diversity and purity of topics against their number, beside LDA and NMF."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import curve, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_topics": (4, 8), "n_minibatches": 600, "n_passes": 10},
    False: {"n_topics": (5, 10, 20), "n_minibatches": 3000, "n_passes": 30},
}
DISYNAPTIC, MODELS = shared.DISYNAPTIC, shared.MODELS
SHOWN = {
    "coherence": "NPMI, whole documents",
    "c_v": r"$C_V$, window 110",
    "diversity": "topic diversity",
    "purity": "purity",
}
LEAST_DIVERSITY = {5: 0.9, 10: 0.85, 20: 0.8}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Fit all models with each number of topics."""
    setting = SETTINGS[quick]
    texts = shared.written(seed, 8, 160, 400, falling=1.0)[1] if quick else shared.corpus("BBC News")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in MODELS}
    for n_topics in setting["n_topics"]:
        for model, scores in shared.compared(
            texts, n_topics, seed, setting["n_minibatches"], setting["n_passes"]
        ).items():
            rows[model].append(scores)
    coords = {"model": list(MODELS), "n_topics": list(setting["n_topics"])}
    values = {
        name: (("model", "n_topics"), [[row[name] for row in rows[model]] for model in MODELS])
        for name in rows[DISYNAPTIC][0]
    }
    tree = xr.DataTree.from_dict({"/measures": xr.Dataset(values, coords=coords)})
    tree.attrs |= {"engine": shared.own_engine("topics_scores", engine), "data": texts.name}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw each score against the number of topics, a line for each model."""
    tree = trees[0]
    shown = {name: label for name, label in SHOWN.items() if name in tree["/measures"].ds}
    figure, axes = panels(1, len(shown), size=(2.9 * len(shown), 2.9))
    numbers = tree["/measures"].ds["n_topics"].values
    for ax, (name, label) in zip(axes, shown.items(), strict=True):
        for k, model in enumerate(MODELS):
            values = np.stack([one["/measures"].ds[name].sel(model=model).values for one in trees])
            curve(ax, numbers, values, colour=f"C{k}", label=model)
        ax.set(xlabel="topics", ylabel=label, xticks=numbers)
        ax.set_ylim(None, 1.0 if name in ("diversity", "purity") else None)
    axes[0].set_title(shared.draw_title(tree, trees))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    panel_letters(axes)
    return figure


def claim_of(tree: xr.DataTree, name: str, model: str) -> np.ndarray:
    """Return a score of a model for all numbers of topics."""
    return np.asarray(tree["/measures"].ds[name].sel(model=model).values)


def claim_margin(name: str, than: str, factor: float = 1.0, offset: float = 0.0) -> Any:
    """Return a check that a score is at least that of another model times a factor plus an offset, in the mean."""

    def check(tree: xr.DataTree) -> Any:
        other = factor * claim_of(tree, name, than) + offset
        return at_least((claim_of(tree, name, DISYNAPTIC) - other).mean(), 0.0)

    return check


def claim_diversity(tree: xr.DataTree) -> Any:
    """Check the diversity for each number of topics."""
    least = [LEAST_DIVERSITY[int(n)] for n in tree["/measures"].ds["n_topics"].values]
    return at_least((claim_of(tree, "diversity", DISYNAPTIC) - least).min(), 0.0)


TARGET = "a default of this package; first runs gave NPMI .32, .32 and .33"
FIGURE = Figure(
    name="topics_scores",
    title="Scores of topics beside LDA and NMF",
    source=shared.SLIDES + ": similar to LDA, without a number",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "alive",
            "No topic is silent, whatever their number.",
            lambda tree: at_least(claim_of(tree, "alive", DISYNAPTIC).min(), 1.0),
            "a collapsed circuit has silent cells",
        ),
        Claim(
            "lda",
            "In the mean over numbers of topics, NPMI is at least that of LDA and 0.05.",
            claim_margin("coherence", "LDA", offset=0.05),
            TARGET,
            when=("full",),
        ),
        Claim(
            "nmf",
            "In the mean over numbers of topics, NPMI is at least 0.9 of that of NMF.",
            claim_margin("coherence", "NMF", factor=0.9),
            TARGET,
            when=("full",),
        ),
        Claim(
            "diversity",
            "Diversity is at least 0.9, 0.85 and 0.8 for 5, 10 and 20 topics.",
            claim_diversity,
            TARGET,
            when=("full",),
        ),
        Claim(
            "purity",
            "In the mean over numbers of topics, purity is at least that of LDA less 0.03.",
            claim_margin("purity", "LDA", offset=-0.03),
            TARGET,
            when=("full",),
        ),
    ),
    needs=("bbc_news",),
)
