"""T1: documents as bags of words, topics as weights, scores as rates; topics that are known are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import PowerNorm

from neurocircuits import analysis
from neurocircuits.figures import _topics as shared
from neurocircuits.models import seung2018
from neurocircuits.plotting import EXCITATORY_MAP, network, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least

SETTINGS: dict[bool, dict[str, int]] = {
    True: {"n_topics": 10, "n_words": 200, "n_documents": 1000, "n_minibatches": 800},
    False: {"n_topics": 10, "n_words": 200, "n_documents": 1000, "n_minibatches": 3000},
}
N_SHOWN = 60


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Write documents of known topics, learn from them, and match what was learned with what was written."""
    sizes = dict(SETTINGS[quick])
    n_minibatches = sizes.pop("n_minibatches")
    topics, texts = shared.written(seed, **sizes)
    learned = shared.circuit(texts, len(topics), seed, n_minibatches=n_minibatches)
    matched = analysis.match_topics(topics, learned.components_)
    partner = matched["partner"].values
    scores = learned.transform(texts.documents)[:, partner]
    order = np.argsort(np.asarray(texts.labels)[:N_SHOWN], kind="stable")
    shown = {
        "counts": (("word", "document"), texts.counts[:N_SHOWN][order].toarray().T.astype(float)),
        "weights": (("topic", "word"), learned.components_[partner]),
        "scores": (("topic", "document"), scores[:N_SHOWN][order].T),
    }
    found = {
        "cosine": ("topic", matched["cosine"].values),
        "agreement": ((), float((scores.argmax(axis=1) == texts.labels).mean())),
        "mean_cosine": ((), float(matched["mean_cosine"])),
    }
    tree = xr.DataTree.from_dict({"/shown": xr.Dataset(shown), "/found": xr.Dataset(found)})
    tree.attrs |= {"engine": shared.own_engine("topics_method", engine), "data": texts.name, **sizes}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the circuit and the three matrices that it links: counts, weights and scores."""
    tree = trees[0]
    n_topics, n_words = int(tree.attrs["n_topics"]), int(tree.attrs["n_words"])
    figure, axes = panels(1, 4, size=(10.6, 2.9), width_ratios=(1.15, 1, 1, 1))
    network(axes[0], seung2018.circuit(n_words, n_topics, max(2, n_topics // 4)))
    axes[0].set_title("S: words, E: topics")
    shown = tree["/shown"].ds
    names = {"counts": ("word", "document", "counts of words"), "weights": ("word", "topic", "weights of topics")}
    names["scores"] = ("topic", "document", "scores of topics")
    for ax, (name, (row, column, title)) in zip(axes[1:], names.items(), strict=True):
        values = shown[name].transpose(row, column).values
        picture = ax.imshow(values, aspect="auto", cmap=EXCITATORY_MAP, norm=PowerNorm(0.5, 0), interpolation="none")
        ax.set(xlabel=f"{column}{'s, by their largest topic' if column == 'document' else ''}", ylabel=row)
        ax.set_title(title)
        figure.colorbar(picture, ax=ax, fraction=0.05)
    panel_letters(axes)
    return figure


def claim_cosine(tree: xr.DataTree) -> float:
    """Return the mean cosine of topics and what they were matched with."""
    return float(tree["/found"].ds["mean_cosine"])


FIGURE = Figure(
    name="topics_method",
    title="Topics as weights of cells that inhibit each other through a few others",
    source=shared.SLIDES,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "found",
            "Known topics are found, with a mean cosine above 0.9.",
            lambda tree: at_least(claim_cosine(tree), 0.9),
            "the corpus is written from them; the limit is a default of this package",
        ),
        Claim(
            "all",
            "No known topic is missing: the smallest cosine is above 0.8.",
            lambda tree: at_least(tree["/found"].ds["cosine"].min(), 0.8),
            "one missing topic of ten would lower the mean by 0.1 only",
        ),
        Claim(
            "documents",
            "The largest score is that of the largest topic in 9 of 10 documents.",
            lambda tree: at_least(tree["/found"].ds["agreement"], 0.9),
            "documents are written with Dirichlet shares of 0.1, so that one topic is mostly the largest by far",
        ),
    ),
)
