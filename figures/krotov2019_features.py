"""What is said of the features of competing hidden units, as numbers, beside slow learning, BCM cells and backprop."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.datasets import Dataset
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.steps import LargestChange, Linear
from neurocircuits.declare.weights import Given
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _zanola as zanola
from neurocircuits.models import bcm1982, krotov2019, zanola2021
from neurocircuits.plotting import EXCITATORY_MAP, curve, mosaic, panel_letters, panels
from neurocircuits.readout import BackpropClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

DELTAS, POWERS = (0.0, 0.1, 0.2, 0.4), (2.0, 3.0, 4.0)
P, DELTA = 3.0, 0.4  # where the other one varies
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "n_hidden": 40,
        "k": 2,
        "epochs": 20,
        "step": 0.15,
        "engine": SteadyState(batch=50, dtype="float32"),
        "slow": {"n_hidden": 40, "h_star": 1.0},
        "per_class": 6,
        "bcm_epochs": 100,
        "bcm": {"eta": "5 Hz", "eta_mean": "5 Hz"},
        "control": {"n_hidden": 40, "epochs": 10},
    },
    False: {
        "data": "mnist",
        "n_hidden": 200,
        "k": 4,
        "epochs": 50,
        "step": 0.04,
        "engine": competing.ENGINE,
        "slow": {"n_hidden": 484, "h_star": 3.0},
        "per_class": 60,
        "bcm_epochs": 20,
        "bcm": {},
        "control": {"n_hidden": 200, "epochs": 20},
    },
}
SLOW_ENGINE = SteadyState(batch=1, solver="relaxation")
KINDS = ("fast", "slow", "BCM cells", "backprop", "random rows")
NEAR, N_SHOWN, N_IMAGES = 0.01, 16, 10_000


def fast(setting: dict[str, Any], train: Dataset, engine: Any, seed: int, p: float = P, delta: float = DELTA) -> Any:
    """Return the rows that ranked units learn."""
    step = LargestChange(Linear(setting["step"], 0.0, parts=setting["epochs"]))
    circuit = krotov2019.circuit(train.n_features, setting["n_hidden"], p=p, k=setting["k"], delta=delta, step=step)
    return learned(circuit, competing.presented(train, setting["epochs"], 1), engine or setting["engine"], seed)


def learned(circuit: Any, protocol: Any, engine: Any, seed: int) -> np.ndarray:
    """Return the rows that a run ends with."""
    tree = competing.kept_run(circuit, protocol, engine, seed)
    return np.asarray(tree["/synapses/S_to_E"].ds["w"].values[-1])


def slow(setting: dict[str, Any], train: Dataset, seed: int) -> np.ndarray:
    """Return the rows that learn from a few images one by one in continuous time, as Zanola's notebook did."""
    start = zanola.initial_weights(setting["slow"]["n_hidden"], train.n_features, seed)
    circuit = zanola2021.circuit(n_sensory=train.n_features, initial=Given(start), **setting["slow"])
    shown = train[zanola.drawn_images(train, setting["per_class"], seed)]
    return learned(circuit, zanola2021.protocol(shown.values), SLOW_ENGINE, seed)


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn at each depression and power, slowly, without inhibition and by backprop, and measure the rows."""
    setting = SETTINGS[quick]
    train, test = competing.images(setting["data"], seed)
    runs = {(P, delta): fast(setting, train, engine, seed, delta=delta) for delta in DELTAS}
    runs |= {(p, DELTA): fast(setting, train, engine, seed, p=p) for p in POWERS if p != P}
    on = {key: w[np.abs(analysis.sphere_norms(w, key[0]) - 1) < NEAR] for key, w in runs.items()}
    cells = bcm1982.circuit(train.n_features, setting["n_hidden"], **setting["bcm"])
    unit, _ = train.unit_power()
    control = competing.kept_layer(BackpropClassifier(**setting["control"], random_state=seed), None, train, test, 5)
    main = on[P, DELTA]
    rows = {
        "fast": main,
        "slow": slow(setting, train, seed),
        "BCM cells": learned(
            cells, competing.presented(unit, setting["bcm_epochs"], 1), engine or setting["engine"], seed
        ),
        "backprop": control.parameters_["W"].T,
        "random rows": competing.controls(train, setting["n_hidden"], P, seed)["random rows"],
    }
    some = train[:N_IMAGES]
    images, labels = some.values.astype(float), np.asarray(some.labels)
    mean_image = images.mean(axis=0)
    shape = tuple(train.image_shape or ())
    currents = images @ competing.currents_of(main, P).T.astype(float)
    votes = analysis.class_votes(currents, labels)
    ink = analysis.ink_maps(currents, images)
    measures = {
        "border": [analysis.border_ratio(w, mean_image) for w in rows.values()],
        "neighbour": [float(np.nanmean(analysis.neighbour_correlation(w, shape))) for w in rows.values()],
        "negative": [analysis.negative_share(w) for w in rows.values()],
        "n_pairs": [len(w) * (len(w) - 1) // 2 for w in rows.values()],
        "redundant": [analysis.redundant_pairs(w) for w in rows.values()],
    }
    groups = {
        "/kinds": xr.Dataset(
            {name: ("kind", values) for name, values in measures.items()}, coords={"kind": list(rows)}
        ),
        "/deltas": xr.Dataset(
            {
                "negative": ("delta", [analysis.negative_share(on[P, delta]) for delta in DELTAS]),
                "converged": ("delta", [len(on[P, delta]) / len(runs[P, delta]) for delta in DELTAS]),
            },
            coords={"delta": list(DELTAS)},
        ),
        "/powers": xr.Dataset(
            {
                "sparseness": ("p", [float(np.mean(analysis.row_sparseness(on[p, DELTA]))) for p in POWERS]),
                "converged": ("p", [len(on[p, DELTA]) / len(runs[p, DELTA]) for p in POWERS]),
            },
            coords={"p": list(POWERS)},
        ),
        "/cosines": xr.Dataset(
            {name: (f"{name}_unit", analysis.best_cosines(rows[name], train)) for name in ("fast", "slow")}
        ),
        "/votes": votes.drop_attrs(),
        "/ink": xr.Dataset(
            {"map": (("row", "pixel"), chosen(ink, seed)), "correlation": ("unit", correlations(main, ink))}
        ),
        **{f"/rows/{name}": xr.Dataset({"w": (("row", "pixel"), chosen(w, seed))}) for name, w in rows.items()},
    }
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {
        "engine": to_json(engine or setting["engine"]),
        "data": setting["data"],
        "image_shape": list(shape),
        "n_hidden": setting["n_hidden"],
    }
    return result


def chosen(w: np.ndarray, seed: int) -> np.ndarray:
    """Return rows drawn for a picture."""
    return w[np.random.default_rng(seed).choice(len(w), min(N_SHOWN, len(w)), replace=False)]


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the correlation of each row with the row of another matrix; NaN where that is NaN."""
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (first.astype(float), second))
    return np.asarray((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw rows of the first seed with the ink where they win, and the measures of all seeds."""
    tree = trees[0]
    shape = tuple(int(side) for side in tree.attrs["image_shape"])
    figure, axes = panels(2, 5, size=(13.0, 5.2))
    pairs = tree["/kinds"].ds
    for ax, name in zip(axes[0], KINDS[:4], strict=False):
        mosaic(ax, tree[f"/rows/{name}"].ds["w"].values, shape, n_columns=4, scale="each", symmetric=True)
        redundant, n_pairs = (int(pairs[x].sel(kind=name)) for x in ("redundant", "n_pairs"))
        ax.set_title(f"{name}: {redundant} of {n_pairs}\npairs alike")
    maps = np.nan_to_num(tree["/ink"].ds["map"].values)
    mosaic(axes[0, 4], maps, shape, n_columns=4, scale="each", symmetric=True)
    axes[0, 4].set_title(f"more and less ink where\nfast units win (r = {claim_ink(tree):.2f})")
    draw_measures(trees, axes[1])
    panel_letters(axes)
    return figure


def draw_measures(trees: list[xr.DataTree], axes: Any) -> None:
    """Draw copies, negative parts, sparseness, border and smoothness, and votes."""
    tree = trees[0]
    bins = np.linspace(0.7, 1, 31)
    for k, name in enumerate(("fast", "slow")):
        values = np.concatenate([one["/cosines"].ds[name].values for one in trees])
        axes[0].hist(np.clip(values, bins[0], 1), bins, density=True, color=f"C{k}", alpha=0.6, label=name)
    axes[0].set(xlabel="best cosine with a training image", ylabel="density")
    axes[0].legend(loc="upper left")
    axes[0].set_title("copies")
    negative = 100 * np.array([one["/deltas"].ds["negative"].values for one in trees])
    curve(axes[1], np.array(DELTAS), negative, colour="C0")
    axes[1].set(xlabel=r"$\Delta$", ylabel="negative weight (%)", ylim=(0, None), title="negative parts")
    curve(axes[2], np.array(POWERS), np.array([one["/powers"].ds["sparseness"].values for one in trees]), colour="C0")
    axes[2].set(xlabel="p", ylabel="Hoyer's measure", title="sparseness", xticks=POWERS)
    places = np.arange(len(KINDS))
    for name, marker in (("neighbour", "o"), ("border", "s")):
        label = {"neighbour": "correlation of neighbours", "border": "border, relative to centre"}[name]
        values = np.array([one["/kinds"].ds[name].values for one in trees])
        axes[3].plot(values.T, places, marker, color="C0" if name == "neighbour" else "C1", markersize=5)
        axes[3].plot([], [], marker, color="C0" if name == "neighbour" else "C1", label=label)
    axes[3].set_yticks(places, list(KINDS))
    axes[3].invert_yaxis()
    axes[3].set(xlim=(-0.1, 1.3))
    axes[3].legend(loc="lower center", bbox_to_anchor=(0.4, 1.0))
    votes = tree["/votes"].ds["votes"].values.astype(float)
    votes = votes[votes.sum(axis=1) > 0]
    votes = votes / votes.sum(axis=1, keepdims=True)
    votes = votes[np.lexsort((-votes.max(axis=1), votes.argmax(axis=1)))]
    axes[4].imshow(votes, cmap=EXCITATORY_MAP, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes[4].yaxis.get_major_locator().set_params(integer=True)
    axes[4].set(xlabel="class", ylabel="unit", title="shares of what a unit wins", xticks=range(votes.shape[1]))


def kind(tree: xr.DataTree, name: str, which: str) -> float:
    """Return a measure of one kind of rows."""
    return float(tree["/kinds"].ds[name].sel(kind=which))


def cosine(tree: xr.DataTree, which: str) -> float:
    """Return the median of the best cosines of rows with training images."""
    values = tree["/cosines"].ds[which].values
    return float(np.median(values)) if np.isfinite(values).all() else float("nan")


def claim_ink(tree: xr.DataTree) -> float:
    """Return the median correlation of rows with the map of the ink where they win."""
    values = tree["/ink"].ds["correlation"].values
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def claim_purity(tree: xr.DataTree) -> float:
    """Return the median over units of the share of their preferred class."""
    values = tree["/votes"].ds["purity"].values
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


SOURCE = "Krotov and Hopfield (2018), arXiv:1806.10181, section 4"
FIGURE = Figure(
    name="krotov2019_features",
    title="Features of competing hidden units in numbers",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116, section on MNIST; slow rows after Zanola (2021)",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "slow-rows-are-copies",
            "The median row of the slow run has a cosine of 0.95 or more with a training image.",
            lambda tree: at_least(cosine(tree, "slow"), 0.95),
            zanola.SLIDES,
        ),
        Claim(
            "fast-rows-are-less",
            "The median row of the fast run is further from the training images than that of the slow run.",
            lambda tree: at_least(cosine(tree, "slow") - cosine(tree, "fast"), 0.0),
            SOURCE,
        ),
        Claim(
            "fast-rows-are-no-copies",
            "Its cosine is 0.95 at most.",
            lambda tree: at_most(cosine(tree, "fast"), 0.95),
            SOURCE,
            ("full",),
        ),
        Claim(
            "depression-makes-negative-parts",
            "At delta 0.4 rows on the sphere have a larger share of negative weight than at delta 0.",
            lambda tree: at_least(np.diff(tree["/deltas"].ds["negative"].values[[0, -1]])[0], 0.005),
            SOURCE,
            beyond_spread=True,
        ),
        Claim(
            "no-negative-parts-without",
            "Without depression the share is 1 % at most.",
            lambda tree: at_most(tree["/deltas"].ds["negative"][0], 0.01),
            "derived: a row that is only drawn tends to what is never negative",
        ),
        Claim(
            "less-sparse-for-large-p",
            "Rows are less sparse at p 4 than at p 2.",
            lambda tree: at_least(-np.diff(tree["/powers"].ds["sparseness"].values[[0, -1]])[0], 0.0),
            "measured by this package; the papers say only that p sets the metric",
        ),
        Claim(
            "units-have-a-class",
            "Three in four of what the median unit wins are of one class, though it was told none.",
            lambda tree: at_least(claim_purity(tree), 0.75),
            SOURCE,
        ),
        Claim(
            "weights-say-where-ink-is",
            "The median row correlates above 0.5 with where there is more and less ink when it wins.",
            lambda tree: at_least(claim_ink(tree), 0.5),
            SOURCE,
        ),
        Claim(
            "smoother-than-backprop",
            "Weights from neighbouring pixels correlate more than those of backprop, by 0.2.",
            lambda tree: at_least(kind(tree, "neighbour", "fast") - kind(tree, "neighbour", "backprop"), 0.2),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3: speckled control",
        ),
        Claim(
            "empty-border",
            "Weights from the border are a twentieth of the others at most.",
            lambda tree: at_most(kind(tree, "border", "fast"), 0.05),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
        ),
        Claim(
            "border-of-the-control",
            "Those of backprop are a third of the others at least.",
            lambda tree: at_least(kind(tree, "border", "backprop"), 1 / 3),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
        ),
        Claim(
            "competition-prevents-duplicates",
            "No two rows have a cosine above 0.99.",
            lambda tree: at_most(kind(tree, "redundant", "fast"), 0),
            SOURCE,
        ),
        Claim(
            "cells-without-inhibition-repeat-each-other",
            "Of pairs of BCM cells, which do not inhibit each other, more than one in two hundred do.",
            lambda tree: at_least(kind(tree, "redundant", "BCM cells") / kind(tree, "n_pairs", "BCM cells"), 0.005),
            "Bienenstock, Cooper and Munro (1982), J. Neurosci. 2:32-48: each cell learns by itself",
        ),
    ),
    needs=("mnist",),
)
