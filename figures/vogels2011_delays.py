"""Inhibition that comes late: the longer its delay, the less of its tuning is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import to_hex

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _spiking as spiking
from neurocircuits.figures import _vogels as vogels
from neurocircuits.models import vogels2011
from neurocircuits.plotting import EXCITATORY, FAINT, NEUTRAL, curve, panel_letters, panels
from neurocircuits.randomness import Streams
from neurocircuits.reproduce import Claim, Figure, Verdict, at_least, at_most, near
from neurocircuits.simulation import run

PREFERRED, FAR = 5, 1  # groups, counted from 1
# The quick setting learns twenty times as fast, so that its seconds stand for thirds of a minute.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"delays": (0, 150), "eta": 2e-2, "learn": 5.0, "late": 5.0, "stretch": 0.5},
    False: {"delays": (0, 5, 10, 50, 150), "eta": 1e-3, "learn": 200.0, "late": 100.0, "stretch": 1.0},
}
# Delay in ms: ratio of weights, rate in Hz and CV, measured once with a re-implementation.
MEASURED = {0: (5.1, 5.3, 1.1), 5: (4.2, 5.9, 0.9), 10: (4.0, 6.3, 1.0), 50: (1.7, 8.0, 1.6), 150: (1.1, 9.6, 2.1)}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Let cells that share their afferents learn, each with another delay of inhibition."""
    chosen = engine or (spiking.engine(dt="0.5 ms", **spiking.QUICK) if quick else spiking.engine())
    setting = SETTINGS[quick]
    delays, names = setting["delays"], [f"cell_{delay}" for delay in setting["delays"]]
    record = Record(spikes=names)
    phases = [
        Phase(name, duration=setting["stretch"], epochs=round(setting[name] / setting["stretch"]), record=record)
        for name in ("learn", "late")
    ]
    plan = Protocol(phases, name="delays", weights=[f"I_to_{name}" for name in names])
    circuit = cells(delays, seed, eta=setting["eta"], peak=spiking.peak(chosen))
    tree = run(circuit, plan, chosen, seed, progress=False)
    start, end = setting["learn"], setting["learn"] + setting["late"]
    late = [vogels.spikes_between(tree, start, end, name) for name in names]
    learned = [vogels.by_group(tree[f"/synapses/I_to_{name}"].ds["w"].values[-1]) for name in names]
    measured = xr.Dataset(
        {
            "weight": (("delay", "group"), vogels.PICOSIEMENS * np.array(learned)),
            "rate": ("delay", [len(times) / setting["late"] for times in late]),
            "cv": ("delay", [vogels.irregularity(times) for times in late]),
        },
        coords={"delay": list(delays), "group": np.arange(1, vogels2011.N_GROUPS + 1)},
    )
    result = xr.DataTree.from_dict({"/measures": measured})
    result.attrs |= {"engine": to_json(chosen)}
    return result


