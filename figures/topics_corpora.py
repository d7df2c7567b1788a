"""Scores of topics of titles of papers (M10) and of posts (20 Newsgroups), beside LDA, NMF and published numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_topics": 4, "n_minibatches": 600, "n_passes": 3},
    False: {"n_topics": 20, "n_minibatches": 3000, "n_passes": 30},
}
M10, NEWSGROUPS = "M10", "20 Newsgroups"
DISYNAPTIC, MODELS = shared.DISYNAPTIC, shared.MODELS
SHOWN = {
    "coherence": "NPMI, whole documents",
    "npmi_10": "NPMI, window 10",
    "c_v": r"$C_V$, window 110",
    "diversity": "topic diversity",
    "purity": "purity",
}
# 20 topics of 20 Newsgroups as OCTIS prepares it (16 309 posts, 1612 words), mean of three seeds: result files of
# Grootendorst (2022), arXiv:2203.05794. Here posts are the 11 314 of the training part, without headers and quotes.
PUBLISHED = {"npmi_10": {"LDA": 0.062, "NMF": 0.103}, "diversity": {"LDA": 0.760, "NMF": 0.727}}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Fit all models to each corpus."""
    setting = SETTINGS[quick]
    if quick:
        corpora = [shared.written(seed + k, 4 * (k + 1), 160, 400, falling=1.0)[1] for k in (0, 1)]
    else:
        corpora = [shared.corpus(name) for name in (M10, NEWSGROUPS)]
    found = [
        shared.compared(texts, setting["n_topics"], seed, setting["n_minibatches"], setting["n_passes"])
        for texts in corpora
    ]
    names = [f"{texts.name}, {k + 1}" if quick else texts.name for k, texts in enumerate(corpora)]
    values = {
        name: (("corpus", "model"), [[each[model][name] for model in MODELS] for each in found])
        for name in found[0][DISYNAPTIC]
    }
    data = xr.Dataset(values, coords={"corpus": names, "model": list(MODELS)})
    tree = xr.DataTree.from_dict({"/measures": data})
    tree.attrs |= {"engine": shared.own_engine("topics_corpora", engine), "n_topics": setting["n_topics"]}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw each score of each model and seed, by corpus, with published numbers where there are some."""
    data = trees[0]["/measures"].ds
    shown = {name: label for name, label in SHOWN.items() if name in data}
    corpora = [str(name) for name in data["corpus"].values]
    figure, axes = panels(1, len(shown), size=(2.5 * len(shown), 3.1))
    at, marks = np.arange(len(MODELS)), ("o", "s")
    for ax, (name, label) in zip(axes, shown.items(), strict=True):
        for k, corpus in enumerate(corpora):
            for one in trees:
                scores = one["/measures"].ds[name].sel(corpus=corpus).values
                line = ax.plot(at + 0.24 * k - 0.12, scores, marks[k], color=f"C{k}", markersize=4, alpha=0.75)[0]
            line.set_label(corpus)
        if corpora[-1] == NEWSGROUPS:
            for model, score in PUBLISHED.get(name, {}).items():
                spot = MODELS.index(model) + 0.12
                ax.hlines(score, spot - 0.3, spot + 0.3, color=NEUTRAL, linewidth=1.2)
        ax.set_xticks(at, MODELS, rotation=35, ha="right")
        ax.set(ylabel=label, xlim=(-0.5, len(MODELS) - 0.5))
        lowest = min(float(one["/measures"].ds[name].min()) for one in trees)  # NPMI may be below 0
        ax.set_ylim(min(0.0, lowest - 0.03), 1.02 if name in ("diversity", "purity") else None)
        ax.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    if corpora[-1] == NEWSGROUPS:
        axes[0].plot([], [], color=NEUTRAL, linewidth=1.2, label="published, 20 Newsgroups prepared otherwise")
    axes[0].set_title(f"{trees[0].attrs['n_topics']} topics, {len(trees)} seed{'s' * (len(trees) > 1)}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    panel_letters(axes)
    return figure


def claim_score(tree: xr.DataTree, name: str, model: str = DISYNAPTIC) -> np.ndarray:
    """Return a score of a model for both corpora."""
    return np.asarray(tree["/measures"].ds[name].sel(model=model).values)


def claim_beside(name: str, than: str, factor: float = 1.0, offset: float = 0.0) -> Any:
    """Return a check that on each corpus a score is at least that of another model times a factor plus an offset."""

    def check(tree: xr.DataTree) -> Any:
        return at_least((claim_score(tree, name) - factor * claim_score(tree, name, than) - offset).min(), 0.0)

    return check


def claim_newsgroups(name: str, least: float) -> Any:
    """Return a check of a score on 20 Newsgroups."""
    return lambda tree: at_least(tree["/measures"].ds[name].sel(corpus=NEWSGROUPS, model=DISYNAPTIC), least)


TARGET = "the target of topics_scores for BBC News, set before any run on these corpora in this figure"
LIKE_LDA = "Grootendorst (2022), arXiv:2203.05794: result files of LDA, 20 topics of 20 Newsgroups prepared by OCTIS"
FIGURE = Figure(
    name="topics_corpora",
    title="Scores of topics of M10 and 20 Newsgroups",
    source=shared.SLIDES + ": similar to LDA, without a number",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "alive",
            "No topic is silent.",
            lambda tree: at_least(claim_score(tree, "alive").min(), 1.0),
            "a collapsed circuit has silent cells",
        ),
        Claim(
            "lda",
            "On each corpus NPMI is at least that of LDA and 0.05.",
            claim_beside("coherence", "LDA", offset=0.05),
            TARGET,
            when=("full",),
        ),
        Claim(
            "nmf",
            "On each corpus NPMI is at least 0.9 of that of NMF.",
            claim_beside("coherence", "NMF", factor=0.9),
            TARGET,
            when=("full",),
        ),
        Claim(
            "diversity",
            "On each corpus diversity is 0.8 or more.",
            lambda tree: at_least(claim_score(tree, "diversity").min(), 0.8),
            TARGET,
            when=("full",),
        ),
        Claim(
            "purity",
            "On each corpus purity is at least that of LDA less 0.03.",
            claim_beside("purity", "LDA", offset=-0.03),
            TARGET,
            when=("full",),
        ),
        Claim(
            "published-coherence",
            "On 20 Newsgroups NPMI in windows of 10 words is at least the published one of LDA.",
            claim_newsgroups("npmi_10", PUBLISHED["npmi_10"]["LDA"]),
            LIKE_LDA,
            when=("full",),
        ),
        Claim(
            "published-diversity",
            "On 20 Newsgroups diversity is at least the published one of LDA.",
            claim_newsgroups("diversity", PUBLISHED["diversity"]["LDA"]),
            LIKE_LDA,
            when=("full",),
        ),
    ),
    needs=("m10", "newsgroups20"),
)
