"""Words as vectors: the columns of the weights, and the nearest words of frequent ones beside those of LSA."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import EXCITATORY, FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least

SETTINGS: dict[bool, dict[str, int]] = {
    True: {"n_topics": 8, "n_minibatches": 500},
    False: {"n_topics": 40, "n_minibatches": 3000},
}
N_NEIGHBOURS, N_SHOWN, N_FREQUENT = 10, 10, 200
CONTROL = "columns shuffled"


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn topics, take columns of weights and LSA of as many dimensions as vectors, and find nearest words."""
    n_topics = SETTINGS[quick]["n_topics"]
    topics, texts = (
        shared.written(seed, n_topics, 240, 800, falling=0.5) if quick else (None, shared.corpus("BBC News"))
    )
    learned = shared.circuit(texts, n_topics, seed, n_minibatches=SETTINGS[quick]["n_minibatches"])
    columns = learned.components_.T
    order = np.random.default_rng([seed, 1990]).permutation(len(columns))
    vectors = {
        "weights": columns,
        "LSA": analysis.lsa_word_vectors(texts.documents, n_topics),
        CONTROL: columns[order],
    }
    found = {name: analysis.word_neighbours(v, N_NEIGHBOURS)["neighbour"].values for name, v in vectors.items()}
    occurs = np.asarray((texts.counts > 0).sum(axis=0)).ravel()
    frequent = np.argsort(-occurs, kind="stable")[:N_FREQUENT]
    measures = {
        "overlap": [analysis.neighbour_overlap(rows, found["LSA"]).mean() for rows in found.values()],
        "frequent_overlap": [
            analysis.neighbour_overlap(rows[frequent], found["LSA"][frequent]).mean() for rows in found.values()
        ],
        "coherence": [together(rows, frequent, texts.counts) for rows in found.values()],
        "same_topic": [np.nan if topics is None else of_one_topic(rows, topics) for rows in found.values()],
    }
    coords = {"vectors": list(found)}
    tree = xr.DataTree.from_dict(
        {
            "/measures": xr.Dataset({name: ("vectors", values) for name, values in measures.items()}, coords=coords),
            "/chance": xr.Dataset({"overlap": N_NEIGHBOURS / (len(columns) - 1)}),
        }
    )
    tree.attrs |= {"engine": shared.own_engine("topics_words", engine), "data": texts.name}
    tree.attrs["words"] = [texts.words[k] for k in frequent[:N_SHOWN]]
    for name in ("weights", "LSA"):
        tree.attrs[name] = [" ".join(texts.words[j] for j in found[name][k] if j >= 0) for k in frequent[:N_SHOWN]]
    return tree


def together(neighbours: np.ndarray, frequent: np.ndarray, counts: Any) -> float:
    """Return the mean coherence (NPMI, whole documents) of frequent words with their nearest ones."""
    groups = np.zeros((len(frequent), counts.shape[1]))
    for row, k in zip(groups, frequent, strict=True):
        row[[k, *(j for j in neighbours[k] if j >= 0)]] = 1.0
    return float(analysis.document_coherence(groups, counts, 1 + N_NEIGHBOURS)["mean"])


def of_one_topic(neighbours: np.ndarray, topics: np.ndarray) -> float:
    """Return the share of nearest words that stand in a written topic of the word itself."""
    related = (topics > 0).astype(int).T @ (topics > 0) > 0
    known = neighbours >= 0
    return float((np.take_along_axis(related, np.where(known, neighbours, 0), axis=1) & known).mean())


def draw(trees: list[xr.DataTree]) -> Any:
    """List nearest words, those that both kinds have in colour, and draw overlap and coherence."""
    tree = trees[0]
    figure, axes = panels(1, 2, size=(10.6, 3.9), width_ratios=(4.6, 1))
    ax, words = axes[0], tree.attrs["words"]
    ax.set(xlim=(0, 1), ylim=(len(words) - 0.5, -1.2))
    ax.axis("off")
    ax.plot([], [])
    places = {"weights": 0.11, "LSA": 0.57}
    for name, left in places.items():
        title = "columns of the weights" if name == "weights" else "LSA"
        ax.text(left, -0.9, f"nearest by {title}", fontsize=8, fontweight="bold", va="center")
    for line, word in enumerate(words):
        ax.text(0, line, word, fontsize=8, fontweight="bold", va="center")
        rows = {name: tree.attrs[name][line].split() for name in places}
        for name, left in places.items():
            other = rows["LSA" if name == "weights" else "weights"]
            for k, neighbour in enumerate(rows[name][:5]):
                colour = EXCITATORY if neighbour in other else NEUTRAL
                ax.text(left + 0.086 * k, line, neighbour[:12], fontsize=7, color=colour, va="center")
    ax.set_title(f"{tree.attrs['data']}; red: among the {N_NEIGHBOURS} nearest by both", loc="left")
    values = [float(tree["/measures"].ds["coherence"].sel(vectors=name)) for name in ("weights", "LSA", CONTROL)]
    axes[1].bar(range(3), values, color=[EXCITATORY, NEUTRAL, FAINT])
    axes[1].set_xticks(range(3), ["weights", "LSA", "shuffled"], rotation=30)
    axes[1].axhline(0, color=NEUTRAL, linewidth=0.8)
    axes[1].set(ylabel=f"NPMI of {N_FREQUENT} frequent words\nand their nearest")
    panel_letters(axes)
    return figure


def measure(tree: xr.DataTree, name: str, vectors: str) -> float:
    """Return a measure of one kind of vectors."""
    return float(tree["/measures"].ds[name].sel(vectors=vectors))


FIGURE = Figure(
    name="topics_words",
    title="Columns of the weights as vectors of words, beside LSA",
    source=shared.SLIDES + ", open question: semantic embeddings of words",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "overlap",
            "Of the ten nearest words LSA has ten times as many as by chance.",
            lambda tree: at_least(measure(tree, "overlap", "weights") / float(tree["/chance"].ds["overlap"]), 10.0),
            "chance is 10 of all other words; the factor is a default of this package, set after 84 was seen",
            when=("full",),
        ),
        Claim(
            "together",
            "Nearest words come together in documents half as much as LSA's do, by NPMI.",
            lambda tree: at_least(measure(tree, "coherence", "weights") / measure(tree, "coherence", "LSA"), 0.5),
            "LSA is fitted to this; the share is a default of this package, set after 0.85 of a like measure was seen",
        ),
        Claim(
            "shuffled",
            "Nearest words come together more than those of shuffled columns.",
            lambda tree: at_least(measure(tree, "coherence", "weights") - measure(tree, "coherence", CONTROL), 0.05),
            "the control that has the same vectors; the difference is a default of this package",
        ),
        Claim(
            "topic",
            "Nine of ten nearest words stand in a topic of the word itself.",
            lambda tree: at_least(measure(tree, "same_topic", "weights"), 0.9),
            "documents are written from known topics; the share is a default of this package",
            when=("quick",),
        ),
    ),
    needs=("bbc_news",),
)
