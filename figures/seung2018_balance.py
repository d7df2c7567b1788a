"""Balance of excitation and inhibition after learning, its control, and what silencing the inhibitory cells does."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase
from neurocircuits.engines.base import Engine
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import EXCITATORY, INHIBITORY, NEUTRAL, panel_letters, panels, scatter_balance
from neurocircuits.protocols import silencing
from neurocircuits.randomness import Streams
from neurocircuits.reproduce import Claim, Figure, at_least, at_most
from neurocircuits.simulation import run

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "digits", "n_minibatches": 1000, "circuit": {**learning.DIGITS, "n_inhibitory": 8}},
    False: {"data": "mnist", "n_minibatches": 6000, "circuit": {}},
}
N_POINTS = 3000
INPUTS = ("excitation", "inhibition")


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn, probe the circuit intact, untrained at the same gain, and with its I cells silenced."""
    setting, engine = SETTINGS[quick], engine or learning.ENGINE
    data = learning.images(setting["data"], seed)
    circuit = (seung2018.circuit if quick else seung2018.mnist)(**setting["circuit"])
    protocol = silencing.protocol(**learning.presented(data, setting["n_minibatches"]))
    tree = run(circuit, protocol, engine, seed)
    gain = tree["/slow/E"].ds["gain"].values[-1]
    cells = tree["/populations/E"].to_dataset()
    intact, silenced = (cells.isel(time=cells["phase"].values == name) for name in ("probe", "silenced"))
    probe = next(phase for phase in protocol.phases if phase.name == "probe")
    control = untrained(circuit, tree["/slow/E"].ds["log_gain"].values[-1], probe, engine, seed)
    learned = {name: intact[name].values for name in ("r", *INPUTS)}
    silent_rates = silenced["r"].values
    groups = {
        "/measures": learning.table(
            [balance(values, gain) for values in (learned, control)], "circuit", ["learned", "untrained"]
        ),
        "/cells": xr.Dataset(
            {
                "intact": ("unit", learned["r"].mean(axis=0)),
                "silenced": ("unit", silent_rates.mean(axis=0)),
                "cosine_intact": ("pair", analysis.off_diagonal(analysis.cosine_matrix(learned["r"]))),
                "cosine_silenced": ("pair", analysis.off_diagonal(analysis.cosine_matrix(silent_rates))),
            }
        ),
        "/points": xr.Dataset(
            {
                f"{circuit_}_{name}": ("point", points(values, seed)[k])
                for circuit_, values in (("learned", learned), ("untrained", control))
                for k, name in enumerate(INPUTS)
            }
        ),
    }
    return learning.combined(groups, engine, data=setting["data"])


def untrained(circuit: Circuit, log_gain: np.ndarray, probe: Phase, engine: Engine, seed: int) -> dict[str, np.ndarray]:
    """Return what the initial weights of the same seed do with the same images at the gain that was learned."""
    streams = Streams(seed)
    simulation = engine.open(compile_circuit(circuit), streams)
    simulation.load({**simulation.state(), "values/E/log_gain": log_gain})
    simulation.begin(probe)
    readings = simulation.advance(probe.batch(0, probe.n_presentations, streams))
    return {name: np.array(readings.read("E", name)) for name in ("r", *INPUTS)}


def balance(values: dict[str, np.ndarray], gain: np.ndarray) -> dict[str, float]:
    """Return the balance of active pairs, and how exactly what is not balanced is the gain times the rate."""
    rates, excitation, inhibition = (values[name] for name in ("r", *INPUTS))
    active = rates > 0
    measured = analysis.balance_measures(excitation[active], inhibition[active])
    rest = np.abs(excitation - inhibition - gain * rates)[active].max() / excitation.max()
    silent = int((~active.any(axis=0)).sum())
    return {"slope": measured["slope"], "correlation": measured["correlation"], "residual": rest, "n_silent": silent}


