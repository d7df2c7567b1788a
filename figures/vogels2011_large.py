"""The lecture's large network: 200 000 excitatory and 40 000 inhibitory cells with 240 million synapses."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.figures import _vogels as vogels
from neurocircuits.figures._spiking import engine as spiking_engine
from neurocircuits.models import vogels2011
from neurocircuits.plotting import EXCITATORY, FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most
from neurocircuits.simulation import run

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"sizes": ((1000, 250), (4000, 800)), "in_degree": (400, 100), "scale": 0.4, "seconds": 1.0},
    False: {"sizes": ((8000, 2000), (200_000, 40_000)), "in_degree": (800, 200), "scale": 0.2, "seconds": 1.0},
}
NAMES = ("small", "large")
N_KEPT, TARGET, ETA = 20_000, 3.0, "10 pS"
MEASURES = ("rate", "cv", "population_cv", "correlation")


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Run two networks with equal in-degrees and weights from the balanced start, with plasticity on."""
    setting = SETTINGS[quick]
    chosen = engine or (Brian2(dt="0.1 ms", target="numpy") if quick else spiking_engine("euler"))
    groups: dict[str, Any] = {}
    found: list[list[dict[str, float]]] = []
    for name, (n_excitatory, n_inhibitory) in zip(NAMES, setting["sizes"], strict=True):
        circuit = vogels2011.recurrent(
            "auryn",
            n_excitatory,
            n_inhibitory,
            in_degree=setting["in_degree"],
            scale=setting["scale"],
            target=f"{TARGET} Hz",
            eta=ETA,
        )
        learn = Phase("learn", duration=setting["seconds"], record=Record(spikes=True))
        tree = run(circuit, Protocol([learn], weights={"I_to_E": N_KEPT}), chosen, seed, progress=False)
        counts = {"E": n_excitatory, "I": n_inhibitory}
        span = {"start": 0.2, "stop": setting["seconds"]}  # without the first transient
        found.append(
            [vogels.network_measures(*vogels.trains(tree, who, **span), n_units=n, **span) for who, n in counts.items()]
        )
        w = tree["/synapses/I_to_E"].ds
        rates = np.bincount(tree["/spikes/E"].ds["unit"].values, minlength=n_excitatory) / setting["seconds"]
        change = 1e12 * (w["w"].values[-1] - w["w"].values[0])
        own = rates[w["post"].values]
        groups[f"/{name}"] = xr.Dataset(
            {
                "above": change[own > TARGET].mean(),
                "below": change[own < TARGET].mean(),
                "by_rate": ("rate", [change[own == k].mean() if (own == k).any() else np.nan for k in range(9)]),
            },
            coords={"rate": np.arange(9)},
        )
        units, times = vogels.trains(tree, "E", 0.7, 0.9)
        some = units < 400
        groups[f"/{name}_spikes"] = xr.Dataset({"unit": ("event", units[some]), "time": ("event", times[some] - 0.7)})
    values = {
        name: (("network", "population"), [[one[name] for one in network] for network in found]) for name in MEASURES
    }
    groups["/measures"] = xr.Dataset(values, coords={"network": list(NAMES), "population": ["E", "I"]})
    result = xr.DataTree.from_dict(groups)
    result.attrs = {"engine": to_json(chosen), "sizes": [sum(size) for size in setting["sizes"]]}
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw spikes of both networks, and how weights change with the rate of their cell."""
    tree = trees[0]
    figure, axes = panels(1, 3, size=(9.3, 2.9))
    for ax, name, size in zip(axes, NAMES, tree.attrs["sizes"], strict=False):
        spikes = tree[f"/{name}_spikes"].ds
        ax.plot(1e3 * spikes["time"], spikes["unit"], ".", markersize=1.5, color=EXCITATORY, rasterized=True)
        ax.set(xlabel="time (ms)", ylabel="excitatory cell", ylim=(0, 400), title=f"{size:,} cells")
    for name, colour in zip(NAMES, (FAINT, NEUTRAL), strict=True):
        for one in trees:
            data = one[f"/{name}"].ds
            axes[2].plot(data["rate"], data["by_rate"], "o-", color=colour, markersize=3, linewidth=1)
        axes[2].plot([], [], "o-", color=colour, markersize=3, label=name)
    axes[2].axvline(TARGET, color=EXCITATORY, linestyle=":", linewidth=0.8, label="target")
    axes[2].axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes[2].set(xlabel="rate of the cell (Hz)", ylabel="mean change of its weights (pS)")
    axes[2].legend(fontsize="small")
    panel_letters(axes)
    return figure


def of(tree: xr.DataTree, name: str, network: str, population: str = "E") -> float:
    """Return a measure of a population of a network."""
    return float(tree["/measures"].ds[name].sel(network=network, population=population))


def relative(tree: xr.DataTree, population: str) -> float:
    """Return how much the rates of the two networks differ."""
    return abs(of(tree, "rate", "large", population) / of(tree, "rate", "small", population) - 1)


SOURCE = "derived: networks with equal in-degrees and weights differ by their correlations only"

FIGURE = Figure(
    name="vogels2011_large",
    title="A network of the lecture's size",
    source="lecture on E-I microcircuits: 200 000 excitatory and 40 000 inhibitory cells; no publication was found",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "excitatory-rate",
            "Excitatory rates of the two networks differ by less than 15 %.",
            lambda tree: at_most(relative(tree, "E"), 0.15),
            SOURCE,
        ),
        Claim(
            "inhibitory-rate",
            "Inhibitory rates differ by less than 15 %.",
            lambda tree: at_most(relative(tree, "I"), 0.15),
            SOURCE,
        ),
        Claim(
            "irregularity",
            "Coefficients of variation differ by less than 0.15.",
            lambda tree: at_most(abs(of(tree, "cv", "large") - of(tree, "cv", "small")), 0.15),
            SOURCE,
        ),
        Claim(
            "correlation",
            "Pairs of cells are less correlated in the large network.",
            lambda tree: at_least(of(tree, "correlation", "small") - of(tree, "correlation", "large"), 0.0),
            SOURCE,
        ),
        Claim(
            "direction-above",
            "Weights of cells that fire above the target grow.",
            lambda tree: at_least(tree["/large"].ds["above"], 0.0),
            vogels.SOURCE,
        ),
        Claim(
            "direction-below",
            "Weights of cells that fire below it shrink.",
            lambda tree: at_most(tree["/large"].ds["below"], 0.0),
            vogels.SOURCE,
        ),
    ),
)
