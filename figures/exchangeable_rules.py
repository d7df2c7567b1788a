"""One circuit, five rules of inhibition onto excitatory cells: reciprocity, balance, and bars that are found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis, datasets
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.spike_rules import Vogels
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.protocols import features
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

P, ETA, DURATION = 0.35, 0.1, 0.1  # target, learning rate of inhibition in Hz, seconds for which a minibatch learns
GATED = Rule(
    "eta*(r_pre*r_post*(r_post > theta) - w)",
    {"eta": "0.1 Hz", "theta": 1.0},
    fixed_point="w = <r_pre*r_post; r_post > theta>",
    source="a default of this package, gated as in Bienenstock, Cooper and Munro (1982)",
)
BACK: dict[str, Any] = {
    "tied": "tied",
    "anti-Hebbian": "local",
    "Vogels": Vogels(eta=2.5, target=0.35, tau="20 ms"),
    "gated": GATED,
    "none": None,
}
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_minibatches": 900, "rules": ("tied", "anti-Hebbian"), "in_time": ()},
    False: {"n_minibatches": 4000, "rules": tuple(BACK), "in_time": tuple(BACK)},
}
IN_TIME = Brian2(dt="0.25 ms", batch=100, dtype="float32", tolerance=None)
IN_TIME_MINIBATCHES, IN_TIME_SLOWEST = 1000, 0.05  # the floor of gains, below which circuits are stiff in time
EVERY = 20  # minibatches between snapshots
SEUNG = "Yang, Luther and Seung (2020), slides: rules local to E-I and to I-E synapses"


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn bars with each rule, as steady states and, in the full setting, in continuous time."""
    setting = SETTINGS[quick]
    data = learning.images("bars", seed)
    rows, names, groups = [], [], {}
    for name in setting["rules"]:
        circuit = seung2018.bars(p=P, eta_inhibitory=f"{ETA} Hz", back=BACK[name])
        shown = learning.presented(data, setting["n_minibatches"], weights_every=100 * EVERY)
        tree = run(circuit, features.protocol(**shown), engine or learning.ENGINE, seed, progress=False)
        rows.append(measured(tree))
        names.append(name)
        if name == "anti-Hebbian":
            groups["/reciprocity"] = reciprocity(tree)
    groups["/measures"] = learning.table(rows, "rule", names)
    both = []
    for name in setting["in_time"]:
        settings = {"p": P, "eta_inhibitory": f"{ETA} Hz", "gain_floor": IN_TIME_SLOWEST, "eta_excitatory": "0.1 Hz"}
        circuit = seung2018.bars(**settings, back=BACK[name])
        protocol = features.protocol(**learning.presented(data, IN_TIME_MINIBATCHES))
        trees = [run(circuit, protocol, each, seed, progress=False) for each in (learning.ENGINE, IN_TIME)]
        w = [each["/synapses/S_to_E"].ds["w"].values[-1] for each in trees]
        both.append(
            {
                "difference": float(np.linalg.norm(w[0] - w[1]) / np.linalg.norm(w[0])),
                "n_found": measured(trees[1])["n_found"],
                "n_found_at_rest": measured(trees[0])["n_found"],
            }
        )
    if both:
        groups["/in_time"] = learning.table(both, "rule", setting["in_time"])
    return learning.combined(groups, engine)


def measured(tree: xr.DataTree) -> dict[str, float]:
    """Return the measures of a run, and how many of sixteen bars were found; one active cell has no cosine."""
    r = tree["/populations/E"].ds["r"].values
    alive = r.shape[1] - int(analysis.activity(tree, phase="probe")["n_silent"])
    known = learning.measures(tree) if alive > 1 else dict.fromkeys(learning.MEASURES, math.nan)
    return {
        **known,
        "n_silent": r.shape[1] - alive,
        "mean_rate": float(r.mean()),
        "n_found": int(analysis.matched_features(tree, datasets.bar_templates())["n_found"]),
    }


def reciprocity(tree: xr.DataTree) -> xr.Dataset:
    """Return how far the weights there and back are from transposes of each other, after each so many minibatches."""
    there, back = (tree[f"/synapses/{name}"].ds for name in ("E_to_I", "I_to_E"))
    inside = there["phase"].values != "probe"
    apart = np.abs(there["w"].values[inside] - back["w"].values[inside].transpose(0, 2, 1)).max(axis=(1, 2))
    return xr.Dataset({"apart": ("moment", apart)}, coords={"moment": DURATION * EVERY * np.arange(len(apart))})


