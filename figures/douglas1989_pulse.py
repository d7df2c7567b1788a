"""The canonical microcircuit: a pulse excites and then inhibits, and most excitation comes from the cortex itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import DivergenceError
from neurocircuits.models import douglas1989
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

CELLS = douglas1989.POPULATIONS
FAST = {"slow_to_S": 0.0, "slow_to_D": 0.0}
THALAMIC, BEFORE = 10.0, 50  # Hz; ms before the pulse
TAU = 0.01  # s, of S and D
RECURRENCE = np.array([0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 1.0, 1.05])
ALONE = (0.25, 0.5, 1.0)  # recurrence without inhibition
SHOWN = 0.03  # s, without inhibition
W = douglas1989.WEIGHTS


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Give a pulse with and without slow inhibition, settle for several recurrences, and take inhibition away."""
    chosen = engine or Brian2(dt="0.25 ms" if quick else "0.1 ms", tolerance=None)
    settings = {"slow": {}, "fast": FAST}
    pulses = [
        recorded(douglas1989.circuit(weights), douglas1989.pulse(), chosen, seed) for weights in settings.values()
    ]
    sources = rest(douglas1989.circuit(), seed, "excitation")
    gains = [rest(douglas1989.circuit({"T_to_I": 0.0}, recurrence=k), seed, "r") / THALAMIC for k in RECURRENCE]
    start = Phase("start", {"T": Patterns([[THALAMIC]], duration=SHOWN)}, record=Record("r", interval="1 ms"))
    fine = engine or Brian2(dt="0.05 ms", tolerance=None)
    without = [
        recorded(douglas1989.circuit(inhibition=0.0, recurrence=k), Protocol([start]), fine, seed) for k in ALONE
    ]
    tree = xr.DataTree.from_dict(
        {
            "/pulse": xr.Dataset(
                {"r": (("inhibition", "time", "cell"), np.array(pulses))},
                coords={
                    "inhibition": list(settings),
                    "time": np.arange(1, len(pulses[0]) + 1) - BEFORE,
                    "cell": list(CELLS),
                },
            ),
            "/rest": xr.Dataset(
                {
                    "excitation": ("cell", sources),
                    "thalamic": ("cell", [THALAMIC * W[f"T_to_{name}"] for name in CELLS]),
                },
                coords={"cell": list(CELLS)},
            ),
            "/gain": xr.Dataset(
                {"gain": (("recurrence", "cell"), np.array(gains)), "closed": ("recurrence", gain(RECURRENCE))},
                coords={"recurrence": RECURRENCE, "cell": list(CELLS)},
            ),
            "/alone": xr.Dataset(
                {
                    "r": (("recurrence", "time", "cell"), np.array(without)),
                    "refused": ("recurrence", [float(refused(k, seed)) for k in ALONE]),
                },
                coords={"recurrence": list(ALONE), "time": np.arange(1, len(without[0]) + 1), "cell": list(CELLS)},
            ),
        }
    )
    tree.attrs = {"engine": to_json(chosen)}
    return tree


def recorded(circuit: Circuit, protocol: Protocol, engine: Any, seed: int) -> np.ndarray:
    """Return the rates of S, D and I, (time, 3)."""
    tree = run(circuit, protocol, engine, seed, progress=False)
    return np.hstack([tree[f"/populations/{name}"].ds["r"].values for name in CELLS])


def rest(circuit: Circuit, seed: int, what: str) -> np.ndarray:
    """Return a variable of S, D and I at rest, (3,)."""
    phase = Phase("rest", {"T": Patterns([[THALAMIC]])}, record=Record(what))
    tree = run(circuit, Protocol([phase]), SteadyState(tolerance=1e-9), seed, progress=False)
    return np.array([tree[f"/populations/{name}"].ds[what].values[-1, 0] for name in CELLS])


def refused(recurrence: float, seed: int) -> bool:
    """Return whether the circuit without inhibition has no steady state."""
    try:
        rest(douglas1989.circuit(inhibition=0.0, recurrence=recurrence), seed, "r")
    except DivergenceError:
        return True
    return False


