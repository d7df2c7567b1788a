"""The way of one image through competing hidden units: currents, activity that settles, three branches of learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis import sphere_norms
from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.weights import Given
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _recipe
from neurocircuits.figures import _zanola as zanola
from neurocircuits.figures.krotov2019_mnist import RECIPES
from neurocircuits.models import krotov2019
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, mosaic, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

IMAGE = 1
W_INH = np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.96, 0.05)]), 2)
MOST_POSITIVE = 0.045  # of the units; the source asks for "a small fraction", here 2 to 5 %
DELTA, TAU, DURATION = 0.4, 0.05, 0.1
NEAR, N_DRAWN = 0.01, 60
SETTLING = [Window("50 ms", plastic=False, step="0.1 ms"), Window("800 ms", plastic=False, step="0.2 ms")]
ENGINE = Brian2(dt="0.1 ms", tolerance=None)


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Show one image to rows on the sphere: in continuous time, at rest, and for one step of learning."""
    if engine is not None:
        raise ValidationError(
            "figure 'krotov2019_pipeline' compares continuous time with the state of rest, so no other engine can be "
            "chosen for it."
        )
    recipe = RECIPES[quick]
    train, _ = competing.images(recipe.data, seed)
    w = _recipe.learned(recipe.rows(train, None, seed)).astype(float)
    w = w[np.abs(sphere_norms(w, recipe.p) - 1) < NEAR]
    image = train[[IMAGE]].values[0].astype(float)
    currents = competing.currents_of(w, recipe.p) @ image
    positive = np.array([(zanola.at_rest(currents, strength) > 0).mean() for strength in W_INH])
    w_inh = float(W_INH[np.argmax(positive <= MOST_POSITIVE)])
    expected = zanola.at_rest(currents, w_inh)
    ranked = np.sort(expected[expected > 0])[::-1]
    h_star = float(ranked[(len(ranked) - 1) // 2 :][:2].mean())  # half of the active units are above it
    circuit = krotov2019.competition(
        len(image), len(w), p=recipe.p, h_star=h_star, delta=DELTA, w_inh=w_inh, tau=f"{TAU} s", initial=Given(w)
    )
    shown = Patterns(image[None], duration=DURATION)
    record = Record("h", populations=("E",), interval="2 ms")
    settle = Phase("settle", {"S": Patterns(image[None])}, plasticity=False, timetable=SETTLING, record=record)
    course = run(circuit, Protocol([settle]), ENGINE, seed, progress=False)["/populations/E"].to_dataset()
    probe = Phase("probe", {"S": shown}, plasticity=False, record=Record("h"))
    rest = run(circuit, Protocol([probe, Phase("learn", {"S": shown})]), SteadyState(batch=1), seed, progress=False)
    h = rest["/populations/E"].ds["h"].values[0]
    change = rest["/synapses/S_to_E"].ds["w"].values[-1] - w
    direction = image - currents[:, None] * w
    eta = 0.2 * DURATION  # the rate of the circuit, 1/tau_L
    gate = (change * direction).sum(axis=1) / (eta * (direction**2).sum(axis=1))
    units = {"current": currents, "h": h, "closed_form": expected, "gate": gate}
    groups = {
        "/units": xr.Dataset({name: ("unit", values) for name, values in units.items()}),
        "/course": xr.Dataset(
            {"h": (("time", "unit"), course["h"].values)},
            coords={"time": course["time_in_presentation"].values / TAU},
        ),
        "/inhibition": xr.Dataset({"positive": ("w_inh", positive)}, coords={"w_inh": W_INH}),
        "/image": xr.Dataset({"v": ("pixel", image)}),
        "/measures": xr.Dataset({"h_star": ((), h_star), "w_inh": ((), w_inh)}),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": to_json(ENGINE), "data": recipe.data, "image_shape": list(train.image_shape or ())}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw image, currents, activity on its way and at rest, what learning made of it, and how inhibition thins it."""
    tree = trees[0]
    units = tree["/units"].ds
    order = np.argsort(-units["current"].values)
    current, h, gate = (units[name].values[order] for name in ("current", "h", "gate"))
    h_star, w_inh = (float(tree["/measures"].ds[name]) for name in ("h_star", "w_inh"))
    colours = np.where(h >= h_star, EXCITATORY, np.where(h > 0, INHIBITORY, FAINT))
    figure, axes = panels(2, 3, size=(9.6, 5.2))
    axes = axes.ravel()
    mosaic(axes[0], tree["/image"].ds["v"].values[None], tuple(int(side) for side in tree.attrs["image_shape"]))
    axes[0].set_title(f"image ({tree.attrs['data']})")
    places = np.arange(1, len(h) + 1)
    axes[1].vlines(places, 0, current, color=colours, linewidth=1)
    axes[1].set(xlabel="unit, by current", ylabel="I", title="currents")
    course = tree["/course"].ds
    traces = course["h"].values[:, order]
    some = np.unique(np.concatenate([np.flatnonzero(h > 0)[:8], np.linspace(0, len(h) - 1, N_DRAWN).astype(int)]))
    for unit in some[::-1]:
        axes[2].plot(course["time"], traces[:, unit], color=colours[unit], linewidth=0.8)
    axes[2].set(xlabel=r"$t/\tau$", ylabel="h(t)", title="competition")
    axes[3].vlines(places, 0, h, color=colours, linewidth=1)
    axes[3].set(xlabel="unit, by current", ylabel=r"$h_\infty$", title=f"{100 * (h > 0).mean():.1f} % positive at rest")
    for ax in axes[2:4]:
        ax.axhline(h_star, color=NEUTRAL, linewidth=0.8, linestyle="--")
        ax.axhline(0, color=NEUTRAL, linewidth=0.8)
    edges = [min(h.min(), -0.1), 0, h_star, 1.15 * h.max()]
    for branch, value in enumerate((0.0, -DELTA, 1.0)):
        axes[4].plot(edges[branch : branch + 2], [value] * 2, color=NEUTRAL, linewidth=1)
    axes[4].scatter(h, gate, color=colours, s=10, zorder=3)
    axes[4].set(xlabel=r"$h_\infty$", ylabel="g, from the change of weights", title="three branches")
    axes[5].plot(tree["/inhibition"].ds["w_inh"], 100 * tree["/inhibition"].ds["positive"], ".-")
    axes[5].axvline(w_inh, color=NEUTRAL, linewidth=0.8, linestyle="--")
    axes[5].axhspan(2, 5, color=FAINT, alpha=0.4, linewidth=0)
    axes[5].set(xlabel=r"$w_{inh}$", ylabel="positive units (%)", yscale="log", title="inhibition")
    panel_letters(axes)
    return figure


def values(tree: xr.DataTree, name: str) -> np.ndarray:
    """Return a value of each unit."""
    return np.asarray(tree["/units"].ds[name].values, dtype=float)


def claim_positive(tree: xr.DataTree) -> float:
    """Return the share of units that are positive at rest, in percent."""
    h = values(tree, "h")
    return 100 * float((h > 0).mean()) if np.isfinite(h).all() else float("nan")


def claim_gate(tree: xr.DataTree) -> float:
    """Return the largest distance of what learning did to a row from the three branches."""
    h = values(tree, "h")
    g = np.where(h >= float(tree["/measures"].ds["h_star"]), 1.0, np.where(h > 0, -DELTA, 0.0))
    return float(np.abs(values(tree, "gate") - g).max())


def claim_smallest_branch(tree: xr.DataTree) -> float:
    """Return the number of units in the smallest of the three branches."""
    gate = values(tree, "gate")
    return float(min((np.abs(gate - value) < 0.01).sum() for value in (0.0, -DELTA, 1.0)))


def claim_thinned(tree: xr.DataTree) -> float:
    """Return how many times more units are positive at their peak than at the end."""
    positive = (tree["/course"].ds["h"].values > 0).sum(axis=1)
    return float(positive.max() / positive[-1]) if positive[-1] else float("nan")


EQ4 = "Krotov and Hopfield (2018), arXiv:1806.10181, eq. 4 and fig. 2"
FIGURE = Figure(
    name="krotov2019_pipeline",
    title="From an image to learning: the pipeline of competing hidden units",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116, fig. 2; rows of the journal's recipe",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "few-stay-positive",
            "Between 2 and 5 % of the units are positive at rest.",
            lambda tree: near(claim_positive(tree), 3.5, 1.5),
            EQ4,
        ),
        Claim(
            "rest-is-the-closed-form",
            "The state of rest is what the sorted currents say, to 1e-8 of the largest activity.",
            lambda tree: at_most(
                np.abs(values(tree, "h") - values(tree, "closed_form")).max() / values(tree, "h").max(), 1e-8
            ),
            "derived: closed form of eq. 4 at rest for w_inh below 1",
        ),
        Claim(
            "activity-settles-there",
            "In continuous time all units end within 1 % of the largest activity from it.",
            lambda tree: at_most(
                np.abs(tree["/course"].ds["h"].values[-1] - values(tree, "h")).max() / values(tree, "h").max(), 0.01
            ),
            EQ4,
        ),
        Claim(
            "most-rise-first",
            "Ten times as many units are positive at the peak as at the end.",
            lambda tree: at_least(claim_thinned(tree), 10.0),
            EQ4,
        ),
        Claim(
            "three-branches",
            "Each branch of g has a unit at least.",
            lambda tree: at_least(claim_smallest_branch(tree), 1),
            EQ4,
        ),
        Claim(
            "learning-follows-g",
            "What learning did to every row is g(h) times the direction of eq. 2, to 1e-6.",
            lambda tree: at_most(claim_gate(tree), 1e-6),
            "Krotov and Hopfield (2018), arXiv:1806.10181, eq. 2",
        ),
        Claim(
            "more-inhibition-fewer-units",
            "The share of positive units never rises with the inhibition.",
            lambda tree: at_most(tree["/inhibition"].ds["positive"].diff("w_inh").max(skipna=False), 0.0),
            "derived: closed form of eq. 4 at rest for w_inh below 1",
        ),
    ),
    seeds_full=1,
    needs=("mnist",),
)
