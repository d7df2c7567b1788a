"""A cell trained by back-propagation, replayed by the column in continuous time, and a smaller one in spikes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.record import Record
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.figures import _addition
from neurocircuits.models import costa2017, costa2017_spikes
from neurocircuits.models._costa2017_counted import counted
from neurocircuits.plotting import FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

# durations of a time step over the time constant of the gates, and of those that are run without a latch; trials
RATIOS = {True: (2, 8, 40), False: (2, 5, 10, 20, 50, 100)}
LIVE = {True: (8,), False: (5, 20, 50)}
N_TRIALS = {True: 50, False: 200}
TAU = 1e-3  # seconds
COLOURS = {"latched": "C3", "live": "C0"}
# in spikes, at either setting a cell of a few units that adds over as many steps as the quick ones: cells in a pool,
# trials; pulse, rest, time step, and the longest interval between spikes of "H" in seconds; draws of the derived errors
POOLS, SPIKING_TRIALS, UNITS = {True: (25, 100), False: (25, 50, 100, 200)}, {True: 10, False: 20}, 4
PULSE, REST, DT, INTERVAL, DRAWS = 0.1, 0.1, 2e-4, 0.005, 200


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Train a subLSTM to add, and replay it on new trials by circuits that are shown them at several speeds."""
    import neurocircuits.recurrent as recurrent

    task = _addition.task(quick)
    network, result = _addition.trained(quick, task, "SubLSTM", seed)
    weights = recurrent.column_weights(network.layers)
    x, y = task.draw(np.random.default_rng((11, seed)), N_TRIALS[quick])
    n_time = len(x)
    traces = [recurrent.gate_traces(network.layers, x[:, k].astype(np.float32)) for k in range(x.shape[1])]
    h, c = (np.stack([trace[name].values for trace in traces], axis=1) for name in "hc")
    read, offset = network.readout.weight.detach().cpu().numpy()[0], network.readout.bias.item()
    groups = {"/cell": xr.Dataset({"answer": ("trial", h[-1] @ read + offset), "true": ("trial", y)})}
    for recurrence, ratios in (("latched", RATIOS[quick]), ("live", LIVE[quick])):
        found = [_replayed(weights, x, recurrence, ratio) for ratio in ratios]
        errors = [np.sqrt(((each - h) ** 2).mean()) / h.std() for each in found]
        answers = np.array([each[-1] @ read + offset for each in found])
        groups[f"/{recurrence}"] = xr.Dataset(
            {"answer": (("ratio", "trial"), answers), "error": ("ratio", errors)}, coords={"ratio": list(ratios)}
        )
    sums = np.cumsum(x[..., 0] * x[..., 1], axis=0)
    follows = [abs(np.corrcoef(c[..., unit].ravel(), sums.ravel())[0, 1]) for unit in range(c.shape[-1])]
    unit = int(np.argmax(follows))
    groups["/trace"] = _trace(weights, x[:, :1], unit, RATIOS[quick][-2]).assign(
        cell=("step", c[:, 0, unit]), mark=("step", x[:, 0, 1])
    )
    groups["/spikes"] = spikes(quick, seed)
    tree = xr.DataTree.from_dict(groups)
    engines = {"torch": result.attrs["torch"], "brian2": "0.1 tau", "brian2, spikes": f"{DT:g} s"}
    tree.attrs = {"engine": json.dumps(engines), "length": n_time}
    return tree