def total(recurrence: Any) -> Any:
    """Return w_EE, the sum of the recurrent weights onto a pyramidal cell."""
    return recurrence * (W["S_to_S"] + W["D_to_S"])


def determinant(recurrence: Any) -> Any:
    """Return D = (1 - w_EE)(1 + w_II) + w_EI w_IE of S and D taken together and I."""
    loop = (W["I_to_S"] + W["slow_to_S"]) * (W["S_to_I"] + W["D_to_I"])
    return (1 - total(recurrence)) * (1 + W["I_to_I"]) + loop


def gain(recurrence: Any) -> Any:
    """Return the rate of S and of D for each Hz of the thalamus at rest."""
    return W["T_to_S"] * (1 + W["I_to_I"]) / determinant(recurrence)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the pulse, where excitation comes from, the gain, and what happens without inhibition."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(12.4, 3.0))
    pulse, colours = tree["/pulse"].ds, (EXCITATORY, "C1", INHIBITORY)
    for name, colour in zip(CELLS, colours, strict=True):
        r = pulse["r"].sel(inhibition="slow", cell=name)
        axes[0].plot(pulse["time"], r, color=colour, linewidth=1.2, label=name)
        axes[0].axhline(float(r[BEFORE // 2]), color=colour, linewidth=0.6, linestyle=":")
    axes[0].plot(
        pulse["time"], pulse["r"].sel(inhibition="fast", cell="S"), color=FAINT, linewidth=1.2, zorder=0,
        label="S, no slow inhibition",
    )  # fmt: skip
    axes[0].set(xlabel="time after the pulse begins (ms)", ylabel="rate (Hz)", yscale="log", xlim=(-50, 400))
    axes[0].set_yticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    axes[0].legend(fontsize="small")
    axes[0].set_title("2 ms of thalamic input")
    rest_of = tree["/rest"].ds
    at = np.arange(len(CELLS))
    thalamic, cortical = rest_of["thalamic"].values, (rest_of["excitation"] - rest_of["thalamic"]).values
    axes[1].bar(at, thalamic, 0.6, color=NEUTRAL, label="from the thalamus")
    axes[1].bar(at, cortical, 0.6, bottom=thalamic, color=EXCITATORY, label="from S and D")
    axes[1].set_xticks(at, CELLS)
    axes[1].set(ylabel="excitation at rest (Hz)", ylim=(0, 1.4 * (thalamic + cortical).max()))
    axes[1].legend(fontsize="small", loc="upper left")
    fine = np.linspace(0, 1.08, 200)
    axes[2].plot(total(fine), gain(fine), color=FAINT, label="$(1 + w_{II})\\,T/D$")
    found = tree["/gain"].ds
    axes[2].plot(
        total(found["recurrence"].values),
        found["gain"].sel(cell="S"),
        "o",
        color=EXCITATORY,
        markersize=4,
        label="circuit",
    )
    stable = fine[total(fine) < 0.97]
    axes[2].plot(
        total(stable),
        W["T_to_S"] / (1 - total(stable)),
        color=NEUTRAL,
        linewidth=0.8,
        linestyle="--",
        label="without I",
    )
    axes[2].axvline(1.0, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
    axes[2].set(xlabel="recurrent excitation $w_{EE}$", ylabel="gain of S (Hz per Hz)", ylim=(0, 3))
    axes[2].legend(fontsize="small", loc="upper right")
    alone = tree["/alone"].ds
    for k, recurrence in enumerate(ALONE):
        r = alone["r"].sel(recurrence=recurrence, cell="S")
        axes[3].plot(alone["time"], r, "o", color=f"C{k}", markersize=3, label=f"$w_{{EE}}$ = {total(recurrence):g}")
        axes[3].plot(alone["time"], claim_growth(total(recurrence), alone["time"].values), color=f"C{k}", linewidth=1)
    axes[3].set(xlabel="time (ms)", ylabel="rate of S (Hz)", yscale="log")
    axes[3].set_title("without inhibition; lines: closed form")
    axes[3].legend(fontsize="small")
    panel_letters(axes)
    return figure


def claim_growth(w: float, time: np.ndarray) -> np.ndarray:
    """Return the rate of S and D from rest on without inhibition, at times in ms."""
    fixed = THALAMIC * W["T_to_S"] / (1 - w)
    return np.asarray(fixed * (1 - np.exp(-(1 - w) * 1e-3 * time / TAU)))


def claim_response(tree: xr.DataTree, cell: str, inhibition: str = "slow") -> tuple[float, float]:
    """Return the largest rate after the pulse over the baseline, and for how long the rate is 5 % below it, in ms."""
    r = tree["/pulse"].ds["r"].sel(inhibition=inhibition, cell=cell).values
    base = r[: BEFORE - 1].mean()
    below = r[int(r.argmax()) :] < 0.95 * base
    return float(r.max() / base), float(below.sum()) if np.isfinite(base) else np.nan


def claim_share(tree: xr.DataTree) -> float:
    """Return the larger thalamic share of the excitation of S and D at rest."""
    data = tree["/rest"].ds.sel(cell=["S", "D"])
    return float((data["thalamic"] / data["excitation"]).values.max())


def claim_gain(tree: xr.DataTree) -> float:
    """Return the largest relative error of the closed form, of S and D."""
    data = tree["/gain"].ds
    found = data["gain"].sel(cell=["S", "D"]).values
    return float(np.abs(found / data["closed"].values[:, None] - 1).max())


def claim_rate_of_growth(tree: xr.DataTree) -> float:
    """Return the rate at which S grows without inhibition at w_EE = 3, per s, from the second half of what is shown."""
    data = tree["/alone"].ds
    r = data["r"].sel(recurrence=1.0, cell="S").values
    half = len(r) // 2
    shifted = r - THALAMIC * W["T_to_S"] / (1 - total(1.0))
    return float(1e3 * np.polyfit(data["time"].values[half:], np.log(shifted[half:]), 1)[0])


CLAIM = f"{douglas1989.REFERENCE}; every number of the circuit is a default of this package"
CLOSED = "derived: threshold-linear rates"
FIGURE = Figure(
    name="douglas1989_pulse",
    title="A pulse to the canonical microcircuit",
    source=douglas1989.REFERENCE,
    compute=compute,
    draw=draw,
    claims=(
        *(
            Claim(
                f"peak-{cell}",
                f"The pulse at least doubles the rate of {cell}.",
                lambda tree, cell=cell: at_least(claim_response(tree, cell)[0], 2.0),  # type: ignore[misc]
                CLAIM,
            )
            for cell in ("S", "D")
        ),
        *(
            Claim(
                f"undershoot-{cell}",
                f"Then {cell} is below its baseline for more than 100 ms.",
                lambda tree, cell=cell: at_least(claim_response(tree, cell)[1], 100.0),  # type: ignore[misc]
                CLAIM,
            )
            for cell in ("S", "D")
        ),
        Claim(
            "slow-inhibition",
            "Without slow inhibition the undershoot lasts less than half of that.",
            lambda tree: at_most(claim_response(tree, "S", "fast")[1], 50.0),
            "a control",
        ),
        Claim(
            "thalamic-share",
            "At rest at most 15 % of the excitation of S and D comes from the thalamus.",
            lambda tree: at_most(claim_share(tree), 0.15),
            "estimates of 5 to 15 % for layer 4, at second hand",
        ),
        Claim(
            "gain",
            "The gain of S and D is (1 + w_II) T/D for every recurrence, D = (1 - w_EE)(1 + w_II) + w_EI w_IE.",
            lambda tree: at_most(claim_gain(tree), 1e-6),
            CLOSED,
        ),
        Claim(
            "stabilised",
            "Without inhibition the circuit has no steady state for w_EE above 1, and one below.",
            lambda tree: near(
                np.abs(tree["/alone"].ds["refused"].values - (total(np.array(ALONE)) > 1)).sum(), 0.0, 0.0
            ),
            CLOSED,
        ),
        Claim(
            "growth",
            "It then grows at (w_EE - 1)/tau, 200 per s for w_EE = 3, within 2 %.",
            lambda tree: near(claim_rate_of_growth(tree), (total(1.0) - 1) / TAU, 0.02 * (total(1.0) - 1) / TAU),
            CLOSED,
        ),
    ),
)
