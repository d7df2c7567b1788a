"""T3: fewer words in a topic at a larger kappa/gamma, with the same words in front."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import curve, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_topics": 8, "n_minibatches": 400, "n_passes": 20},
    False: {"n_topics": 16, "n_minibatches": 3000, "n_passes": 50},
}
RATIOS = (5e-4, shared.WIDE, shared.NARROW)
N_SHOWN = 40


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with little competition between words, then go on with that of the slides, 1/50 and 2/5."""
    setting = SETTINGS[quick]
    if quick:
        _, texts = shared.written(seed, setting["n_topics"], 240, 800, falling=1.0)
    else:
        texts = shared.corpus(shared.DESCRIPTIONS)
    learned = shared.circuit(texts, setting["n_topics"], seed, n_minibatches=setting["n_minibatches"])
    rows, weights = [], []
    for ratio in RATIOS:
        if ratio > learned.kappa:
            shared.sparser(learned, texts, ratio, setting["n_passes"])
        weights.append(learned.components_.copy())
        rows.append(shared.measures(learned.components_, learned.transform(texts.documents), texts))
    _, wide, narrow = weights
    chosen = int(np.argmax([texts.words[row.argmax()].startswith("tweet") for row in wide]))
    order = np.argsort(-wide[chosen], kind="stable")[:N_SHOWN]
    groups = {
        "/measures": xr.Dataset(
            {name: ("ratio", [row[name] for row in rows]) for name in rows[0]}, coords={"ratio": list(RATIOS)}
        ),
        "/kept": xr.Dataset({"leading": ((), float((wide.argmax(axis=1) == narrow.argmax(axis=1)).mean()))}),
        "/topic": xr.Dataset({"weight": (("ratio", "rank"), [w[chosen][order] / w[chosen].max() for w in weights])}),
        "/words": xr.Dataset({"n_words": (("ratio", "topic"), [(w > 0).sum(axis=1).astype(float) for w in weights])}),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": shared.own_engine("topics_sparsity", engine), "data": texts.name}
    tree.attrs |= {
        "n_topics": setting["n_topics"],
        "words": [texts.words[k] for k in order],
        "first": [" ".join(found) for found in analysis.top_words(narrow, 3, texts.words)],
    }
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the weights of one topic in the order of their size at 1/50, and the words of all topics."""
    tree = trees[0]
    figure, axes = panels(1, 2, size=(9.4, 3.1), width_ratios=(2.6, 1))
    values, words = tree["/topic"].ds["weight"].values, [str(word) for word in tree.attrs["words"]]
    places = np.arange(len(words))
    for k, (label, colour) in enumerate((("1/50", "C0"), ("2/5", "C1")), 1):
        axes[0].bar(places + 0.4 * (k - 1.5), values[k], 0.4, color=colour, label=rf"$\kappa/\gamma$ = {label}")
    axes[0].set_xticks(places, words, rotation=90, fontsize="x-small")
    axes[0].set(ylabel="weight / largest", xlim=(-1, len(words)))
    axes[0].set_title(f"one topic ({shared.draw_title(tree, trees)})")
    axes[0].legend(loc="upper right")
    medians = np.stack([np.median(one["/words"].ds["n_words"].values, axis=1) for one in trees])
    for one in trees:
        counts = one["/words"].ds["n_words"].values
        axes[1].plot(np.repeat(RATIOS, counts.shape[1]), np.maximum(counts, 0.7).ravel(), ".", color="C7", markersize=3)
    curve(axes[1], np.array(RATIOS), medians, colour="C3", label="median")
    axes[1].set(xscale="log", yscale="log", xlabel=r"$\kappa/\gamma$", ylabel="words of a topic")
    axes[1].legend(loc="lower left")
    panel_letters(axes)
    return figure


def claim_falls(tree: xr.DataTree) -> float:
    """Return the largest ratio of the median words at a ratio to that at the one before."""
    medians = np.median(tree["/words"].ds["n_words"].values, axis=1)
    return float((medians[1:] / medians[:-1]).max())


def claim_fewer(tree: xr.DataTree) -> float:
    """Return the median words at 2/5 over that at 1/50."""
    _, wide, narrow = np.median(tree["/words"].ds["n_words"].values, axis=1)
    return float(narrow / wide)


FIGURE = Figure(
    name="topics_sparsity",
    title="Words of topics at the kappa/gamma of the slides",
    source=shared.SLIDES + ", controlling topic-word sparsity",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "same",
            "Going on from 1/50 to 2/5, 14 of 16 topics keep their first word.",
            lambda tree: at_least(tree["/kept"].ds["leading"], 14 / 16),
            "slides: the topic 'tweet' at both; the number is a default of this package",
            when=("full",),
        ),
        Claim(
            "fewer",
            "The median topic has at most a tenth of its words left.",
            lambda tree: at_most(claim_fewer(tree), 0.1),
            "slides: far fewer key words; the number is a default of this package",
            when=("full",),
        ),
        Claim(
            "falls",
            "The median number of words falls from each ratio to the next, to less than a half.",
            lambda tree: at_most(claim_falls(tree), 0.5),
            "a word survives where its correlation exceeds kappa times the sum of weights",
        ),
        Claim(
            "alive",
            "No topic falls silent.",
            lambda tree: at_least(tree["/measures"].ds["alive"].min(), 1.0),
            "a silent topic would be sparse, too",
        ),
    ),
    needs=("dataset_descriptions",),
)
