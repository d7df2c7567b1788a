"""Competing hidden units on MNIST by the journal's recipe: features, learning curves, and errors beside controls.

Rows are learned from images as they are. The top layer sees images of unit length, and its output units have a gain of
0.15: the sources leave both open, and validation images decided (`krotov2019_candidates`). Hidden values are a high
power of currents, so without this they tell first of all how much ink an image has.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

from neurocircuits.figures import _recipe
from neurocircuits.figures._recipe import Recipe, better_than, error, measure
from neurocircuits.models import krotov2019
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

PUBLISHED = {
    "published (journal)": 1.46,
    "published (preprint)": 1.52,
    "difference target prop.": 1.94,
    "dendritic microcircuits": 1.96,
    "equilibrium propagation": 2.5,
    "Diehl & Cook": 5.0,
}
RECIPES = {
    True: Recipe(
        data="digits",
        model=krotov2019.mnist,
        p=3.0,
        epochs=150,
        step=0.04,
        settings={"n_hidden": 200, "k": 2, "delta": 0.2},
        unit_length=True,
        layer={"n": 3.0, "m": 4.0, "epochs": 100},
        control={"n_hidden": 200, "epochs": 60},
    ),
    False: Recipe(
        data="mnist",
        model=krotov2019.mnist,
        p=3.0,
        epochs=1000,
        step=0.04,
        unit_length=True,  # this and beta were chosen on validation images, `krotov2019_candidates`
        layer={"n": 4.5, "m": 6.0, "beta": 0.15, "epochs": 300},
        control={"n_hidden": 2000, "epochs": 50},
        without_ltd=100,
        published=PUBLISHED,
    ),
}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Follow the recipe."""
    return _recipe.compute(RECIPES[quick], engine, seed)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw features, curves and errors."""
    return _recipe.draw(trees, PUBLISHED if trees[0].attrs["data"] == "mnist" else {})


JOURNAL = "Krotov and Hopfield (2019), PNAS 116:7723: 1.46 % test error; target of this package 1.85 %"
FIGURE = Figure(
    name="krotov2019_mnist",
    title="Competing hidden units on MNIST",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116, fig. 3",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "on-the-sphere",
            "Nine rows in ten reach the p-sphere within 1 %.",
            lambda tree: at_least(measure(tree, "converged"), 0.9),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1",
            ("full",),
        ),
        Claim(
            "on-the-way-to-the-sphere",
            "Half of the rows do, after a shorter course.",
            lambda tree: at_least(measure(tree, "converged"), 0.5),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1",
            ("quick",),
        ),
        _recipe.CLAIM_SIGNED,
        _recipe.CLAIM_PIXELS,
        Claim(
            "test-error",
            "The test error is 1.85 % at most.",
            lambda tree: at_most(error(tree, "learned"), 1.85),
            JOURNAL,
            ("full",),
        ),
        Claim(
            "training-error",
            "The training error is 0.6 % at most.",
            lambda tree: at_most(error(tree, "learned", "train"), 0.6),
            "target of this package",
            ("full",),
        ),
        Claim(
            "training-error-of-currents",
            "So it is where the top layer sees the currents by which units compete.",
            lambda tree: at_most(error(tree, "learned, metric", "train"), 0.6),
            "target of this package",
            ("full",),
        ),
        Claim(
            "control-error",
            "Backprop with the same architecture errs on 1.7 % of the test images at most.",
            lambda tree: at_most(error(tree, "backprop"), 1.7),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 4: about 1.5 %",
            ("full",),
        ),
        _recipe.CLAIM_RANDOM,
        Claim(
            "better-than-images",
            "Learned rows do better than training images.",
            better_than("training images", 0.0),
            "a control",
            ("full",),
        ),
        _recipe.CLAIM_BORDER,
        Claim(
            "border-of-the-control",
            "Those of the control stay as large as they were drawn: above a third of the others.",
            lambda tree: at_least(measure(tree, "border_control"), 1 / 3),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
            ("full",),
        ),
    ),
    seeds_full=1,
    needs=("mnist",),
)