def spikes(quick: bool, seed: int) -> xr.Dataset:
    """Train a small subLSTM, replay it by columns of spiking cells, and derive how far they should be from it."""
    import neurocircuits.recurrent as recurrent

    task = _addition.task(True)
    training = recurrent.Training(epochs=30, batch=50, rate=1e-2)
    below = 0.1 * task.baselines["mean"]
    network, _ = recurrent.train(task, recurrent.SubLSTM, UNITS, training, seed=seed, stop_below=below)
    weights = recurrent.column_weights(network.layers)
    x, _ = task.draw(np.random.default_rng((12, seed)), SPIKING_TRIALS[quick])
    n = x.shape[1]
    traces = [recurrent.gate_traces(network.layers, x[:, k].astype(np.float32)) for k in range(n)]
    h = np.stack([trace["h"].values for trace in traces], axis=1)
    read, offset = network.readout.weight.detach().cpu().numpy()[0], network.readout.bias.item()
    found, drawn = [], []
    for n_pool in POOLS[quick]:
        circuit = costa2017_spikes.circuit(weights=weights, n_pool=n_pool, presentation=PULSE)
        shown = costa2017.protocol(x, PULSE + REST, PULSE, record=costa2017_spikes.RECORD)
        tree = run(circuit, shown, Brian2(dt=DT, batch=n, tolerance=None), seed, progress=False)
        found.append(costa2017_spikes.outputs(tree, n, UNITS, dt=DT)["h"])
        many = np.repeat(x, DRAWS, axis=1)
        counts = counted(weights, many, n_pool, presentation=PULSE, read=REST - INTERVAL, seed=seed)
        drawn.append(counts.reshape(len(x), n, DRAWS, UNITS))
    cut = {name: value * (not name.startswith("R_")) for name, value in weights.items()}
    without = counted(cut, x, 10**9, presentation=PULSE)  # as if spikes were infinitely many
    answers = np.array([each[-1] @ read + offset for each in drawn])
    squares = [((each - h[:, :, None]) ** 2).mean(axis=2) for each in drawn]  # derived, (time, trial, unit)
    apart = [(each - h) ** 2 for each in found]
    return xr.Dataset(
        {
            "cell": ("trial", h[-1] @ read + offset),
            "answer": (("pool", "trial"), np.array([each[-1] @ read + offset for each in found])),
            "sd": (("pool", "trial"), np.sqrt(((answers - (h[-1] @ read + offset)[:, None]) ** 2).mean(axis=2))),
            "error": ("pool", [np.sqrt(each.mean()) for each in apart]),
            "derived": ("pool", [np.sqrt(each.mean()) for each in squares]),
            "score": ("pool", [np.sqrt((a / b).mean()) for a, b in zip(apart, squares, strict=True)]),
            "without": np.sqrt(((without - h) ** 2).mean()),
        },
        coords={"pool": list(POOLS[quick])},
    )


def _circuit(weights: Any, recurrence: str, ratio: float) -> Any:
    return costa2017.circuit(weights, recurrence, presentation=ratio * TAU, tau=TAU, tau_latch=0.1 * TAU)


def _replayed(weights: Any, x: np.ndarray, recurrence: str, ratio: float) -> np.ndarray:
    """Return h at the end of each time step, (time, trial, unit), one copy of the circuit for each trial."""
    shown = costa2017.protocol(x, ratio * TAU, TAU, recurrence)
    engine = Brian2(dt=0.1 * TAU, batch=x.shape[1], tolerance=None)
    tree = run(_circuit(weights, recurrence, ratio), shown, engine, seed=0, progress=False)
    return costa2017.outputs(tree, len(x))["h"]


def _trace(weights: Any, x: np.ndarray, unit: int, ratio: float) -> xr.Dataset:
    """Return the memory of a unit through a trial, time in time steps of the cell."""
    recorded = Record("c", populations=("C",), units=(unit,), interval=0.5 * TAU)
    shown = costa2017.protocol(x, ratio * TAU, TAU, record=recorded)
    engine = Brian2(dt=0.1 * TAU, tolerance=None)
    data = run(_circuit(weights, "latched", ratio), shown, engine, seed=0, progress=False)["/populations/C"].ds
    return xr.Dataset({"c": ("time", data["c"].values[:, 0])}, coords={"time": data["time"].values / (ratio * TAU)})


