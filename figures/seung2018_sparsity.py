"""Sparsity and decorrelation against p/q, with the bound (p/q)^2 on the cosine of two cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import NEUTRAL, curve, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

# The anti-Hebbian rule changes what all cells have in common by up to eta_A n_E p^2 of it in a presentation, so on 64
# cells the rates fall as 1/p^2 above p/q 0.3.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "bars", "n_minibatches": 1000, "ratios": (0.2, 0.35, 0.5, 0.7)},
    False: {"data": "mnist", "n_minibatches": 6000, "ratios": (0.15, 0.3, 0.5, 0.7)},
}


def rates(quick: bool, ratio: float) -> dict[str, str]:
    """Return the learning rates at a p/q."""
    if quick:
        return learning.BARS
    slower = min(1.0, (0.3 / ratio) ** 2)
    return {"eta_excitatory": f"{0.02 * slower:.4g} Hz", "eta_inhibitory": f"{0.05 * slower:.4g} Hz"}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn at each p/q."""
    setting = SETTINGS[quick]
    data = learning.images(setting["data"], seed)
    rows = []
    for ratio in setting["ratios"]:
        circuit = (seung2018.bars if quick else seung2018.mnist)(p=ratio, q=1.0, **rates(quick, ratio))
        tree = learning.learn(circuit, data, setting["n_minibatches"], engine, seed)
        rows.append({**learning.measures(tree), "bound": ratio**2})
    groups = {"/measures": learning.table(rows, "ratio", setting["ratios"])}
    return learning.combined(groups, engine, data=setting["data"])


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the fraction of active cells and the mean cosine against p/q."""
    ratios = trees[0]["/measures"].ds["ratio"].values
    fine = np.linspace(0, 1.05 * ratios[-1])
    figure, axes = panels(1, 2, size=(6.2, 2.7))
    labels = {"active": ("fraction active", "C0"), "mean_cosine": ("mean cosine of two E cells", "C1")}
    for ax, (name, (label, colour)) in zip(axes, labels.items(), strict=True):
        ax.plot(fine, fine**2, color=NEUTRAL, linestyle="--", linewidth=1, label=r"$(p/q)^2$")
        curve(ax, ratios, learning.by_seed(trees, name), colour=colour, label=label)
        ax.set(xlim=(0, fine[-1]), ylim=(0, None), xlabel=r"$p/q$", ylabel=label)
        ax.legend(loc="upper left")
    axes[0].set_title(f"sparsity ({trees[0].attrs['data']}, {len(trees)} seed{'s' * (len(trees) > 1)})")
    axes[1].set_title("decorrelation and its bound")
    panel_letters(axes)
    return figure


def claim_rises(name: str) -> Any:
    """Return a check that a measure rises with p/q."""
    return lambda tree: at_least(np.diff(learning.measured(tree, name)).min(), 0.0)


def claim_excess(tree: xr.DataTree) -> float:
    """Return the largest distance of the mean cosine from its bound."""
    return float(np.abs(learning.measured(tree, "mean_cosine") - learning.measured(tree, "bound")).max())


FIGURE = Figure(
    name="seung2018_sparsity",
    title="Sparsity and decorrelation against p/q",
    source="Seung (2018), arXiv:1812.11581; slides of Yang, Luther and Seung (2020)",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "denser",
            "The fraction of active cells rises with p/q.",
            claim_rises("active"),
            "Seung (2018), arXiv:1812.11581, abstract",
            beyond_spread=True,
        ),
        Claim(
            "more-alike",
            "The mean cosine rises with p/q.",
            claim_rises("mean_cosine"),
            "Seung (2018), arXiv:1812.11581, abstract",
            beyond_spread=True,
        ),
        Claim(
            "bound",
            "The mean cosine is (p/q)^2 within 0.03 at every p/q.",
            lambda tree: at_most(claim_excess(tree), 0.03),
            "derived: at rest C <= D on the rows of A",
        ),
        Claim(
            "silent",
            "No E cell is silent at any p/q.",
            lambda tree: at_most(learning.measured(tree, "n_silent").max(), 0),
            "a circuit of silent cells would be sparse too",
        ),
    ),
    needs=("mnist",),
)
