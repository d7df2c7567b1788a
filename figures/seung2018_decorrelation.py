"""Decorrelation against the number of inhibitory cells, and with all-to-all inhibition."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018, seung_zung2017
from neurocircuits.plotting import FAINT, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "digits", "n_minibatches": 1000, "n_inhibitory": (0, 1, 4, 16), "circuit": learning.DIGITS},
    False: {"data": "mnist", "n_minibatches": 6000, "n_inhibitory": (0, 1, 4, 16, 64), "circuit": {}},
}
LATERAL = "all-to-all"
P = 0.3
# Learned all-to-all inhibition is not positive definite (its smallest eigenvalue is a little below zero), so rows must
# settle by gradient alone, which takes more steps; exact methods need a unique steady state.
LATERAL_ENGINE = SteadyState(batch=100, learning_tolerance=0.01, tolerance=0.01, max_iterations=1000)
DIVERSE = {"percentile_95": 0.25, "largest_cosine": 0.5}
MOST_DUPLICATES = {"digits": 2, "mnist": 12}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with each number of I cells, then with lateral inhibition."""
    setting = SETTINGS[quick]
    data = learning.images(setting["data"], seed)
    names = [str(n) for n in setting["n_inhibitory"]] + [LATERAL]
    rows, cosines = [], []
    for name in names:
        if name == LATERAL:
            all_to_all = seung_zung2017.circuit if quick else seung_zung2017.mnist
            circuit = all_to_all(**setting["circuit"])
        else:
            disynaptic: Any = seung2018.circuit if quick else seung2018.mnist
            circuit = disynaptic(n_inhibitory=int(name), **initial_inhibition(int(name)), **setting["circuit"])
        chosen = engine or (LATERAL_ENGINE if name == LATERAL else learning.ENGINE)
        tree = learning.learn(circuit, data, setting["n_minibatches"], chosen, seed)
        rows.append(learning.measures(tree))
        cosines.append(analysis.decorrelation(tree, phase="probe")["cosine"].values.astype(np.float32))
    groups = {
        "/measures": learning.table(rows, "inhibition", names),
        "/cosines": xr.Dataset({"cosine": (("inhibition", "unit", "other"), np.stack(cosines))}),
    }
    return learning.combined(groups, engine or (learning.ENGINE, LATERAL_ENGINE), data=setting["data"])