def points(values: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return excitation and inhibition of some active pairs, NaN where there are too few, (2, N_POINTS)."""
    active = np.flatnonzero(values["r"].ravel() > 0)
    chosen = np.random.default_rng(seed).permutation(active)[:N_POINTS]
    result = np.full((2, N_POINTS), np.nan, np.float32)
    for k, name in enumerate(INPUTS):
        result[k, : len(chosen)] = values[name].ravel()[chosen]
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the inputs of active cells, learned and untrained, and cosines and rates with and without I cells."""
    tree = trees[0]
    sample, cells = tree["/points"].to_dataset(), tree["/cells"].to_dataset()
    figure, axes = panels(1, 4, size=(10.4, 2.75))
    for ax, name in zip(axes[:2], ("learned", "untrained"), strict=True):
        x, y = (sample[f"{name}_{side}"].values for side in INPUTS)
        known = np.isfinite(x)
        scatter_balance(ax, x[known], y[known], slope=float(learning.measured(tree, "slope", circuit=name)))
        silent = int(learning.measured(tree, "n_silent", circuit=name))
        ax.set_title(f"{name}: {silent} of {cells.sizes['unit']} cells silent")
    axes[1].annotate(
        "the same gain, initial weights:\nthe slope shows no learning",
        (0.97, 0.05),
        xycoords="axes fraction",
        ha="right",
        fontsize="small",
        color=NEUTRAL,
    )
    for name, colour, label in (
        ("cosine_intact", NEUTRAL, "intact"),
        ("cosine_silenced", EXCITATORY, "I cells silenced"),
    ):
        pairs = np.sort(cells[name].values[np.isfinite(cells[name].values)])
        axes[2].plot(pairs, 1 - np.arange(len(pairs)) / len(pairs), color=colour, label=label)
    axes[2].set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="cosine of two E cells", ylabel="fraction of pairs above")
    axes[2].legend(loc="center")
    axes[2].set_title("silencing makes them alike")
    both = np.stack([cells["intact"].values, cells["silenced"].values])
    axes[3].plot([0, 1], both, "o-", color=INHIBITORY, markersize=3, linewidth=0.6, alpha=0.5)
    axes[3].set(yscale="log", xlim=(-0.3, 1.3), ylabel="mean rate of each E cell")
    axes[3].set_xticks([0, 1], ["intact", "I cells silenced"])
    axes[3].set_title("and their rates run away")
    panel_letters(axes)
    return figure


def claim_cells(tree: xr.DataTree, quantity: str) -> float:
    """Return the rise of the largest cosine, or the smallest ratio of rates, when I cells are silenced."""
    cells = tree["/cells"].ds
    if quantity == "cosine":
        return float(np.nanmax(cells["cosine_silenced"]) - np.nanmax(cells["cosine_intact"]))
    return float((cells["silenced"] / cells["intact"]).min())


SEUNG = "Seung (2018), arXiv:1812.11581, abstract"
FIGURE = Figure(
    name="seung2018_balance",
    title="Balance of excitation and inhibition, its control, and silenced inhibition",
    source="Seung (2018), arXiv:1812.11581",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "balanced",
            "Inhibition of active cells follows excitation with a slope above 0.95.",
            lambda tree: at_least(learning.measured(tree, "slope", circuit="learned"), 0.95),
            SEUNG,
        ),
        Claim(
            "remainder",
            "What is not balanced is the gain times the rate, to 1e-5 of the largest excitation.",
            lambda tree: at_most(learning.measured(tree, "residual", circuit="learned"), 1e-5),
            "derived: the steady state of the circuit",
        ),
        Claim(
            "slope-proves-nothing",
            "The untrained circuit at the same gain has a slope above 0.95 too.",
            lambda tree: at_least(learning.measured(tree, "slope", circuit="untrained"), 0.95),
            "a control",
        ),
        Claim(
            "no-silent-cells",
            "After learning no cell is silent.",
            lambda tree: at_most(learning.measured(tree, "n_silent", circuit="learned"), 0),
            "target of this package",
        ),
        Claim(
            "untrained-silent-cells",
            "In the untrained circuit at the same gain a quarter of the cells or more are silent.",
            lambda tree: at_least(
                learning.measured(tree, "n_silent", circuit="untrained") / tree["/cells"].sizes["unit"], 0.25
            ),
            "a control",
        ),
        Claim(
            "silencing-makes-alike",
            "Silencing the I cells raises the largest cosine of two E cells by 0.2 or more.",
            lambda tree: at_least(claim_cells(tree, "cosine"), 0.2),
            SEUNG,
            beyond_spread=True,
        ),
        Claim(
            "silencing-raises-rates",
            "Silencing the I cells at least doubles the mean rate of every E cell.",
            lambda tree: at_least(claim_cells(tree, "rates"), 2.0),
            SEUNG,
            beyond_spread=True,
        ),
    ),
    needs=("mnist",),
)