def slope(tree: xr.DataTree) -> float:
    """Return the rate at which weights there and back become transposes, in units of the rule's eta (q^2 - p^2)."""
    data = tree["/reciprocity"].ds
    apart, moment = data["apart"].values, data["moment"].values
    late = (apart > 1e-12) & (moment > 0.3 * moment[-1])
    if late.sum() < 2:
        return math.nan
    fitted = np.polyfit(moment[late], np.log(apart[late]), 1)[0]
    return float(-fitted / (ETA * (1 - P**2)))


def decades(tree: xr.DataTree) -> float:
    """Return over how many decades they do."""
    apart = tree["/reciprocity"].ds["apart"].values
    return math.log10(apart[0] / max(apart.min(), 1e-16))


def value(name: str, rule: str) -> Any:
    """Return a function of a tree that reads a measure of a rule."""
    return lambda tree: float(tree["/measures"].ds[name].sel(rule=rule))


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw reciprocity, and what each rule leads to."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(12.4, 3.0))
    for each in trees:
        data = each["/reciprocity"].ds
        axes[0].plot(data["moment"], data["apart"], color=INHIBITORY, linewidth=1)
    moment = tree["/reciprocity"].ds["moment"].values
    expected = tree["/reciprocity"].ds["apart"].values[0] * np.exp(-ETA * (1 - P**2) * moment)
    axes[0].plot(moment, expected, "--", color=FAINT, linewidth=1, label=r"$-\eta_A (q^2 - p^2)$")
    axes[0].set(yscale="log", ylim=(1e-17, 1), xlabel="time of learning (s)", ylabel="largest difference")
    axes[0].legend(fontsize="small")
    axes[0].set_title("there and back become transposes")
    rules = tree["/measures"].ds["rule"].values
    at = np.arange(len(rules))
    for axis, name, title, colour in (
        (axes[1], "n_found", "bars found, of 16", EXCITATORY),
        (axes[2], "largest_cosine", "largest cosine of two cells", NEUTRAL),
        (axes[3], "slope", "slope of inhibition on excitation", INHIBITORY),
    ):
        for each in trees:
            axis.plot(at, each["/measures"].ds[name], "o", color=colour, markersize=5, alpha=0.7)
        axis.set_xticks(at, rules, rotation=30, ha="right")
        largest = max(float(np.nanmax(each["/measures"].ds[name])) for each in trees)
        axis.set(ylim=(0, 1.15 * largest), xlim=(-0.5, len(rules) - 0.5))
        axis.set_title(title)
    panel_letters(axes)
    return figure


FIGURE = Figure(
    name="exchangeable_rules",
    title="One circuit, several rules of inhibition: reciprocity is learned by a local rule",
    source=SEUNG,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "reciprocity",
            "From other initial weights, those there and back become transposes at the rate of the rule, within 1 %.",
            lambda tree: near(slope(tree), 1.0, 0.01),
            source="derived from the rule: d(A - B')/dt = -eta_A (A - B') D",
            when=("full",),
        ),
        Claim(
            "reciprocity-soon",
            "From other initial weights, those there and back become transposes at the rate of the rule, within 3 %.",
            lambda tree: near(slope(tree), 1.0, 0.03),
            source="derived from the rule, at the quick setting, where weights at 0 still count",
            when=("quick",),
        ),
        Claim(
            "eight-decades",
            "They do so over eight decades or more.",
            lambda tree: at_least(decades(tree), 8.0),
            source="a target of this package",
            when=("full",),
        ),
        Claim(
            "three-decades",
            "They do so over three decades or more.",
            lambda tree: at_least(decades(tree), 3.0),
            source="a target of this package, at the quick setting",
            when=("quick",),
        ),
        Claim(
            "as-tied",
            "Bars are found as with tied weights, two more or fewer at most.",
            lambda tree: at_most(abs(value("n_found", "anti-Hebbian")(tree) - value("n_found", "tied")(tree)), 2),
            source=SEUNG,
        ),
        Claim(
            "both-engines",
            "With every rule, weights learned in continuous time are within a tenth of those learned as steady states.",
            lambda tree: at_most(float(tree["/in_time"].ds["difference"].max()), 0.1),
            source="a target of this package",
            when=("full",),
        ),
        Claim(
            "none-is-worse",
            "Inhibition that does not learn finds fewer bars than inhibition that does.",
            lambda tree: at_least(value("n_found", "tied")(tree) - value("n_found", "none")(tree), 1),
            source="a control",
            when=("full",),
        ),
    ),
)
