"""Two assemblies are stored, inhibition quietens them, and a cue to a quarter of one brings back all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.patches import Rectangle

from neurocircuits.analysis.spikes import defined_mean, firing_rates, interval_cv, kernel_correlation
from neurocircuits.analysis.trains import Spikes
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import Explicit
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Protocol
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.synapses import Synapses
from neurocircuits.figures import _spiking as spiking
from neurocircuits.figures import _vogels as vogels
from neurocircuits.models import vogels2011
from neurocircuits.plotting import EXCITATORY, EXCITATORY_MAP, FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.protocols import memory
from neurocircuits.randomness import Streams
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

# Compressed in time: the port takes two hours at a fifth of this learning rate or less; the quick setting learns five
# times as fast again, in a quarter of the cells with as many synapses each, which at times fire in volleys.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "cells": 2000,
        "eta": "0.25 nS",
        "timeline": {"settle": "1.5 s", "store": "0.5 s", "quieten": "3.5 s", "cue": "0.5 s", "after": "0.5 s"},
        "control": {"settle": "0.5 s", "store": "0.5 s", "quieten": "0.5 s", "cue": "0.5 s", "after": "0.5 s"},
        "stretch": "0.5 s",
        "window": 1.5,
    },
    False: {"cells": 8000, "eta": "0.05 nS", "timeline": {}, "control": {}, "stretch": "1 s", "window": 1.0},
}
SYNAPSES = 160  # excitatory ones of each cell, on average
STORED, CONTROL = 5.0, 1.0
GROUPS = {"cued": EXCITATORY, "uncued": "#E69F00", "other": "#009E73", "control": NEUTRAL}
WINDOWS = ("before", "stored", "quiet", "cue", "after")
N_SOURCES, P_SOURCES = 1000, 0.05
LONG = 3.0  # seconds, of windows for irregularity and correlation
Spans = Mapping[str, tuple[float, float]]
BIN, SHOWN, N_SHOWN = 0.25, 0.4, 30


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Store, quieten and cue; the same with a factor of 1, which stores nothing."""
    chosen = engine or (spiking.engine(dt="0.5 ms", **spiking.QUICK) if quick else spiking.engine())
    setting = SETTINGS[quick]
    n, circuit = setting["cells"], cued_network(setting["cells"], setting["eta"], seed)
    known = memory.groups(n)
    measured, trees, plans = [], {}, {}
    for factor, timeline in ((STORED, setting["timeline"]), (CONTROL, setting["control"])):
        plan = memory.protocol(n, factor, stretch=setting["stretch"], **timeline)
        tree = run(circuit, plan, chosen, seed, progress=False)
        measured.append(measures(tree, windows(plan, setting["window"]), windows(plan, LONG), known, n))
        trees[factor], plans[factor] = tree, plan
    tree, spans = trees[STORED], windows(plans[STORED], setting["window"])
    end = sum(phase.epochs * phase.duration for phase in plans[STORED].phases)
    units, times = vogels.trains(tree, "E", 0.0, end)
    edges = np.arange(round(end / BIN) + 1) * BIN
    courses = [np.histogram(times[np.isin(units, known[name])], edges)[0] / len(known[name]) / BIN for name in GROUPS]
    sheets = []
    for start, stop in spans.values():
        some, _ = vogels.trains(tree, "E", start, stop)
        sheets.append(np.bincount(some, minlength=n).reshape(memory.sheet(n)) / (stop - start))
    learned = tree["/synapses/I_to_E"].ds
    w = learned["w"].values
    onto = [w[:, np.isin(learned["post"].values, known[name])].mean(axis=1) for name in GROUPS]
    frozen = np.abs(w[-1] - w[learned["phase"].values == "quieten"][-1]).max()
    groups = {
        "/measures": xr.concat(measured, xr.DataArray([STORED, CONTROL], dims="factor", name="factor")),
        "/course": xr.Dataset(
            {"rate": (("group", "time"), courses)}, coords={"group": list(GROUPS), "time": edges[:-1] + BIN / 2}
        ),
        "/sheets": xr.Dataset({"rate": (("window", "row", "column"), sheets)}, coords={"window": list(WINDOWS)}),
        "/weights": xr.Dataset(
            {"mean": (("group", "time"), 1e9 * np.array(onto)), "change_while_frozen": ((), 1e9 * frozen)},
            coords={"group": list(GROUPS), "time": learned["time"].values},
        ),
        "/raster": raster(units, times, spans, known),
    }
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {"engine": to_json(chosen), "cells": n, "cue": spans["cue"][0]}
    return result


