"""Four states of a sparse random network: simulation beside mean field."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis import rate_spectrum, recorded_spikes, spike_measures
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.figures._spiking import engine as spiking_engine
from neurocircuits.models import brunel2000
from neurocircuits.plotting import EXCITATORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_most, near
from neurocircuits.simulation import run

SOURCE = "Brunel (2000), doi:10.1023/A:1008925309027, fig. 8"
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"size": {"n_excitatory": 2000, "n_synapses": 400}, "seconds": {"C": 0.4}, "burn_in": 0.1},
    False: {
        "size": {"n_excitatory": 10_000, "n_synapses": 1000},
        "seconds": {"A": 0.5, "B": 1.2, "C": 1.2, "D": 5.2},
        "burn_in": 0.2,
    },
}
LABELS = {
    "A": "synchronous regular",
    "B": "fast synchronous irregular",
    "C": "asynchronous irregular",
    "D": "slow synchronous irregular",
}
SHOWN, N_SHOWN = 0.2, 50


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Run the network in each state, with spikes of all excitatory cells."""
    setting = SETTINGS[quick]
    chosen = engine or (Brian2(dt="0.1 ms", target="numpy") if quick else spiking_engine("euler"))
    size, start = setting["size"], setting["burn_in"]
    groups, found = {}, {}
    for name, seconds in setting["seconds"].items():
        circuit = brunel2000.panel(name, **size)
        phase = Phase("run", duration=seconds, record=Record(spikes=("E",)))
        tree = run(circuit, Protocol([phase], weights=()), chosen, seed, progress=False)
        spikes = recorded_spikes(tree, "E", start, seconds)
        measured = spike_measures(spikes, min_intervals=3 if seconds < 1 else 5)
        spectrum = rate_spectrum(spikes)
        found[name] = {key: measured[key].item() for key in ("rate", "cv", "population_cv", "peak_frequency")}
        found[name]["regime"] = measured.attrs["regime"]
        g, ratio = brunel2000.PANELS[name]
        found[name]["theory"] = brunel2000.predicted_rate(g, ratio, n_synapses=size["n_synapses"])
        some = (spikes.unit < N_SHOWN) & (spikes.time >= seconds - SHOWN)
        groups[f"/{name}"] = xr.Dataset(
            {
                "unit": ("event", spikes.unit[some]),
                "time": ("event", spikes.time[some] - seconds + SHOWN),
                "power": ("frequency", spectrum["power"].values),
            },
            coords={"frequency": spectrum["frequency"].values},
        )
    names = list(found)
    numbers = ("rate", "cv", "population_cv", "peak_frequency", "theory")
    groups["/measures"] = xr.Dataset(
        {key: ("panel", [found[name][key] for name in names]) for key in numbers}
        | {"named": ("panel", [float(found[name]["regime"] == LABELS[name]) for name in names])},
        coords={"panel": names},
    )
    result = xr.DataTree.from_dict(groups)
    result.attrs = {"engine": to_json(chosen), "regimes": [str(found[name]["regime"]) for name in names]}
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw spikes and spectra of each state."""
    tree = trees[0]
    data = tree["/measures"].ds
    names = [str(name) for name in data["panel"].values]
    figure, axes = panels(2, len(names), size=(3.1 * max(len(names), 2), 5.2))
    axes = np.reshape(axes, (2, len(names)))
    for k, name in enumerate(names):
        spikes, one = tree[f"/{name}"].ds, data.sel(panel=name)
        axes[0, k].plot(1e3 * spikes["time"], spikes["unit"], ".", markersize=2, color=EXCITATORY, rasterized=True)
        axes[0, k].set(xlabel="time (ms)", ylabel="cell", ylim=(-1, N_SHOWN))
        numbers = f"{float(one['rate']):.1f} Hz, CV {float(one['cv']):.2f}"
        axes[0, k].set_title(f"{name}: {tree.attrs['regimes'][k]}\n{numbers}")
        axes[1, k].plot(spikes["frequency"], spikes["power"], color=NEUTRAL, linewidth=1)
        axes[1, k].set(xlabel="frequency (Hz)", ylabel="power of the rate", xlim=(0, 400), yscale="log")
    panel_letters(axes)
    return figure


def of(tree: xr.DataTree, panel: str, name: str) -> float:
    """Return a measure of a panel."""
    return float(tree["/measures"].ds[name].sel(panel=panel))


def off(tree: xr.DataTree, panel: str, rate: float) -> float:
    """Return how far a rate is from a published one, relative to that."""
    return abs(of(tree, panel, "rate") / rate - 1)


FIGURE = Figure(
    name="balance_brunel",
    title="Four states of a sparse random network",
    source=SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "asynchronous",
            "In the asynchronous state the network fires within 5 % of what mean field says.",
            lambda tree: at_most(abs(of(tree, "C", "rate") / of(tree, "C", "theory") - 1), 0.05),
            SOURCE,
        ),
        Claim(
            "irregular",
            "There the coefficient of variation is 0.3 to 0.5.",
            lambda tree: near(of(tree, "C", "cv"), 0.4, 0.1),
            "a measured value of the reference: 0.40",
            ("full",),
        ),
        *(
            Claim(
                f"rate-{name}",
                f"Panel {name} fires within 10 % of the published simulation, {rate} Hz.",
                lambda tree, name=name, rate=rate: at_most(off(tree, name, rate), 0.1),  # type: ignore[misc]
                SOURCE,
                ("full",),
            )
            for name, rate in (("B", 60.7), ("C", 37.7), ("D", 5.5))
        ),
        *(
            Claim(
                f"label-{name}",
                f"Panel {name} is {label}.",
                lambda tree, name=name: near(of(tree, name, "named"), 1.0, 0.0),  # type: ignore[misc]
                SOURCE,
                ("full",),
            )
            for name, label in LABELS.items()
        ),
        Claim(
            "fast",
            "In panel B the population oscillates at about 180 Hz.",
            lambda tree: near(of(tree, "B", "peak_frequency"), 175.0, 15.0),
            SOURCE,
            ("full",),
        ),
        Claim(
            "slow",
            "In panel D it oscillates at about 20 Hz.",
            lambda tree: near(of(tree, "D", "peak_frequency"), 19.0, 6.0),
            SOURCE,
            ("full",),
        ),
    ),
)