def initial_inhibition(n_inhibitory: int) -> dict[str, float]:
    """Return the initial A: inhibition is A^T A, so that of more than 16 I cells starts as large as that of 16."""
    return {"initial_inhibitory": 0.1 * min(1.0, (16 / max(n_inhibitory, 1)) ** 0.5)}


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the distribution of cosines for the first seed, and what falls and what does not fall with n_I."""
    tree = trees[0]
    names = [str(name) for name in tree["/measures"].ds["inhibition"].values]
    places, spots = np.arange(len(names)), [*range(len(names) - 1), len(names) - 0.6]
    figure, axes = panels(1, 3, size=(9.6, 2.7), width_ratios=(1.25, 1, 1))
    shown = [k for k in places if names[k] != "0"]
    for k in shown:
        pairs = np.sort(analysis.off_diagonal(tree["/cosines"].ds["cosine"].values[k]))
        pairs = pairs[np.isfinite(pairs)]
        above = 1 - np.arange(len(pairs)) / len(pairs)
        if names[k] == LATERAL:
            axes[0].plot(pairs, above, label=LATERAL, color="black", linestyle=":", linewidth=1.3)
        else:
            axes[0].plot(pairs, above, label=rf"$n_I$ = {names[k]}", linewidth=1.3)
    axes[0].axvline(P**2, color=FAINT, linestyle="--", linewidth=1, zorder=0, label=r"$(p/q)^2$")
    axes[0].set(yscale="log", xlim=(0, 1.02), xlabel="cosine of two E cells", ylabel="fraction of pairs above")
    axes[0].legend()
    axes[0].set_title(f"cosines ({tree.attrs['data']}, first seed)")
    styles = {
        "largest_cosine": ("largest", "C1"),
        "percentile_95": ("95th percentile", "C2"),
        "mean_cosine": ("mean", "C0"),
    }
    for name, (label, colour) in styles.items():
        values = learning.by_seed(trees, name)
        axes[1].plot(spots[:-1], values[:, :-1].T, "o-", color=colour, markersize=3, linewidth=1)
        axes[1].plot(spots[-1], values[:1, -1], "D", color=colour, markersize=3.5, label=label)
        axes[1].plot([spots[-1]] * len(values), values[:, -1], "D", color=colour, markersize=3.5)
    axes[1].axhline(P**2, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[1].set(ylim=(0, 1.05), ylabel="cosine")
    axes[1].set_title(f"the mean proves nothing ({len(trees)} seed{'s' * (len(trees) > 1)})")
    axes[1].legend()
    duplicates = learning.by_seed(trees, "n_duplicates")
    axes[2].plot(spots[:-1], duplicates[:, :-1].T, "o-", color="C3", markersize=3, linewidth=1)
    axes[2].plot([spots[-1]] * len(duplicates), duplicates[:, -1], "D", color="C3", markersize=3.5)
    axes[2].axhline(MOST_DUPLICATES[tree.attrs["data"]], color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[2].set_yscale("symlog", linthresh=1)
    axes[2].set(ylim=(-0.2, 2 * duplicates.max() + 1), ylabel="pairs of features with cosine > 0.9")
    axes[2].set_title("duplicated features")
    for ax in axes[1:]:
        ax.set_xticks(spots, [*names[:-1], "all-to-\nall"])
        ax.set_xlabel("inhibitory cells")
    panel_letters(axes)
    return figure


def claim_targets_met(tree: xr.DataTree, inhibition: str) -> float:
    """Count the diversity targets that a circuit meets, of three; NaN if one was not measured."""
    limits = {**DIVERSE, "n_duplicates": MOST_DUPLICATES[tree.attrs["data"]]}
    values = np.array([float(learning.measured(tree, name, inhibition=inhibition)) for name in limits])
    return float((values <= list(limits.values())).sum()) if np.isfinite(values).all() else float("nan")


def claim_falls(name: str, *inhibition: str, by: float) -> Any:
    """Return a check that a measure falls along these numbers of I cells, by so much at least from one to the next."""
    return lambda tree: at_least(-np.diff(learning.measured(tree, name, inhibition=list(inhibition))).max(), by)


SEUNG = "Seung (2018), arXiv:1812.11581, abstract"
FIGURE = Figure(
    name="seung2018_decorrelation",
    title="Decorrelation against the number of inhibitory cells",
    source="Seung (2018), arXiv:1812.11581; Seung and Zung (2017), arXiv:1704.00646",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "all-alike-without",
            "Without I cells all E cells are alike: the mean cosine is 1.",
            lambda tree: at_least(learning.measured(tree, "mean_cosine", inhibition="0"), 0.99),
            SEUNG,
        ),
        Claim(
            "one-cell-fails",
            "One I cell meets none of the three diversity targets: 95th percentile, largest cosine, duplicates.",
            lambda tree: at_most(claim_targets_met(tree, "1"), 0),
            "a control that must fail",
        ),
        Claim(
            "sixteen-suffice",
            "Sixteen I cells meet all three.",
            lambda tree: at_least(claim_targets_met(tree, "16"), 3),
            SEUNG,
        ),
        Claim(
            "sixty-four-stay-apart",
            "With sixty-four the largest cosine stays below 0.5, too.",
            lambda tree: at_most(learning.measured(tree, "largest_cosine", inhibition="64"), 0.5),
            SEUNG,
            ("full",),
        ),
        Claim(
            "sixty-four-duplicate-less",
            "Sixty-four I cells leave fewer duplicated features than four.",
            claim_falls("n_duplicates", "4", "64", by=1.0),
            SEUNG,
            ("full",),
            beyond_spread=True,
        ),
        Claim(
            "largest-falls",
            "The largest cosine falls from 1 to 4 to 16 I cells, by 0.05 or more each time.",
            claim_falls("largest_cosine", "1", "4", "16", by=0.05),
            SEUNG,
        ),
        Claim(
            "duplicates-fall",
            "Duplicated features become fewer from 0 to 1 to 16 I cells.",
            claim_falls("n_duplicates", "0", "1", "16", by=1.0),
            SEUNG,
            beyond_spread=True,
        ),
        Claim(
            "duplicates-fall-at-four",
            "Four I cells leave fewer than one does, and sixteen fewer than four.",
            claim_falls("n_duplicates", "1", "4", "16", by=1.0),
            SEUNG,
            ("full",),
            beyond_spread=True,
        ),
        Claim(
            "mean-proves-nothing",
            "The mean cosine with one I cell is that with sixteen, within 0.02, though one fails.",
            lambda tree: near(np.diff(learning.measured(tree, "mean_cosine", inhibition=["1", "16"]))[0], 0.0, 0.02),
            "a control",
        ),
        Claim(
            "all-to-all-keeps-cells-apart",
            "All-to-all inhibition, which bounds each pair by itself, keeps 95 % of the pairs below 0.25.",
            lambda tree: at_most(learning.measured(tree, "percentile_95", inhibition=LATERAL), 0.25),
            "Seung and Zung (2017), arXiv:1704.00646, abstract",
        ),
    ),
    needs=("mnist",),
)