def cells(delays: Sequence[float], seed: int, **settings: Any) -> Circuit:
    """Return the feed-forward circuit with a cell for each delay (ms), of equal afferents and excitatory weights."""
    jitter = Streams(seed).generator("figure", "excitatory").uniform(0, 0.1, len(vogels2011.group_of("E")))
    excitatory = vogels2011.tuning(PREFERRED)[vogels2011.group_of("E")] + jitter
    one = vogels2011.feedforward(excitatory=excitatory, **settings)
    shared = [synapses for synapses in one.synapses if synapses.post != "cell"]
    populations = [population for population in one.populations if population.name != "cell"]
    pathways = []
    for delay in delays:
        name = f"cell_{delay}"
        populations.append(replace(one.population("cell"), name=name))
        pathways.append(replace(one.pathway("E_to_cell"), name="", post=name))
        pathways.append(replace(one.pathway("I_to_cell"), name="", post=name, delay=f"{delay} ms"))
    return Circuit("vogels2011-delays", populations, [*shared, *pathways])


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the learned tuning for each delay, and against the delay its depth and the rate and regularity of firing."""
    figure, axes = panels(1, 4, size=(11.2, 2.8))
    delays, groups = (trees[0]["/measures"].ds[name].values for name in ("delay", "group"))
    data = {name: np.array([tree["/measures"].ds[name].values for tree in trees]) for name in ("weight", "rate", "cv")}
    for k, delay in enumerate(delays):
        colour = to_hex(colormaps["viridis"](0.9 * k / max(len(delays) - 1, 1)))
        curve(axes[0], groups, data["weight"][:, k], colour=colour, label=f"{delay} ms", linewidth=1.2)
    axes[0].set(xlabel="signal", ylabel="mean inhibitory conductance (pS)", xticks=groups)
    axes[0].set(ylim=(0, 1.5 * data["weight"].max()))
    axes[0].set_title("what is learned")
    axes[0].legend(title="delay", loc="upper center", ncols=3)
    ratio = data["weight"][:, :, PREFERRED - 1] / data["weight"][:, :, FAR - 1]
    labels = (f"conductance, signal {PREFERRED} / {FAR}", "output rate (Hz)", "CV of intervals")
    for k, (values, label) in enumerate(zip((ratio, data["rate"], data["cv"]), labels, strict=True)):
        ax = axes[k + 1]
        curve(ax, delays, values, colour=NEUTRAL, linewidth=1.2, label="this package")
        known = [delay for delay in delays if int(delay) in MEASURED]
        marks = [MEASURED[int(delay)][k] for delay in known]
        ax.plot(known, marks, "x", color=EXCITATORY, markersize=5, label="re-implementation")
        ax.set_xscale("symlog", linthresh=5, linscale=0.5)
        ax.set_xticks(delays, [str(delay) for delay in delays])
        ax.minorticks_off()
        ax.set(xlabel="delay of inhibition (ms)", ylabel=label, ylim=(0, 1.25 * max(values.max(), *marks)))
        ax.set_title(("tuning is lost", "the rate rises a little", "firing comes in bursts")[k])
    axes[1].axhline(1, color=FAINT, linewidth=1, linestyle="--", zorder=0)
    axes[2].axhline(6.25, color=FAINT, linewidth=1, linestyle="--", zorder=0, label="target")
    axes[2].legend(loc="lower right")
    axes[1].legend(loc="upper right")
    panel_letters(axes)
    return figure


def claim_of(tree: xr.DataTree, name: str, delay: int) -> float:
    """Return a measure at a delay."""
    return float(tree["/measures"].ds[name].sel(delay=delay))


def claim_ratio(tree: xr.DataTree, delay: int) -> float:
    """Return the conductance of the preferred group over that of one far from it, at a delay."""
    weight = tree["/measures"].ds["weight"].sel(delay=delay)
    return float(weight.sel(group=PREFERRED) / weight.sel(group=FAR))


def claim_depth(tree: xr.DataTree, delay: int) -> float:
    """Return the conductance of the preferred group over the mean of those three or more signals away, at a delay."""
    weight = tree["/measures"].ds["weight"].sel(delay=delay)
    far = [group for group in weight["group"].values if abs(group - PREFERRED) >= 3]
    return float(weight.sel(group=PREFERRED) / weight.sel(group=far).mean())


ONCE = "a re-implementation, one seed; the delays of the paper's figure are not known"


def claim_measured(what: str, delay: int) -> Claim:
    """Return the claim that a measure at a delay is what was measured before, within a fifth."""
    target = MEASURED[delay][what == "rate"]
    if what == "ratio":
        text = f"the preferred group has {target:g} times the conductance of one far from it"
    else:
        text = f"the late rate is {target:g} Hz"

    def check(tree: xr.DataTree) -> Verdict:
        value = claim_ratio(tree, delay) if what == "ratio" else claim_of(tree, "rate", delay)
        return near(value, target, 0.2 * target)

    return Claim(f"{what}-{delay}", f"With a delay of {delay} ms {text}, within a fifth.", check, ONCE, ("full",))


FIGURE = Figure(
    name="vogels2011_delays",
    title="Inhibition that comes late is tuned less",
    source=vogels.SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        *(claim_measured(what, delay) for what in ("ratio", "rate") for delay in MEASURED),
        Claim(
            "tuned",
            "Without a delay the preferred group has at least twice the mean conductance of groups far from it.",
            lambda tree: at_least(claim_depth(tree, 0), 2.0),
            ONCE,
        ),
        Claim(
            "untuned",
            "With a delay of 150 ms it has at most 1.4 times as much as they.",
            lambda tree: at_most(claim_depth(tree, 150), 1.4),
            ONCE,
        ),
        Claim(
            "falls",
            "The longer the delay, the smaller is the ratio, from 10 ms on.",
            lambda tree: at_least(
                min(claim_ratio(tree, a) - claim_ratio(tree, b) for a, b in ((10, 50), (50, 150))), 0.1
            ),
            ONCE,
            ("full",),
        ),
        Claim(
            "rises",
            "With a delay of 150 ms the cell fires at least 1 Hz more than without.",
            lambda tree: at_least(claim_of(tree, "rate", 150) - claim_of(tree, "rate", 0), 1.0),
            ONCE,
        ),
        Claim(
            "bursts",
            "Its intervals vary more, with a coefficient of variation larger by 0.5 or more.",
            lambda tree: at_least(claim_of(tree, "cv", 150) - claim_of(tree, "cv", 0), 0.5),
            ONCE,
            ("full",),
        ),
    ),
)
