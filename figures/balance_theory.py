"""What theory says: rates of noisy cells and of Brunel's network, a phase plane, the paradoxical effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.analysis.mean_field import LeakyCell, lif_rate, linear_rate
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.models import brunel2000, wilson_cowan1972
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

BRUNEL = "Brunel (2000), doi:10.1023/A:1008925309027"
WILSON_COWAN = "Wilson and Cowan (1972), doi:10.1016/S0006-3495(72)86068-5"
SIGMAS = (0.0, 1.0, 5.0)  # mV
STRENGTHS = (4.2, 4.5, 5.0, 6.0, 7.0, 8.0)
RATIOS = (2.0, 4.0)
W_EE = (0.5, 2.0)
INPUTS = np.linspace(3.0, 7.0, 9)  # Hz, of the inhibitory population
STARTS = ((0.32, 0.15), (0.33, 0.15))


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Evaluate transfer functions and fixed points, and settle threshold-linear circuits."""
    chosen = engine or SteadyState()
    mu = np.linspace(0.0, 40.0, 161)
    cell = LeakyCell()
    rates = [[brunel2000.predicted_rate(g, ratio) for g in STRENGTHS] for ratio in RATIOS]
    linear = [linear_rate(10.0 * ratio, 10.0, np.array(STRENGTHS)) for ratio in RATIOS]
    points = wilson_cowan1972.fixed_points()
    grid = np.linspace(-0.05, 1.05, 45)
    slope = wilson_cowan1972.slopes()
    field = np.array([[slope(np.array([e, i])) for e in grid] for i in grid])
    paths = np.array([trajectory(slope, np.array(start)) for start in STARTS])
    settled = [[at_rest(w, h, chosen, seed) for h in INPUTS] for w in W_EE]
    tree = xr.DataTree.from_dict(
        {
            "/transfer": xr.Dataset(
                {"rate": (("sigma", "mu"), [lif_rate(1e-3 * mu, 1e-3 * s, cell) for s in SIGMAS])},
                coords={"sigma": list(SIGMAS), "mu": mu},
            ),
            "/network": xr.Dataset(
                {"theory": (("ratio", "g"), rates), "linear": (("ratio", "g"), linear)},
                coords={"ratio": list(RATIOS), "g": list(STRENGTHS)},
            ),
            "/panels": xr.Dataset(
                {"rate": ("panel", [brunel2000.predicted_rate(*brunel2000.PANELS[k]) for k in "BCD"])},
                coords={"panel": list("BCD")},
            ),
            "/points": xr.Dataset({"rate": (("point", "population"), points)}),
            "/plane": xr.Dataset({"slope": (("i", "e", "population"), field)}, coords={"i": grid, "e": grid}),
            "/paths": xr.Dataset({"rate": (("start", "time", "population"), paths)}),
            "/paradox": xr.Dataset(
                {"rate": (("w", "input", "population"), settled)}, coords={"w": list(W_EE), "input": INPUTS}
            ),
        }
    )
    tree.attrs = {"engine": to_json(chosen)}
    return tree


def trajectory(slope: Any, start: np.ndarray, n_steps: int = 1200, dt: float = 5e-5) -> np.ndarray:
    """Return rates from a start on, (time, 2), every 4th step."""
    rates = [start]
    for _ in range(n_steps):
        rates.append(rates[-1] + dt * slope(rates[-1]))
    return np.array(rates[::4])


def at_rest(w_ee: float, input_i: float, engine: Any, seed: int) -> np.ndarray:
    """Return the rates at rest of a threshold-linear circuit."""
    circuit = wilson_cowan1972.threshold_linear(w_EE=w_ee, external_E=10.0, external_I=float(input_i))
    phase = Phase("rest", duration="1 s", record=Record("r"))
    tree = run(circuit, Protocol([phase]), engine, seed, progress=False)
    return np.array([tree[f"/populations/{name}"].ds["r"].values[-1, 0] for name in ("E", "I")])


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw all four."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(12.4, 2.9))
    transfer = tree["/transfer"].ds
    for k, sigma in enumerate(SIGMAS):
        axes[0].plot(transfer["mu"], transfer["rate"].sel(sigma=sigma), color=f"C{k}", label=f"noise {sigma:g} mV")
    axes[0].set(xlabel="mean input (mV)", ylabel="rate (Hz)")
    axes[0].legend(fontsize="small")
    network = tree["/network"].ds
    for k, ratio in enumerate(RATIOS):
        axes[1].plot(network["g"], network["theory"].sel(ratio=ratio), "o-", color=f"C{k}", markersize=3)
        axes[1].plot(network["g"], network["linear"].sel(ratio=ratio), ":", color=f"C{k}")
        axes[1].plot([], [], "o-", color=f"C{k}", markersize=3, label=f"input {ratio:g} times threshold")
    axes[1].plot([], [], ":", color=NEUTRAL, label="linear approximation")
    axes[1].set(xlabel="strength of inhibition g", ylabel="rate (Hz)", ylim=(0, 250))
    axes[1].legend(fontsize="small")
    plane = tree["/plane"].ds
    for k, colour in ((0, EXCITATORY), (1, INHIBITORY)):
        axes[2].contour(plane["e"], plane["i"], plane["slope"].values[:, :, k], levels=[0.0], colors=[colour])
    for path in tree["/paths"].ds["rate"].values:
        axes[2].plot(path[:, 0], path[:, 1], color=NEUTRAL, linewidth=0.8)
    points = tree["/points"].ds["rate"].values
    axes[2].plot(points[:, 0], points[:, 1], "o", color=NEUTRAL, markersize=4)
    for colour, label in ((EXCITATORY, "E at rest"), (INHIBITORY, "I at rest")):
        axes[2].plot([], [], color=colour, label=label)
    axes[2].set(xlabel="excitatory rate", ylabel="inhibitory rate")
    axes[2].legend(fontsize="small", loc="upper left")
    paradox = tree["/paradox"].ds
    for k, w in enumerate(W_EE):
        axes[3].plot(paradox["input"], paradox["rate"].sel(w=w)[:, 1], "o-", color=f"C{k}", markersize=3)
        axes[3].plot([], [], "o-", color=f"C{k}", markersize=3, label=f"$w_{{EE}}$ = {w:g}")
    axes[3].set(xlabel="input of inhibitory cells (Hz)", ylabel="inhibitory rate (Hz)")
    axes[3].axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes[3].legend(fontsize="small")
    panel_letters(axes)
    return figure


