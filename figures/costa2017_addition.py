"""Delayed addition by cells whose gates multiply or subtract: learning curves, a unit on a trial, reach, leaks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.figures import _addition
from neurocircuits.figures._addition import SETTINGS
from neurocircuits.plotting import FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

CELLS = ("LSTM", "SubLSTM", "FixSubLSTM", "GRU", "RNN")
GATED = CELLS[:4]
COLOURS = dict(zip(CELLS, ("C0", "C3", "C1", "C2", NEUTRAL), strict=True))


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Train every cell until it is below a share of the baseline, and look into those that subtract."""
    import neurocircuits.recurrent as recurrent

    s, task = SETTINGS[quick], _addition.task(quick)
    baseline = task.baselines["mean"]
    groups: dict[str, xr.Dataset] = {}
    networks = {}
    for cell in CELLS:
        networks[cell], result = _addition.trained(quick, task, cell, seed)
        curves = result["/curves"].to_dataset()
        groups[f"/curves/{cell}"] = xr.Dataset(
            {
                "loss": ("epoch", curves["validation_loss"].values / baseline),
                "updates": ("epoch", curves["updates"].values),
                "test": result["/scores"]["test_loss"].item() / baseline,
            }
        )
    if s["long"]:
        far = _addition.task(quick, s["long"])
        _, result = _addition.trained(quick, far, "LSTM", seed)
        n = len(result["/curves"]["epoch"])
        _, plain = _addition.trained(quick, far, "RNN", seed, epochs=n, stop=False)
        best = [each["/curves"]["validation_loss"].min().item() / far.baselines["mean"] for each in (result, plain)]
        groups["/long"] = xr.Dataset({"LSTM": best[0], "RNN": best[1], "updates": n * s["n"] // 50})
    groups["/trace"] = _trace(recurrent, networks["SubLSTM"], task)
    groups["/reach"] = _reach(recurrent, s["length"], seed)
    groups["/leak"] = recurrent.learned_leaks(networks["FixSubLSTM"].layers).to_dataset()
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "engine": json.dumps({"torch": result.attrs["torch"]}),
        "length": s["length"],
        "units": s["units"],
        "reached": s["reached"],
        "long": s["long"],
    }
    return tree


def _trace(recurrent: Any, network: Any, task: Any) -> xr.Dataset:
    """Return the unit of a trained network whose memory follows the sum of the marked values best, on a trial.

    ``step_marked`` is how far its memory moves over the step of a mark and the one after: a value may reach it through
    the output of another unit, which is one step later. ``step_unmarked`` is that over two steps with no mark in them,
    nor in the step before.
    """
    x, _ = task.draw(np.random.default_rng(5), 64)
    sums = np.cumsum(x[..., 0] * x[..., 1], axis=0)
    traces = [recurrent.gate_traces(network.layers, x[:, k]) for k in range(x.shape[1])]
    c = np.stack([trace["c"].values for trace in traces], axis=1)
    follows = [abs(np.corrcoef(c[:, :, u].ravel(), sums.ravel())[0, 1]) for u in range(c.shape[2])]
    best = int(np.argmax(follows))
    memory = np.concatenate([np.zeros((1, x.shape[1])), c[:, :, best]])
    steps = np.abs(memory[2:] - memory[:-2])  # over a step and the one after
    marks = np.concatenate([np.zeros((1, x.shape[1]), bool), x[..., 1] == 1])
    marked, unmarked = marks[1:-1], ~(marks[:-2] | marks[1:-1] | marks[2:])
    trial = traces[0].isel(unit=best)
    return trial.assign(
        value=("time", x[:, 0, 0]),
        mark=("time", x[:, 0, 1]),
        follows=follows[best],
        step_marked=steps[marked].mean(),
        step_unmarked=steps[unmarked].mean(),
    )


def _reach(recurrent: Any, length: int, seed: int) -> xr.Dataset:
    """Return how far gradients reach in cells that begin as they do, with gates held open or closed by their biases.

    Closed is i = o = sigma(-5) where gates multiply; where they subtract, gates equal what they oppose on average:
    i = z = 1/2 and o = sigma(c) = 1/2.
    """
    x = np.random.default_rng(seed).normal(size=(length, 32, 2))
    found = {}
    for cell, closed, opened in (("LSTM", -5.0, 5.0), ("SubLSTM", 0.0, -5.0)):
        for state, argument in (("closed", closed), ("open", opened)):
            held = {"i": argument, "o": argument, "f": 3.0}
            layers = recurrent.with_held_gates(getattr(recurrent, cell), 2, 20, held, seed)
            found[f"{cell}_{state}"] = ("time", recurrent.gradient_reach(layers, x).values)
    return xr.Dataset(found)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw learning curves, a trial of one unit, the reach of gradients and the learned leaks."""
    figure, axes = panels(2, 2, size=(8.2, 5.6))
    curves, trace, reach, leak = axes.ravel()
    attrs = trees[0].attrs
    for cell in CELLS:
        for k, tree in enumerate(trees):
            data = tree[f"/curves/{cell}"].ds
            curves.loglog(data["updates"], data["loss"], color=COLOURS[cell], label=None if k else cell, linewidth=1.2)
    curves.axhline(attrs["reached"], color=FAINT, linestyle="--", linewidth=0.8, zorder=0)
    curves.axhline(1.0, color=FAINT, linewidth=0.8, zorder=0)
    curves.set(xlabel="updates", ylabel="validation error / baseline", title=f"{attrs['length']} steps")
    curves.legend(fontsize="x-small")
    unit = trees[0]["/trace"].ds
    steps = np.arange(unit.sizes["time"])
    for step in steps[unit["mark"].values == 1]:
        trace.axvline(step, color=FAINT, linewidth=3, zorder=0)
    trace.plot(steps, unit["c"], color="C3", label="memory c")
    trace.plot(steps, unit["z"] - unit["i"], color="C0", linewidth=1, label="z - i")
    trace.plot(steps, unit["h"], color="C1", linewidth=1, label="output h")
    trace.set(xlabel="time step (marks in grey)", ylabel="", title="one subLSTM unit on a trial")
    trace.legend(fontsize="x-small")
    lag = np.arange(attrs["length"])[::-1]
    for name, colour, style in (
        ("LSTM_open", "C0", "-"),
        ("LSTM_closed", "C0", ":"),
        ("SubLSTM_open", "C3", "-"),
        ("SubLSTM_closed", "C3", ":"),
    ):
        reach.semilogy(lag, trees[0]["/reach"].ds[name], style, color=colour, label=name.replace("_", ", gates "))
    reach.set(xlabel="steps back", ylabel="gradient of the output")
    reach.legend(fontsize="x-small", loc="center", bbox_to_anchor=(0.5, 0.36))
    constants = np.concatenate([tree["/leak"].ds["time_constant"].values.ravel() for tree in trees])
    leak.hist(np.log10(constants), bins=20, color=COLOURS["FixSubLSTM"])
    leak.axvspan(np.log10(-1 / np.log(0.9)), np.log10(-1 / np.log(0.99)), color=FAINT, alpha=0.4, linewidth=0, zorder=0)
    leak.axvline(np.log10(attrs["length"]), color=NEUTRAL, linestyle="--", linewidth=0.8)
    leak.set(
        xlabel="log10 of the time constant (steps); grey: at first",
        ylabel="units",
        title="learned leaks, fixed subLSTM",
    )
    panel_letters(axes.ravel())
    return figure


def updates(tree: xr.DataTree, cell: str) -> float:
    """Return after how many updates a cell was below the share; infinity if it never was."""
    data = tree[f"/curves/{cell}"].ds
    below = data["updates"].values[data["loss"].values < tree.attrs["reached"]]
    return float(below[0]) if below.size else float("inf") if np.isfinite(data["loss"]).all() else float("nan")


def ratio_of_reach(tree: xr.DataTree, cell: str) -> float:
    """Return what closing the gates leaves of the gradient, in the geometric mean over steps."""
    data = tree["/reach"].ds
    return float(np.exp(np.log(data[f"{cell}_closed"] / data[f"{cell}_open"]).mean()))


OWN = "lecture on E-I microcircuits (task); gradients: Costa et al. (2017), NIPS 30:272, section 3.1"

FIGURE = Figure(
    name="costa2017_addition",
    title="Delayed addition by gates that multiply and gates that subtract",
    source="Costa et al. (2017), NIPS 30:272-283; task of the lecture and of the group's public code",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "gated-cells-add",
            "LSTM, GRU, subLSTM and fixed subLSTM all come below a hundredth of the baseline (quick: a tenth).",
            lambda tree: at_most(
                max(float(tree[f"/curves/{cell}"].ds["loss"].min(skipna=False)) for cell in GATED),
                tree.attrs["reached"],
            ),
            OWN,
        ),
        Claim(
            "plain-cells-add",
            "So does the plain recurrent network, in twice the passes at most.",
            lambda tree: at_most(tree["/curves/RNN"].ds["loss"].min(skipna=False), tree.attrs["reached"]),
            OWN,
            ("full",),
        ),
        Claim(
            "plain-cells-take-longer",
            "The plain recurrent network needs more updates than the LSTM.",
            lambda tree: at_least(updates(tree, "RNN") / updates(tree, "LSTM"), 1.0),
            OWN,
            ("full",),
        ),
        Claim(
            "long-delays-lstm",
            "Over 200 steps the LSTM comes below a hundredth of the baseline.",
            lambda tree: at_most(tree["/long"].ds["LSTM"], tree.attrs["reached"]),
            OWN,
            ("full",),
        ),
        Claim(
            "long-delays-rnn",
            "With as many updates the plain network stays within a fifth of the baseline.",
            lambda tree: at_least(tree["/long"].ds["RNN"], 0.8),
            OWN,
            ("full",),
        ),
        Claim(
            "memory-steps-at-marks",
            "The memory of the unit that follows the sum moves twice as far in the two steps from a mark as elsewhere.",
            lambda tree: at_least(tree["/trace"].ds["step_marked"] / tree["/trace"].ds["step_unmarked"], 2.0),
            OWN,
            ("full",),
        ),
        Claim(
            "closed-gates-cut-products",
            "Closing gates that multiply takes all but a hundredth of the gradient.",
            lambda tree: at_most(ratio_of_reach(tree, "LSTM"), 0.01),
            OWN,
        ),
        Claim(
            "closed-gates-keep-differences",
            "Closing gates that subtract leaves at least half of it.",
            lambda tree: at_least(ratio_of_reach(tree, "SubLSTM"), 0.5),
            OWN,
        ),
    ),
)
