"""Convergence against the ratio of excitatory and inhibitory learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.errors import DivergenceError
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import FAINT, panel_letters, panels
from neurocircuits.protocols import checkpoints
from neurocircuits.reproduce import Claim, Figure, at_least, at_most
from neurocircuits.simulation import run

# eta_A as in the other figures; eta_W is what changes.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "n_minibatches": 800,
        "n_stretches": 10,
        "eta_inhibitory": 0.05,
        "ratios": (0.1, 0.5, 1.0, 1.5, 4.0),
        "circuit": {**learning.DIGITS, "n_inhibitory": 8, "initial_excitatory": 0.2},
    },
    False: {
        "data": "mnist",
        "n_minibatches": 3000,
        "n_stretches": 12,
        "eta_inhibitory": 0.05,
        "ratios": (0.1, 0.5, 1.0, 4.0, 16.0),
        "circuit": {},
    },
}
LARGEST_GOOD = 1.0
DIVERGED = dict.fromkeys(("value", "power_error", "n_silent", "largest_cosine"), float("nan")) | {"diverged": 1.0}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn in stretches at each eta_W/eta_A and follow the value of the game, the powers and the silent cells."""
    setting = SETTINGS[quick]
    data = learning.images(setting["data"], seed)
    shown = learning.presented(data, setting["n_minibatches"], n_stretches=setting["n_stretches"], n_probe=500)
    protocol = checkpoints.protocol(**shown)
    courses = []
    for ratio in setting["ratios"]:
        circuit = (seung2018.circuit if quick else seung2018.mnist)(
            **{
                **setting["circuit"],
                "eta_inhibitory": f"{setting['eta_inhibitory']} Hz",
                "eta_excitatory": f"{ratio * setting['eta_inhibitory']:.6g} Hz",
            }
        )
        rules = [rule for name in ("S_to_E", "E_to_I") if (rule := circuit.pathway(name).rule) is not None]
        constants = {
            name: float(value.value) for rule in rules for name, value in rule.parameters.items() if name != "eta"
        }
        try:
            tree, reached = run(circuit, protocol, engine or learning.ENGINE, seed), setting["n_stretches"]
        except DivergenceError as error:  # too fast an excitation ends so, and that is a result
            tree = error.tree
            reached = sum(str(name).startswith("probe") for name in np.unique(tree["/populations/E"].ds["phase"]))
        course = [checkpoint(tree, f"{k:02d}", **constants) for k in range(1, reached + 1)]
        courses.append(course + [DIVERGED] * (setting["n_stretches"] - reached))
    presentations = np.arange(1, setting["n_stretches"] + 1) * (shown["n_learn"] // setting["n_stretches"])
    dims = ("ratio", "presentations")
    columns = {name: (dims, np.array([[row[name] for row in course] for course in courses])) for name in DIVERGED}
    measures = xr.Dataset(columns, coords={"ratio": list(setting["ratios"]), "presentations": presentations})
    n_cells = circuit.population("E").n_units
    return learning.combined({"/measures": measures}, engine, data=setting["data"], n_cells=n_cells)


def checkpoint(tree: xr.DataTree, number: str, gamma: float, kappa: float, p: float, q: float) -> dict[str, float]:
    """Return the value of the game at a checkpoint, the error of the powers, silent cells and the largest cosine.

    The value is F = <x^T W u> - Phi(W) - <|y|^2>/2 + Tr(A D A^T)/2 - sum_i Lambda_i (<x_i^2> - q^2)/2: excitatory cells
    raise it, inhibitory cells and gains lower it, and at the end of the game it stands still.
    """
    cells = tree["/populations/E"].to_dataset()
    cells = cells.isel(time=cells["phase"].values == f"probe_{number}")
    x, excitation, inhibition = (cells[name].values for name in ("r", "excitation", "inhibition"))
    W, A = (weights_after(tree, name, number) for name in ("S_to_E", "E_to_I"))
    slow = tree["/slow/E"].to_dataset()
    gain = slow["gain"].values[slow["phase"].values == f"learn_{number}"][0]
    power = (x**2).mean(axis=0)
    phi = gamma / 2 * (W**2).sum() + kappa / 2 * (W.sum(axis=1) ** 2).sum()
    form = (q**2 - p**2) * (A**2).sum() + p**2 * (A.sum(axis=1) ** 2).sum()
    value = (x * excitation).sum(axis=1).mean() - phi - (x * inhibition).sum(axis=1).mean() / 2
    value += form / 2 - (gain * (power - q**2)).sum() / 2
    loud = power > 0
    cosines = analysis.off_diagonal(analysis.cosine_matrix(x[:, loud]))
    return {
        "value": float(value),
        "power_error": float(np.sqrt(np.mean((power / q**2 - 1) ** 2))),
        "n_silent": float((~loud).sum()),
        "largest_cosine": float(cosines.max(initial=0.0)),
        "diverged": 0.0,
    }


def weights_after(tree: xr.DataTree, pathway: str, number: str) -> np.ndarray:
    """Return the weights at the end of a stretch, (post, pre)."""
    data = tree[f"/synapses/{pathway}"].to_dataset()
    return data["w"].values[data["phase"].values == f"learn_{number}"][0]


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the courses of the value of the game, the error of the powers and the silent cells, all seeds."""
    data = trees[0]["/measures"].ds
    time, ratios = data["presentations"].values / 1000, [float(ratio) for ratio in data["ratio"].values]
    ended = [
        float(tree["/measures"].ds["diverged"].max("presentations").sel(ratio=r)) for tree in trees for r in ratios
    ]
    ends = np.reshape(ended, (len(trees), -1)).max(axis=0)
    figure, axes = panels(1, 3, size=(10.4, 2.7))
    colours = {ratio: f"C{k}" for k, ratio in enumerate(ratios)}
    for tree in trees:
        course = tree["/measures"].ds
        for ratio, diverges in zip(ratios, ends, strict=True):
            look = {"color": colours[ratio], "linewidth": 1.2, "linestyle": "-" if ratio <= LARGEST_GOOD else "--"}
            label = rf"$\eta_W/\eta_A$ = {ratio:g}" + ", diverges" * bool(diverges) if tree is trees[0] else None
            one = course.sel(ratio=ratio)
            axes[0].plot(time, one["value"], label=label, **look)
            axes[1].plot(time, one["power_error"], label=label, **look)
            axes[2].plot(time, 100 * one["n_silent"] / tree.attrs["n_cells"], label=label, **look)
            if one["diverged"].any():
                last = int(one["diverged"].values.argmax())
                axes[0].plot(time[last], 0, "x", color=colours[ratio])
    axes[0].set_yscale("symlog", linthresh=1)
    axes[0].axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes[0].set(ylabel="value of the game")
    axes[1].set(yscale="log", ylabel=r"rms error of powers $\langle x^2\rangle/q^2$")
    axes[2].set(ylim=(-3, 103), ylabel="silent E cells (%)")
    axes[2].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    for ax in axes:
        ax.set(xlabel="presentations (thousands)", xlim=(0, None))
    axes[0].set_title(f"value ({trees[0].attrs['data']}, {len(trees)} seed{'s' * (len(trees) > 1)})")
    axes[1].set_title("powers")
    axes[2].set_title("cells that died")
    panel_letters(axes)
    return figure


def claim_late(tree: xr.DataTree, name: str) -> xr.DataArray:
    """Return a measure in the last third of learning, by ratio and checkpoint."""
    course = tree["/measures"].ds[name]
    return course[:, -(course.shape[1] // 3) :]


def claim_stands_still(tree: xr.DataTree) -> float:
    """Return how much the value still changes late, relative to itself, at ratios of 0.5 and 1."""
    values = claim_late(tree, "value").sel(ratio=[0.5, 1.0]).values
    return float((np.ptp(values, axis=1) / np.abs(values[:, -1])).max())


def claim_failure(tree: xr.DataTree) -> float:
    """Return the fraction of late checkpoints, at the largest ratio, of a circuit that diverged or is out of hand."""
    silent = claim_late(tree, "n_silent")[-1] >= tree.attrs["n_cells"] / 4
    wild = claim_late(tree, "power_error")[-1] > 1
    return float((silent | wild | (claim_late(tree, "diverged")[-1] == 1)).mean())


LUTHER = "Luther, Yang and Seung (2019), doi:10.1109/IEEECONF44664.2019.9048957"
FIGURE = Figure(
    name="seung2018_convergence",
    title="Convergence against eta_W/eta_A",
    source="Seung (2018), arXiv:1812.11581; Luther, Yang and Seung (2019)",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "value-settles",
            "At eta_W/eta_A of 0.5 and 1 the value of the game changes by less than 20 % in the last third.",
            lambda tree: at_most(claim_stands_still(tree), 0.2),
            LUTHER,
        ),
        Claim(
            "slow-climbs",
            "At 0.1 the value of the game climbs from checkpoint to checkpoint, it is only slow.",
            lambda tree: at_least(np.diff(tree["/measures"].ds["value"].sel(ratio=0.1).values).min(), 0.0),
            LUTHER,
        ),
        Claim(
            "powers-settle",
            "Up to 1 the rms error of the powers stays below 0.6 in the last third.",
            lambda tree: at_most(claim_late(tree, "power_error").sel(ratio=slice(0, LARGEST_GOOD)).max(), 0.6),
            LUTHER,
        ),
        Claim(
            "nobody-dies",
            "Up to 1 no cell is silent in the last third.",
            lambda tree: at_most(claim_late(tree, "n_silent").sel(ratio=slice(0, LARGEST_GOOD)).max(), 0),
            LUTHER,
        ),
        Claim(
            "fast-excitation-fails",
            "At the largest ratio the circuit diverges, a quarter of the cells are silent, or powers are off by more "
            "than 1, throughout the last third.",
            lambda tree: at_least(claim_failure(tree), 1.0),
            LUTHER + " (may fail)",
        ),
    ),
    needs=("mnist",),
)
