"""T4: documents have fewer topics at a smaller p/q, and topics are less correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.figures import _topics as shared
from neurocircuits.plotting import NEUTRAL, curve, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

SETTINGS: dict[bool, dict[str, int]] = {
    True: {"n_topics": 6, "n_minibatches": 300},
    False: {"n_topics": 10, "n_minibatches": 3000},
}
RATIOS = (0.1, 0.2, 0.4)


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn the same corpus at each p/q."""
    setting = dict(SETTINGS[quick])
    n_topics = setting.pop("n_topics")
    texts = shared.written(seed, n_topics, 180, 600, falling=1.0)[1] if quick else shared.corpus("BBC News")
    rows, active = [], []
    for ratio in RATIOS:
        learned = shared.circuit(texts, n_topics, seed, p=ratio, **setting)
        scores = learned.transform(texts.documents)
        cosine = float(analysis.decorrelation(learned.tree_, phase="probe")["mean_cosine"])
        rows.append({**shared.measures(learned.components_, scores, texts), "mean_cosine": cosine})
        active.append(np.bincount((scores > 0).sum(axis=1), minlength=n_topics + 1) / len(scores))
    coords = {"ratio": list(RATIOS)}
    groups = {
        "/measures": xr.Dataset({name: ("ratio", [row[name] for row in rows]) for name in rows[0]}, coords=coords),
        "/active": xr.Dataset({"share": (("ratio", "n_active"), active)}, coords=coords),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": shared.own_engine("topics_documents", engine), "data": texts.name, "n_topics": n_topics}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw how many topics documents have, the share of topics, and the mean cosine beside its bound."""
    figure, axes = panels(1, 3, size=(9.4, 2.8), width_ratios=(1.3, 1, 1))
    shares = np.mean([tree["/active"].ds["share"].values for tree in trees], axis=0)
    for k, ratio in enumerate(RATIOS):
        axes[0].plot(np.arange(shares.shape[1]), shares[k], "o-", markersize=3, label=f"$p/q$ = {ratio:g}")
    axes[0].set(xlabel="topics with a score above 0", ylabel="share of documents", ylim=(0, None))
    axes[0].legend(loc="upper right")
    axes[0].set_title(shared.draw_title(trees[0], trees))
    fine = np.linspace(0, 0.45)
    for ax, name, label in (
        (axes[1], "active", "share of scores above 0"),
        (axes[2], "mean_cosine", "mean cosine of two topics' scores"),
    ):
        values = np.stack([tree["/measures"].ds[name].values for tree in trees])
        if name == "mean_cosine":
            ax.plot(fine, fine**2, color=NEUTRAL, linestyle="--", linewidth=1, label=r"$(p/q)^2$")
        curve(ax, np.array(RATIOS), values, colour="C0", label="learned")
        ax.set(xlabel=r"$p/q$", ylabel=label, xlim=(0, 0.45), ylim=(0, None))
    axes[2].legend(loc="upper left")
    panel_letters(axes)
    return figure


def claim_values(tree: xr.DataTree, name: str) -> np.ndarray:
    """Return a measure at all p/q."""
    return np.asarray(tree["/measures"].ds[name].values)


FIGURE = Figure(
    name="topics_documents",
    title="Topics of documents against p/q",
    source=shared.SLIDES + ", controlling document-topic sparsity",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "sparser",
            "The share of scores above 0 rises with p/q.",
            lambda tree: at_least(np.diff(claim_values(tree, "active")).min(), 0.0),
            shared.SLIDES,
            beyond_spread=True,
        ),
        Claim(
            "bound",
            "The mean cosine is (p/q)^2 within 0.03.",
            lambda tree: at_most(np.abs(claim_values(tree, "mean_cosine") - np.square(RATIOS)).max(), 0.03),
            "derived: at rest C <= D on the rows of A",
            when=("full",),
        ),
        Claim(
            "alive",
            "No topic is silent.",
            lambda tree: at_least(claim_values(tree, "alive").min(), 1.0),
            "silent topics would be sparse, too",
        ),
    ),
    needs=("bbc_news",),
)
