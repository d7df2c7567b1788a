"""What the sources leave open about the top layer, one thing at a time, judged on validation images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import krotov2019_mnist
from neurocircuits.figures._recipe import learned
from neurocircuits.plotting import FAINT, panels
from neurocircuits.readout import PowerClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

# What differs from n 4.5, m 6, beta 1, plain products, images as they are, one scale for all units; "metric" means
# products through it, "unit length" images divided by their lengths before they reach the rows, "all epochs" as many as
# the recipe takes: a small gain takes longer.
CANDIDATES: dict[str, dict[str, Any]] = {
    "as printed": {},
    "metric": {"metric": True},
    "beta 0.3": {"beta": 0.3},
    "beta 3": {"beta": 3.0},
    "n 3": {"n": 3.0},
    "n 6": {"n": 6.0},
    "m 4": {"m": 4.0},
    "m 10": {"m": 10.0},
    "a scale for each unit": {"scale": "each"},
    "unit length": {"unit_length": True},
    "unit length, metric": {"unit_length": True, "metric": True},
    "unit length, beta 0.3": {"unit_length": True, "beta": 0.3},
    "unit length, beta 3": {"unit_length": True, "beta": 3.0},
    "unit length, n 3": {"unit_length": True, "n": 3.0},
    "unit length, n 6": {"unit_length": True, "n": 6.0},
    "unit length, m 4": {"unit_length": True, "m": 4.0},
    **{
        f"unit length, beta {beta:g}, all epochs": {"unit_length": True, "beta": beta, "long": True}
        for beta in (1.0, 0.3, 0.15, 0.1, 0.05, 0.02)
    },
}
CHOSEN = "unit length, beta 0.15, all epochs"
N_EPOCHS = {True: 20, False: 100}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Train the top layer of each candidate on a part of the training images, and judge it on the rest.

    The rows were learned without labels from all training images; test images are not touched.
    """
    recipe = krotov2019_mnist.RECIPES[quick]
    whole, _ = competing.images(recipe.data, seed)
    w = learned(recipe.rows(whole, engine, seed))
    train, validation = competing.images(recipe.data, seed, tune=True)
    errors: dict[str, list[float]] = {"train": [], "test": []}
    for candidate in CANDIDATES.values():
        changed = {**recipe.layer, "beta": 1.0, "epochs": N_EPOCHS[quick], **candidate}
        if changed.pop("long", False):
            changed["epochs"] = recipe.layer["epochs"]
        rows = competing.currents_of(w, recipe.p) if changed.pop("metric", False) else w
        seen = replace(recipe, unit_length=changed.pop("unit_length", False)).seen(train, validation)
        layer = PowerClassifier(**changed, random_state=seed)
        history = competing.kept_layer(layer, rows, *seen, max(1, layer.epochs // 30)).history_
        for part, values in errors.items():
            values.append(100 * history[f"error_{part}"][-1])
    found = {"training": ("candidate", errors["train"]), "validation": ("candidate", errors["test"])}
    result = xr.DataTree.from_dict({"/errors": xr.Dataset(found, coords={"candidate": list(CANDIDATES)})})
    result.attrs |= {"engine": to_json(engine or competing.ENGINE), "data": recipe.data}
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the errors of all candidates."""
    figure, ax = panels(1, 1, size=(5.0, 3.4))
    names = [str(name) for name in trees[0]["/errors"].ds["candidate"].values]
    for part, marker, color in (("validation", "o", "C0"), ("training", "x", FAINT)):
        values = np.array([tree["/errors"].ds[part].values for tree in trees])
        ax.plot(values.T, np.arange(len(names)), marker, color=color)
        ax.plot([], [], marker, color=color, label=part)
    ax.set_yticks(np.arange(len(names)), names)
    ax.invert_yaxis()
    ax.set(xlabel="error (%)", xlim=(0, None))
    ax.set_title(f"top layers on the same rows ({trees[0].attrs['data']})")
    ax.legend()
    return figure


def error(tree: xr.DataTree, candidate: str, part: str = "validation") -> float:
    """Return an error in percent."""
    return float(tree["/errors"].ds[part].sel(candidate=candidate))


def spread(tree: xr.DataTree) -> float:
    """Return the difference between the largest and the smallest validation error."""
    values = tree["/errors"].ds["validation"]
    return float(values.max() - values.min())


def rivals(tree: xr.DataTree) -> float:
    """Return the smallest validation error of images as they are."""
    values = [error(tree, name) for name, candidate in CANDIDATES.items() if not candidate.get("unit_length")]
    return float(np.min(values))


FIGURE = Figure(
    name="krotov2019_candidates",
    title="What the sources leave open about the top layer",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116; candidates are this package's",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "they-matter",
            "The choice matters: validation errors differ by a fifth of a point or more.",
            lambda tree: at_least(spread(tree), 0.2),
            "this package",
        ),
        Claim(
            "metric-fits-better",
            "Products through the metric fit the training images no worse than plain ones.",
            lambda tree: at_most(error(tree, "metric", "training") - error(tree, "as printed", "training"), 0.0),
            "this package",
            ("full",),
        ),
        Claim(
            "length-tells-most",
            "No other single change lowers the validation error as much as images of unit length.",
            lambda tree: at_least(rivals(tree) - error(tree, "unit length"), 0.0),
            "this package",
            ("full",),
        ),
        Claim(
            "the-recipe-is-the-best",
            "No candidate has a smaller validation error than the top layer of `krotov2019_mnist`.",
            lambda tree: at_least((tree["/errors"].ds["validation"] - error(tree, CHOSEN)).values.min(), 0.0),
            "this package: its recipe was chosen so",
            ("full",),
        ),
    ),
    seeds_full=1,
    needs=("mnist",),
)