def cued_network(n_excitatory: int, eta: str, seed: int) -> Circuit:
    """Return the recurrent network with Poisson units "cue" that reach the cued cells; silent while ``rate`` is 0."""
    network = vogels2011.recurrent(
        "auryn", n_excitatory, n_excitatory // 4, probability=SYNAPSES / n_excitatory, eta=eta
    )
    settings, cells = vogels2011.WEIGHTS["auryn"], memory.groups(n_excitatory)["cued"]
    connected = Streams(seed).generator("figure", "cue").random((len(cells), N_SOURCES)) < P_SOURCES
    post, pre = np.nonzero(connected)
    cue = Population("cue", N_SOURCES, "r = rate/Hz : 1", parameters={"rate": "0 Hz"}, threshold="rand() < rate*dt")
    pathway = Synapses(
        "cue",
        "E",
        weights=settings["excitatory"],
        connectivity=Explicit(cells[post], pre),
        delay=settings["delay"],
    )
    return Circuit("vogels2011-memory", [*network.populations, cue], [*network.synapses, pathway])


def windows(plan: Protocol, length: float) -> Spans:
    """Return the start and the stop of the last so many seconds of each phase, or of all of it."""
    durations = [phase.epochs * phase.duration for phase in plan.phases]
    ends = np.cumsum(durations)
    starts = ends - np.minimum(durations, length)
    return {name: (float(a), float(b)) for name, a, b in zip(WINDOWS, starts, ends, strict=True)}


def measures(tree: xr.DataTree, spans: Spans, longer: Spans, known: dict[str, np.ndarray], n: int) -> xr.Dataset:
    """Return rates of each group in each window, and irregularity and correlation in longer ones."""
    found = np.full((3, len(spans), len(GROUPS)), np.nan)
    data = tree["/spikes/E"].ds
    for k, window in enumerate(spans):
        short, long = Spikes.of(data, n, *spans[window]), Spikes.of(data, n, *longer[window])
        for j, name in enumerate(GROUPS):
            trains = long.take(known[name])
            found[0, k, j] = firing_rates(short.take(known[name])).mean()
            found[1, k, j] = defined_mean(interval_cv(trains, min_intervals=3))
            found[2, k, j] = kernel_correlation(trains)
    names = ("rate", "cv", "correlation")
    return xr.Dataset(
        {name: (("window", "group"), values) for name, values in zip(names, found, strict=True)},
        coords={"window": list(spans), "group": list(GROUPS)},
    )