def share(tree: xr.DataTree, recurrence: str) -> xr.DataArray:
    """Return the share of trials on which the circuit answers as the cell does, to 0.04, by ratio; NaN if unknown."""
    apart = abs(tree[f"/{recurrence}"].ds["answer"] - tree["/cell"].ds["answer"])
    return (apart < 0.04).where(apart.notnull()).mean("trial", skipna=False)


def slope(tree: xr.DataTree) -> float:
    """Return how the error of h goes with the duration of time steps, as a power, over the slower half."""
    data = tree["/latched"].ds.sel(ratio=slice(8, None))
    return float(np.polyfit(np.log(data["ratio"]), np.log(data["error"]), 1)[0])


def departure(tree: xr.DataTree) -> float:
    """Return how far the root mean square of errors in spikes, each over the derived one, is from 1 at most."""
    return float(abs(tree["/spikes"].ds["score"] - 1).max(skipna=False))


def falls(tree: xr.DataTree) -> float:
    """Return how the error of h in spikes goes with the number of cells in a pool, as a power."""
    data = tree["/spikes"].ds
    return float(np.polyfit(np.log(data["pool"]), np.log(data["error"]), 1)[0])


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the memory of a unit, answers of circuits and cell, the share of equal answers, and errors of h."""
    figure, axes = panels(2, 3, size=(11.5, 5.6))
    memory, answers, spiking, equal, error, noise = axes.ravel()
    trace = trees[0]["/trace"].ds
    for step in np.flatnonzero(trace["mark"].values == 1):
        memory.axvspan(step, step + 1, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    memory.plot(trace["time"], trace["c"], color=COLOURS["latched"], label="column, continuous time")
    ends = np.arange(trace.sizes["step"]) + 1
    memory.plot(ends, trace["cell"], "o", color=NEUTRAL, markersize=2.5, label="trained cell")
    memory.set(xlabel="time step (marked ones in grey)", ylabel="memory c of a unit")
    memory.legend(fontsize="x-small")
    cell = trees[0]["/cell"].ds["answer"]
    for recurrence in ("live", "latched"):
        data = trees[0][f"/{recurrence}"].ds
        ratio = trees[0]["/live"].ds["ratio"].values[-1]
        answers.plot(
            cell,
            data["answer"].sel(ratio=ratio),
            ".",
            color=COLOURS[recurrence],
            markersize=3,
            label=f"{recurrence}, D = {ratio} tau",
        )
    ends = np.array([cell.min(), cell.max()])
    answers.plot(ends, ends, color=FAINT, linewidth=0.8, zorder=0)
    answers.set(xlabel="answer of the trained cell", ylabel="answer of the column")
    answers.legend(fontsize="x-small")
    for tree in trees:
        for recurrence, colour in COLOURS.items():
            first = tree is trees[0]
            data, style = tree[f"/{recurrence}"].ds, {"color": colour, "markersize": 4, "linewidth": 1}
            equal.semilogx(data["ratio"], share(tree, recurrence), "o-", label=recurrence if first else None, **style)
            error.loglog(data["ratio"], data["error"], "o-", label=recurrence if first else None, **style)
    equal.axhline(0.98, color=FAINT, linestyle="--", linewidth=0.8, zorder=0)
    equal.set(xlabel="presentation / time constant of gates", ylabel="answers within 0.04", ylim=(-0.04, 1.04))
    equal.legend(fontsize="x-small", title="recurrent input", title_fontsize="x-small")
    line = trees[0]["/latched"].ds
    error.loglog(
        line["ratio"],
        line["error"].values[-1] * line["ratio"].values[-1] / line["ratio"],
        "--",
        color=FAINT,
        linewidth=0.8,
        label="in proportion to 1/D",
        zorder=0,
    )
    error.set(xlabel="presentation / time constant of gates", ylabel="error of h / its deviation")
    error.legend(fontsize="x-small")
    for axis in (equal, error):
        ticks = line["ratio"].values
        axis.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axis.minorticks_off()
    _draw_spikes(trees, spiking, noise)
    panel_letters(axes.ravel())
    return figure


def _draw_spikes(trees: list[xr.DataTree], answers: Any, error: Any) -> None:
    """Draw answers of columns of spikes beside those of their cells, and the error of h by cells in a pool."""
    for k, tree in enumerate(trees):
        data = tree["/spikes"].ds
        most = data.isel(pool=-1)
        label = f"{int(most['pool'])} cells in a pool" if k == 0 else None
        style = {"fmt": "o", "color": COLOURS["latched"], "markersize": 3, "linewidth": 0.8}
        answers.errorbar(data["cell"], most["answer"], most["sd"], label=label, **style)
        names = ("in spikes", "derived", "cell without recurrent weights") if k == 0 else (None, None, None)
        error.loglog(data["pool"], data["error"], "o-", color="C3", markersize=4, linewidth=1, label=names[0])
        error.loglog(data["pool"], data["derived"], "--", color=NEUTRAL, linewidth=1, label=names[1])
        error.axhline(float(data["without"]), color=FAINT, linewidth=0.8, label=names[2], zorder=0)
    first = trees[0]["/spikes"].ds
    ends = [first["cell"].min(), first["cell"].max()]
    answers.plot(ends, ends, color=FAINT, linewidth=0.8, zorder=0)
    answers.set(xlabel="answer of a small trained cell", ylabel="answer in spikes")
    answers.legend(fontsize="x-small")
    error.set(xlabel="cells in a pool", ylabel="error of h", ylim=(0.02, 0.5))
    error.set_xticks(first["pool"].values, [f"{n}" for n in first["pool"].values])
    error.minorticks_off()
    error.legend(fontsize="x-small")


OWN = "target of this package: a cell whose gates subtract is a column in continuous time"
SPIKES = "target of this package: a trained cell with recurrent weights is a column of E and I cells that spike"
FIGURE = Figure(
    name="costa2017_replay",
    title="A trained subLSTM, replayed by a column of E and I cells in continuous time",
    source="Costa et al. (2017), NIPS 30:272-283, sections 2 and 3; delayed addition as in the lecture",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "slow-columns-answer-the-same",
            "At the slowest the column answers within 0.04 of the trained cell on at least 98 % of the trials.",
            lambda tree: at_least(share(tree, "latched")[-1], 0.98),
            OWN,
        ),
        Claim(
            "fast-ones-do-not",
            "With inputs that change every two time constants of the gates at most half of the answers are the same.",
            lambda tree: at_most(share(tree, "latched")[0], 0.5),
            OWN,
        ),
        Claim(
            "error-falls-as-the-duration-grows",
            "The error of h falls in proportion to the time constant of the gates over the duration of a time step.",
            lambda tree: near(slope(tree), -1.0, 0.2),
            OWN,
        ),
        Claim(
            "without-a-latch-answers-differ",
            "Without a latch at most half of the answers are the same, at whatever speed.",
            lambda tree: at_most(share(tree, "live").max(skipna=False), 0.5),
            OWN,
        ),
        Claim(
            "spikes-err-as-derived",
            "In spikes errors of h are those derived from numbers of spikes, within a quarter for pools of each size.",
            lambda tree: at_most(departure(tree), 0.25),
            SPIKES,
        ),
        Claim(
            "more-cells-less-noise",
            "They fall nearly as the root of the number of cells in a pool: as its power -0.5 within 0.25.",
            lambda tree: near(falls(tree), -0.5, 0.25),
            SPIKES,
        ),
        Claim(
            "spikes-carry-the-recurrent-input",
            "With the largest pools they are half or less of those of a cell without its recurrent weights.",
            lambda tree: at_most(float(tree["/spikes"].ds["error"][-1] / tree["/spikes"].ds["without"]), 0.5),
            SPIKES,
        ),
    ),
)
