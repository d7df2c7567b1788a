"""From volleys to irregular firing: inhibition learns in a recurrent network."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _vogels as vogels
from neurocircuits.figures._spiking import engine as spiking_engine
from neurocircuits.models import vogels2011
from neurocircuits.plotting import EXCITATORY, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.protocols import balance
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_excitatory": 1600, "probability": 0.1, "seconds": 10},
    False: {"n_excitatory": 8000, "probability": 0.02, "seconds": 30},
}
SHOWN, N_SHOWN = 0.2, 400  # seconds and cells of the rasters
MEASURES = ("rate", "cv", "population_cv", "correlation")


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Run for a second without plasticity and without inhibition of excitatory cells, then let it learn."""
    setting, chosen = SETTINGS[quick], engine or spiking_engine("euler")
    n = {"E": setting["n_excitatory"], "I": setting["n_excitatory"] // 4}
    circuit = vogels2011.recurrent("brian", n["E"], n["I"], probability=setting["probability"])
    protocol = balance.protocol("1 s", f"{setting['seconds'] - 1} s", None, "1 s", weights=["I_to_E"])
    tree = run(circuit, protocol, chosen, seed, progress=False)
    seconds = np.arange(setting["seconds"])
    found = {
        name: [
            vogels.network_measures(*vogels.trains(tree, name, k, k + 1), n_units=n[name], start=k, stop=k + 1)
            for k in seconds
        ]
        for name in n
    }
    w = tree["/synapses/I_to_E"].ds
    into, from_ = (np.bincount(w[side].values, minlength=n[who]) for side, who in (("post", "E"), ("pre", "I")))
    rasters = {}
    for when, start in (("before", 1 - SHOWN), ("after", setting["seconds"] - SHOWN)):
        units, times = vogels.trains(tree, "E", start, start + SHOWN)
        some = units < N_SHOWN
        rasters[f"/{when}"] = xr.Dataset({"unit": ("event", units[some]), "time": ("event", times[some] - start)})
    result = xr.DataTree.from_dict(
        {
            "/measures": xr.Dataset(
                {name: (("population", "time"), [[one[name] for one in found[who]] for who in n]) for name in MEASURES},
                coords={"population": list(n), "time": seconds + 1.0},
            ),
            "/weights": xr.Dataset({"mean": ("moment", 1e9 * w["w"].values.mean(axis=1))}),
            "/in_degrees": xr.Dataset({"mean": into.mean(), "sd": into.std(), "out": from_.mean()}),
            **rasters,
        }
    )
    result.attrs = {"engine": to_json(chosen), "n_excitatory": n["E"], "seconds": setting["seconds"]}
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw spikes before and after, and rates and irregularity in time."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(12.4, 2.9))
    for ax, when in ((axes[0], "before"), (axes[1], "after")):
        spikes = tree[f"/{when}"].ds
        ax.plot(1e3 * spikes["time"], spikes["unit"], ".", markersize=1.5, color=EXCITATORY, rasterized=True)
        ax.set(xlabel="time (ms)", ylabel="excitatory cell", title=f"{when} learning", ylim=(0, N_SHOWN))
    for one in trees:
        data = one["/measures"].ds
        for name, colour in (("E", EXCITATORY), ("I", INHIBITORY)):
            axes[2].plot(data["time"], data["rate"].sel(population=name), color=colour, linewidth=1)
        for what, colour in (("cv", NEUTRAL), ("population_cv", "C0"), ("correlation", "C1")):
            axes[3].plot(data["time"], data[what].sel(population="E"), color=colour, linewidth=1)
    for name, colour in (("excitatory", EXCITATORY), ("inhibitory", INHIBITORY)):
        axes[2].plot([], [], color=colour, label=name)
    axes[2].axhline(3.0, color=EXCITATORY, linestyle=":", linewidth=0.8, label="target")
    axes[2].set(xlabel="time (s)", ylabel="rate (Hz)", yscale="log")
    axes[2].legend(fontsize="small")
    for label, colour in (("CV of intervals", NEUTRAL), ("CV of the population", "C0"), ("correlation", "C1")):
        axes[3].plot([], [], color=colour, label=label)
    axes[3].set(xlabel="time (s)", ylabel="irregularity, synchrony", ylim=(-0.05, None))
    axes[3].legend(fontsize="small")
    panel_letters(axes)
    return figure


def of(tree: xr.DataTree, name: str, second: int, population: str = "E") -> float:
    """Return a measure in a second of the run, counted from 1; the last one for -1."""
    data = tree["/measures"].ds[name].sel(population=population)
    return float(data.values[-1] if second < 0 else data.sel(time=second))


MEASURED = "a re-implementation of the authors' Brian program"

FIGURE = Figure(
    name="vogels2011_recurrent",
    title="Inhibitory plasticity takes a network from volleys to irregular firing",
    source=vogels.SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "volleys",
            "Before learning all cells fire in volleys at about 160 Hz.",
            lambda tree: near(of(tree, "rate", 1), 160, 12),
            f"{vogels.PROGRAM}, its screenshot: volleys every 6.3 ms",
        ),
        Claim(
            "regular",
            "Their intervals are regular: the coefficient of variation is below 0.1.",
            lambda tree: at_most(of(tree, "cv", 1), 0.1),
            MEASURED,
        ),
        Claim(
            "synchronous",
            "The population's rate varies by more than its mean.",
            lambda tree: at_least(of(tree, "population_cv", 1), 1.0),
            MEASURED,
        ),
        Claim(
            "rate",
            "After 10 s the excitatory rate is 6 to 12 Hz, on its way to the target of 3 Hz.",
            lambda tree: near(of(tree, "rate", 10), 9.0, 3.0),
            MEASURED,
        ),
        Claim(
            "irregular",
            "Then the coefficient of variation is above 0.6.",
            lambda tree: at_least(of(tree, "cv", 10), 0.6),
            MEASURED,
        ),
        Claim(
            "asynchronous",
            "The population's rate varies by less than half of its mean.",
            lambda tree: at_most(of(tree, "population_cv", 10), 0.5),
            MEASURED,
            ("full",),
        ),
        Claim(
            "goes-on",
            "After 30 s the rate is 4 to 7 Hz.",
            lambda tree: near(of(tree, "rate", 30), 5.5, 1.5),
            MEASURED,
            ("full",),
        ),
        Claim(
            "weights",
            "Inhibitory weights grow by more than 1 nS on average while cells fire above their target.",
            lambda tree: at_least(tree["/weights"].ds["mean"].values[-1] - tree["/weights"].ds["mean"].values[0], 1.0),
            "derived: the drift is in proportion to rate - target",
        ),
        Claim(
            "in-degree",
            "Each excitatory cell has 40 inhibitory synapses on average.",
            lambda tree: near(tree["/in_degrees"].ds["mean"], 40, 0.5),
            vogels.PROGRAM,
        ),
    ),
)