def panel_rate(tree: xr.DataTree, panel: str) -> float:
    """Return the rate that mean field gives for a panel of Brunel's figure 8."""
    return float(tree["/panels"].ds["rate"].sel(panel=panel))


def largest_error(tree: xr.DataTree, expected: tuple[tuple[float, ...], ...]) -> float:
    """Return the largest difference of the network's rates from a table."""
    return float(np.abs(tree["/network"].ds["theory"].values - np.array(expected)).max())


def paradox(tree: xr.DataTree, w: float) -> float:
    """Return the slope of the inhibitory rate against its own input."""
    data = tree["/paradox"].ds
    return float(np.polyfit(data["input"], data["rate"].sel(w=w)[:, 1], 1)[0])


def closed_form(w_ee: float) -> float:
    """Return what that slope is: (1 - w_EE)/D, with the defaults of the circuit."""
    return (1 - w_ee) / ((1 - w_ee) * 1.5 + 4.0)


TABLE = ((79.4, 56.7, 37.95, 22.9, 16.5, 13.0), (166.7, 129.0, 90.7, 55.8, 40.3, 31.7))

FIGURE = Figure(
    name="balance_theory",
    title="Mean field, phase planes and the paradoxical effect",
    source=f"{BRUNEL}; {WILSON_COWAN}",
    compute=compute,
    draw=draw,
    claims=(
        *(
            Claim(
                f"panel-{name}",
                f"Mean field gives {rate} Hz for panel {name} of Brunel's figure 8.",
                lambda tree, name=name, rate=rate: near(panel_rate(tree, name), rate, 0.05),  # type: ignore[misc]
                BRUNEL,
            )
            for name, rate in (("B", 55.84), ("C", 37.95), ("D", 6.52))
        ),
        Claim(
            "strengths",
            "Rates fall steeply with the strength of inhibition, as in the table of the reference.",
            lambda tree: at_most(largest_error(tree, TABLE), 0.06),
            BRUNEL,
        ),
        Claim(
            "noise",
            "Noise lets a cell fire below its threshold: 5 mV give more than 5 Hz at 17 mV.",
            lambda tree: at_least(tree["/transfer"].ds["rate"].sel(sigma=5.0, mu=17.0), 5.0),
            BRUNEL,
        ),
        Claim(
            "silent",
            "Without noise it does not.",
            lambda tree: at_most(tree["/transfer"].ds["rate"].sel(sigma=0.0, mu=17.0), 0.0),
            BRUNEL,
        ),
        Claim(
            "fixed-points",
            "The phase plane of the teaching set has three points of rest, at 0, 0.3369 and 0.9384.",
            lambda tree: at_most(
                np.abs(tree["/points"].ds["rate"].values[:, 0] - [0.0, 0.3369, 0.9384]).max()
                if len(tree["/points"].ds["rate"]) == 3
                else np.nan,
                5e-5,
            ),
            WILSON_COWAN,
        ),
        Claim(
            "two-basins",
            "Starts that differ by 0.01 end at rates that differ by more than 0.9.",
            lambda tree: at_least(np.ptp(tree["/paths"].ds["rate"].values[:, -1, 0]), 0.9),
            WILSON_COWAN,
        ),
        Claim(
            "ordinary",
            "With weak recurrent excitation more input lets inhibitory cells fire more, as the closed form says.",
            lambda tree: near(paradox(tree, 0.5), closed_form(0.5), 1e-6),
            "derived",
        ),
        Claim(
            "paradoxical",
            "With strong recurrent excitation it lets them fire less, as the closed form says.",
            lambda tree: near(paradox(tree, 2.0), closed_form(2.0), 1e-6),
            "derived",
        ),
    ),
)