def raster(units: np.ndarray, times: np.ndarray, spans: Spans, known: dict[str, np.ndarray]) -> xr.Dataset:
    """Return the spikes of some cells of each group at the end of each window, by row."""
    row = np.full(int(units.max(initial=0)) + 1, -1)
    chosen = np.concatenate([known[name][:N_SHOWN] for name in GROUPS])
    inside = chosen < len(row)
    row[chosen[inside]] = np.flatnonzero(inside)
    parts = []
    for k, (_, stop) in enumerate(spans.values()):
        some = (times >= stop - SHOWN) & (times < stop) & (row[units] >= 0)
        parts.append(np.array([np.full(some.sum(), k), row[units[some]], times[some] - stop + SHOWN]))
    table = np.concatenate(parts, axis=1)
    return xr.Dataset({"window": ("event", table[0]), "row": ("event", table[1]), "time": ("event", table[2])})


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw sheets of rates and spikes in five windows, rates and inhibition in time, and what the cue does."""
    tree = trees[0]
    figure, axes = panels(3, 5, size=(12.4, 7.2), height_ratios=(0.8, 1, 1))
    titles = ("before", r"$\times$5 in assemblies", "quietened", "cue", "after")
    known, spikes = memory.groups(tree.attrs["cells"]), tree["/raster"].ds
    shape = memory.sheet(tree.attrs["cells"])
    for k, window in enumerate(WINDOWS):
        ax = axes[0, k]
        image = ax.imshow(tree["/sheets"].ds["rate"].sel(window=window), cmap=EXCITATORY_MAP, vmin=0, vmax=200)
        for name, colour in (("assembly 1", GROUPS["uncued"]), ("assembly 2", GROUPS["other"]), ("cued", EXCITATORY)):
            rows, columns = np.unravel_index(known[name], shape)
            corner, side = (columns.min() - 0.5, rows.min() - 0.5), float(np.ptp(columns) + 1)
            ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=1))
        ax.set(xticks=[], yticks=[])
        ax.set_title(titles[k])
        some = spikes["window"].values == k
        for j, colour in enumerate(GROUPS.values()):
            of_group = some & (spikes["row"].values // N_SHOWN == j)
            time, row = 1e3 * spikes["time"].values[of_group], spikes["row"].values[of_group]
            axes[1, k].vlines(time, row - 0.45, row + 0.45, colors=colour, linewidth=0.6, rasterized=True)
        middles = N_SHOWN * (np.arange(len(GROUPS)) + 0.5)
        axes[1, k].set_yticks(middles, list(GROUPS) if k == 0 else [""] * len(GROUPS))
        axes[1, k].tick_params(axis="y", length=0)
        axes[1, k].set(xlim=(0, 1e3 * SHOWN), ylim=(N_SHOWN * len(GROUPS), -1), xlabel="time (ms)")
    axes[0, 0].set_ylabel("sheet of cells")
    bar = figure.colorbar(image, ax=axes[0, -1], shrink=0.85, pad=0.03)
    bar.set_label("rate (Hz)")
    course, weights = (tree[f"/{name}"].ds for name in ("course", "weights"))
    for name, colour in GROUPS.items():
        axes[2, 0].plot(course["time"], course["rate"].sel(group=name), color=colour, linewidth=0.9, label=name)
        for one in trees:
            mean = one["/weights"].ds["mean"].sel(group=name)
            axes[2, 1].plot(mean["time"], mean, color=colour, linewidth=1, marker="o", markersize=3)
    axes[2, 0].set(xlabel="time (s)", ylabel="rate (Hz)", yscale="log", ylim=(3, 1500))
    axes[2, 0].set_title("the order of events")
    axes[2, 0].legend(ncols=2, loc="upper left", fontsize="small")
    axes[2, 1].set(xlabel="time (s)", ylabel="mean inhibitory weight (nS)")
    axes[2, 1].axvspan(tree.attrs["cue"], float(weights["time"][-1]), color=FAINT, alpha=0.4, linewidth=0)
    axes[2, 1].annotate("frozen", (0.98, 0.04), xycoords="axes fraction", ha="right")
    axes[2, 1].set_title("inhibition grows")
    for ax, name, label in ((axes[2, 2], "cv", "CV of intervals"), (axes[2, 3], "correlation", "mean correlation")):
        for group, colour in GROUPS.items():
            values = np.array([one["/measures"].ds[name].sel(factor=STORED, group=group).values for one in trees])
            ax.plot(range(len(WINDOWS)), values.mean(axis=0), color=colour, linewidth=1, marker="o", markersize=3)
        ax.set_xticks(range(len(WINDOWS)), WINDOWS, rotation=30)
        ax.set(ylabel=label)
    axes[2, 2].set(ylim=(0, None))
    axes[2, 2].set_title("irregular")
    axes[2, 3].axhline(0, color=FAINT, linewidth=1, zorder=0)
    axes[2, 3].set_title("synchronous only at first")
    for j, (name, colour) in enumerate(GROUPS.items()):
        for factor, filled in ((STORED, True), (CONTROL, False)):
            each = [float(one["/measures"].ds["rate"].sel(factor=factor, window="cue", group=name)) for one in trees]
            place = j + (-0.2 if filled else 0.2)
            look = {"color": colour} if filled else {"facecolor": "white", "edgecolor": colour}
            axes[2, 4].bar(place, np.mean(each), 0.36, **look)
            axes[2, 4].plot([place] * len(each), each, ".", color="black", markersize=3)
    axes[2, 4].bar(0, 0, 0, label="stored", color=NEUTRAL)
    axes[2, 4].bar(0, 0, 0, label=r"$\times$1 instead", facecolor="white", edgecolor=NEUTRAL)
    axes[2, 4].set_xticks(range(len(GROUPS)), list(GROUPS), rotation=30)
    axes[2, 4].set(ylabel="rate during the cue (Hz)")
    axes[2, 4].set_title("only what was stored")
    axes[2, 4].legend(loc="upper right")
    panel_letters([axes[0, 0], axes[1, 0], *axes[2]])
    return figure


def claim_rate(tree: xr.DataTree, group: str, window: str = "cue", factor: float = STORED) -> float:
    """Return the rate of a group in a window."""
    return float(tree["/measures"].ds["rate"].sel(factor=factor, window=window, group=group))


def claim_of(tree: xr.DataTree, name: str, group: str, window: str) -> float:
    """Return a measure of a group in a window of the run in which assemblies were stored."""
    return float(tree["/measures"].ds[name].sel(factor=STORED, window=window, group=group))


def claim_left(tree: xr.DataTree) -> float:
    """Return what is left before the cue of the rate after storing, in the assembly in which more is."""
    return max(claim_rate(tree, name, "quiet") / claim_rate(tree, name, "stored") for name in ("uncued", "other"))


def claim_weight(tree: xr.DataTree, group: str) -> float:
    """Return the mean inhibitory weight onto a group at the end, in nS."""
    return float(tree["/weights"].ds["mean"].sel(group=group)[-1])


def claim_ratio(tree: xr.DataTree, group: str, window: str = "cue", factor: float = STORED) -> float:
    """Return the rate of a group over that of the control group."""
    return claim_rate(tree, group, window, factor) / claim_rate(tree, "control", window, factor)


MEASURED = "a re-implementation, one seed, in compressed time"
PORT = "the port of the paper's Fig. 4 (Open Source Brain), in compressed time"
FIGURE = Figure(
    name="vogels2011_memory",
    title="Assemblies are stored, quietened and recalled",
    source=vogels.SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "before",
            "Before storing, cells of the first assembly fire at 4.5 to 10.5 Hz.",
            lambda tree: near(claim_rate(tree, "uncued", "before"), 7.5, 3.0),
            MEASURED,
        ),
        Claim(
            "irregular",
            "Then the coefficient of variation of intervals is 1.2 to 1.5.",
            lambda tree: near(claim_of(tree, "cv", "uncued", "before"), 1.35, 0.15),
            MEASURED,
            ("full",),
        ),
        Claim(
            "stored",
            "Stronger synapses within the assemblies make both fire at least 3 times as fast as the control group.",
            lambda tree: at_least(min(claim_ratio(tree, name, "stored") for name in ("uncued", "other")), 3.0),
            PORT,
        ),
        Claim(
            "quietened",
            "Before the cue both have fallen to a quarter of that rate or less.",
            lambda tree: at_most(claim_left(tree), 0.25),
            PORT,
            ("full",),
        ),
        Claim(
            "quieter",
            "Before the cue both have fallen to half of that rate or less.",
            lambda tree: at_most(claim_left(tree), 0.5),
            PORT,
            ("quick",),
        ),
        Claim(
            "by-inhibition",
            "Inhibitory weights onto cells of the first assembly have grown from 30 to 39 nS, within 1.5 nS.",
            lambda tree: near(claim_weight(tree, "uncued"), 39.0, 1.5),
            MEASURED,
            ("full",),
        ),
        Claim(
            "of-the-assemblies",
            "Weights onto uncued members have grown at least 3 nS more than those onto the control group.",
            lambda tree: at_least(claim_weight(tree, "uncued") - claim_weight(tree, "control"), 3.0),
            MEASURED,
        ),
        Claim(
            "recall",
            "A cue to a quarter of the first assembly makes its other members fire at least 3 times as fast as the "
            "control group.",
            lambda tree: at_least(claim_ratio(tree, "uncued"), 3.0),
            PORT,
        ),
        Claim(
            "irregular-recall",
            "These fire irregularly, with a coefficient of variation of 1 or more.",
            lambda tree: at_least(claim_of(tree, "cv", "uncued", "cue"), 1.0),
            PORT,
        ),
        Claim(
            "asynchronous-recall",
            "And asynchronously: the mean correlation of two of them is below a quarter of that after storing.",
            lambda tree: at_most(
                claim_of(tree, "correlation", "uncued", "cue") / claim_of(tree, "correlation", "uncued", "stored"), 0.25
            ),
            PORT,
            ("full",),
        ),
        Claim(
            "one-assembly",
            "These fire at least 3 times as fast as the other assembly.",
            lambda tree: at_least(claim_rate(tree, "uncued") / claim_rate(tree, "other"), 3.0),
            PORT,
        ),
        Claim(
            "other",
            "The other assembly stays at or below its rate before the cue, within a quarter.",
            lambda tree: at_most(claim_rate(tree, "other") / claim_rate(tree, "other", "quiet"), 1.25),
            PORT,
            ("full",),
        ),
        Claim(
            "control",
            "The control group's rate rises by less than a tenth of what that of the uncued members does.",
            lambda tree: at_most(
                (claim_rate(tree, "control") - claim_rate(tree, "control", "quiet"))
                / (claim_rate(tree, "uncued") - claim_rate(tree, "uncued", "quiet")),
                0.1,
            ),
            PORT,
            ("full",),
        ),
        Claim(
            "ends",
            "After the cue the assembly falls to a quarter of its rate or less.",
            lambda tree: at_most(claim_rate(tree, "uncued", "after") / claim_rate(tree, "uncued"), 0.25),
            PORT,
        ),
        Claim(
            "nothing-stored",
            "With a factor of 1 in place of 5 the same cue leaves the uncued members within half of the control group.",
            lambda tree: near(claim_ratio(tree, "uncued", "cue", CONTROL), 1.0, 0.5),
            "a control",
        ),
        Claim(
            "cue-arrives",
            "Then, too, the cued cells fire at least 5 times as fast as the control group.",
            lambda tree: at_least(claim_ratio(tree, "cued", "cue", CONTROL), 5.0),
            "a control",
        ),
        Claim(
            "frozen",
            "No inhibitory weight changes during and after the cue.",
            lambda tree: at_most(tree["/weights"].ds["change_while_frozen"], 0.0),
            "a control",
        ),
    ),
)
