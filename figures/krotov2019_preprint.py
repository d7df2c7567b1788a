"""Competing hidden units on MNIST by the preprint's recipe, as printed and with the released scaling of steps."""

from __future__ import annotations

from typing import Any

import xarray as xr

from neurocircuits.analysis import converged_fraction
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _recipe
from neurocircuits.figures._recipe import Recipe, error, extreme, learned
from neurocircuits.models import krotov2019
from neurocircuits.readout import PowerClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

PUBLISHED = {"published (preprint)": 1.52, "published backprop": 1.5}
RECIPES = {
    True: Recipe(
        data="digits",
        model=krotov2019.mnist_preprint,
        p=4.0,
        epochs=60,
        step=0.04,
        settings={"n_hidden": 100, "delta": 0.2},
        layer={"n": 3.0, "m": 4.0, "epochs": 30},
        control={"n_hidden": 100, "epochs": 20},
    ),
    False: Recipe(
        data="mnist",
        model=krotov2019.mnist_preprint,
        p=4.0,
        epochs=100,
        step=0.04,
        settings={"k": 7},  # which the preprint does not give; the best of RANKS on validation images
        unit_length=True,  # as in `krotov2019_mnist`
        layer={"n": 4.5, "m": 10.0, "epochs": 150},
        control={"n_hidden": 2000, "epochs": 50},
        published=PUBLISHED,
    ),
}
RANKS = (2, 4, 7)  # the preprint does not give k
N_TRIAL = 60  # epochs of the top layer in the choice of k


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Follow the recipe, compare ranks on validation images, and run it as printed."""
    recipe = RECIPES[quick]
    result = _recipe.compute(recipe, engine, seed)
    train, validation = competing.images(recipe.data, seed, tune=True)
    layer = PowerClassifier(**{**recipe.layer, "epochs": min(N_TRIAL, recipe.layer["epochs"])}, random_state=seed)
    errors, converged = [], []
    for k in RANKS:
        w = learned(recipe.rows(train, engine, seed, k=k))
        history = competing.kept_layer(layer, w, *recipe.seen(train, validation), max(1, layer.epochs // 30)).history_
        errors.append(100 * history["error_test"][-1])
        converged.append(float(converged_fraction(w, recipe.p)))
    whole, _ = competing.images(recipe.data, seed)
    printed = recipe.rows(whole, engine, seed, printed=True)
    weights = printed["/synapses/S_to_E"].ds["w"].values
    result["/ranks"] = xr.DataTree(
        xr.Dataset({"error": ("k", errors), "converged": ("k", converged)}, coords={"k": list(RANKS)})
    )
    result["/printed"] = xr.DataTree(xr.Dataset({"converged": ("snapshot", converged_fraction(weights, recipe.p))}))
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw features, curves and errors."""
    return _recipe.draw(trees, PUBLISHED if trees[0].attrs["data"] == "mnist" else {})


def rank_error(tree: xr.DataTree, k: int) -> float:
    """Return the error on validation images of a rank."""
    return float(tree["/ranks"].ds["error"].sel(k=k))


SOURCE = "Krotov and Hopfield (2018), arXiv:1806.10181"
FIGURE = Figure(
    name="krotov2019_preprint",
    title="Competing hidden units on MNIST, the preprint's recipe",
    source=f"{SOURCE}, section 4 and appendix B",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "on-the-sphere",
            "With steps scaled by their largest change, as released, nine rows in ten reach the p-sphere (k 2).",
            lambda tree: at_least(tree["/ranks"].ds["converged"].sel(k=2), 0.9),
            f"{SOURCE}, section 2.1",
            ("full",),
        ),
        Claim(
            "not-as-printed",
            "With the printed coefficient they do not: below a tenth.",
            lambda tree: at_most(tree["/printed"].ds["converged"][-1], 0.1),
            "this package: the printed coefficient cannot be the one that was used",
        ),
        Claim(
            "a-later-rank",
            "On validation images the seventh unit is the better one to push away than the second.",
            lambda tree: at_least(rank_error(tree, 2) - rank_error(tree, 7), 0.2),
            "this package: the preprint does not give k",
            ("full",),
        ),
        Claim(
            "largest-weight",
            "The largest weight among 20 rows is near the published +0.585.",
            lambda tree: near(extreme(tree, "high"), 0.585, 0.15),
            f"{SOURCE}, section 4",
            ("full",),
        ),
        Claim(
            "smallest-weight",
            "The smallest weight among 20 rows is near the published -0.48.",
            lambda tree: near(extreme(tree, "low"), -0.48, 0.15),
            f"{SOURCE}, section 4",
            ("full",),
        ),
        _recipe.CLAIM_BORDER,
        _recipe.CLAIM_PIXELS,
        Claim(
            "test-error",
            "The test error is 1.85 % at most.",
            lambda tree: at_most(error(tree, "learned"), 1.85),
            f"{SOURCE}, section 4: 1.52 %; target of this package",
            ("full",),
        ),
    ),
    seeds_full=1,
    needs=("mnist",),
)
