"""Rows on their way to the p-sphere: sum |w|^p of all units against the epoch, and which rows never get there."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis import norm_trace, wins
from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _recipe
from neurocircuits.figures.krotov2019_mnist import RECIPES
from neurocircuits.plotting import EXCITATORY_MAP, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

MOMENTS = {2.0: 1.0, 3.0: 2 * np.sqrt(2 / np.pi), 4.0: 3.0}  # of |x|^p for a standard normal x
N_AT_ONCE = 5000
NEAR = 0.01


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Follow the rows of the journal's recipe, and count what each unit wins in the end."""
    recipe = RECIPES[quick]
    train, _ = competing.images(recipe.data, seed)
    run = recipe.rows(train, engine, seed)
    trace = norm_trace(run, recipe.p)
    metric = competing.currents_of(_recipe.learned(run), recipe.p)
    parts = [train[k : k + N_AT_ONCE].values for k in range(0, len(train), N_AT_ONCE)]
    n_wins = np.sum([wins(part @ metric.T.astype(part.dtype)) for part in parts], axis=0)
    coords = {"epoch": recipe.epochs * trace["time"].values / trace["time"].values[-1]}
    groups = {
        "/course": xr.Dataset(
            {"norm": (("epoch", "unit"), trace["norm"].values), "converged": ("epoch", trace["converged"].values)},
            coords=coords,
        ),
        "/units": xr.Dataset({"wins": ("unit", n_wins)}),
    }
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {
        "engine": to_json(engine or competing.ENGINE),
        "data": recipe.data,
        "p": recipe.p,
        "n_sensory": train.n_features,
    }
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the histogram of the first seed against the epoch, converged rows of all seeds, and norms against wins."""
    tree = trees[0]
    course, p = tree["/course"].ds, float(tree.attrs["p"])
    epochs, norms = course["epoch"].values, course["norm"].values
    figure, axes = panels(1, 3, size=(10.0, 2.9), width_ratios=(1.25, 1, 1))
    bins = np.geomspace(0.5, 2 * norms.max(), 61)
    counts = np.array([np.histogram(np.clip(row, bins[0], bins[-1]), bins)[0] for row in norms]) / norms.shape[1]
    edges = np.concatenate([[epochs[0]], (epochs[1:] + epochs[:-1]) / 2, [epochs[-1]]])
    mesh = axes[0].pcolormesh(edges, bins, np.sqrt(counts.T), cmap=EXCITATORY_MAP, vmin=0, vmax=1, rasterized=True)
    axes[0].axhline(1, color=NEUTRAL, linewidth=0.8, linestyle="--")
    axes[0].plot(epochs[0], expected(tree), ">", color=NEUTRAL, markersize=6, clip_on=False)
    axes[0].set(yscale="log", xlabel="epoch", ylabel=rf"$\sum |W|^{{{p:g}}}$ of a row")
    axes[0].set_title(f"{norms.shape[1]} units ({tree.attrs['data']})")
    bar = figure.colorbar(mesh, ax=axes[0], label="share of units", fraction=0.05, pad=0.03)
    bar.set_ticks([0.0, 0.1**0.5, 0.5**0.5, 1.0], labels=["0", "0.1", "0.5", "1"])
    for k, one in enumerate(trees):
        axes[1].plot(one["/course"].ds["epoch"], one["/course"].ds["converged"], ".-", color=f"C{k}")
    axes[1].set(xlabel="epoch", ylabel="rows within 1 % of the sphere", ylim=(-0.02, 1.02))
    axes[1].set_title(f"on the sphere ({len(trees)} seed{'s' * (len(trees) > 1)})")
    n_wins = tree["/units"].ds["wins"].values
    axes[2].plot(n_wins, norms[-1], "o", markersize=3, alpha=0.4, color="C0")
    axes[2].set_xscale("symlog", linthresh=1)
    axes[2].set(yscale="log", xlim=(-0.3, None), xlabel="images that the unit wins", ylabel=axes[0].get_ylabel())
    axes[2].set_title("at the end")
    panel_letters(axes)
    return figure


def expected(tree: xr.DataTree) -> float:
    """Return N E|x|^p, where standard normal rows start."""
    return float(tree.attrs["n_sensory"]) * MOMENTS[float(tree.attrs["p"])]


def norms_at(tree: xr.DataTree, which: int) -> np.ndarray:
    """Return sum |w|^p of all units at a snapshot."""
    return np.asarray(tree["/course"].ds["norm"].values[which])


def claim_losers(tree: xr.DataTree) -> float:
    """Return the share of rows off the sphere whose unit wins less than the median unit; 1 if there are none."""
    n_wins = tree["/units"].ds["wins"].values
    if not np.isfinite(n_wins).all():
        return float("nan")
    off = np.abs(norms_at(tree, -1) - 1) >= NEAR
    return float((n_wins[off] <= np.median(n_wins)).mean()) if off.any() else 1.0


SPHERE = "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1"
FIGURE = Figure(
    name="krotov2019_norms",
    title="Rows of competing hidden units on their way to the p-sphere",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116, eq. 2; the histogram is this package's own",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "starts-outside",
            "Standard normal rows start at N E|x|^p within 5 % in the mean.",
            lambda tree: near(norms_at(tree, 0).mean() / expected(tree), 1.0, 0.05),
            "derived: moments of the normal distribution",
        ),
        Claim(
            "comes-to-the-sphere",
            "The median row ends within 1 % of the sphere.",
            lambda tree: near(np.median(norms_at(tree, -1)), 1.0, NEAR),
            SPHERE,
        ),
        Claim(
            "never-inside",
            "No row is inside the sphere by more than 1 % at any time: it is approached from where rows start.",
            lambda tree: at_least(tree["/course"].ds["norm"].min(skipna=False), 1 - NEAR),
            "derived from the equation of the norm: a row that the rule draws shrinks towards R^p from above",
        ),
        Claim(
            "more-and-more",
            "The fraction of converged rows falls by less than 0.05 between any two snapshots.",
            lambda tree: at_least(tree["/course"].ds["converged"].diff("epoch").min(skipna=False), -0.05),
            SPHERE,
        ),
        Claim(
            "converged",
            "Nine rows in ten are within 1 % of the sphere in the end.",
            lambda tree: at_least(tree["/course"].ds["converged"][-1], 0.9),
            SPHERE,
            ("full",),
        ),
        Claim(
            "not-at-first",
            "Before learning no row is.",
            lambda tree: at_most(tree["/course"].ds["converged"][0], 0.0),
            SPHERE,
        ),
        Claim(
            "those-that-do-not-lose",
            "Nine in ten of the rows that are still off the sphere belong to units that win no more than the median.",
            lambda tree: at_least(claim_losers(tree), 0.9),
            "Krotov and Hopfield (2018), section 2.1: only rows that are drawn come to the sphere",
        ),
    ),
    seeds_full=1,
    needs=("mnist",),
)
