"""Steady state against continuous time: the learned weights agree as sub-steps grow and tau shrinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.base import Engine
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.figures import _learning as learning
from neurocircuits.models import seung2018
from neurocircuits.plotting import FAINT, NEUTRAL, curve, panel_letters, panels
from neurocircuits.randomness import Streams
from neurocircuits.reproduce import Claim, Figure, at_least, near
from neurocircuits.simulation import run

# Presentations so long, and rates so high, that one learning step for a whole presentation is visibly wrong. The rates
# that are mild for random weights are wild for learned ones, whose inhibition is stronger.
DURATION = 0.16
N_PRESENTATIONS = 6
TAUS = (0.001, 0.002, 0.004)
SUBSTEPS = (1, 4, 16, 64, 256)
FITTED = (1, 4, 16)
STARTS = {"random": (0.5, 0.1, 0.3), "learned": (0.2, 0.1, 0.1)}
PATHWAYS = ("S_to_E", "E_to_I")
EXACT = SteadyState(learning_tolerance=1e-7)
# A floor of 0.02 under the gain keeps the loop's s below 3, so explicit steps of tau/10 are stable and true.
GAIN_FLOOR = 0.02
N_TRACED, N_CELLS = 2, 8

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "bars", "n_minibatches": 500, "rates": learning.BARS},
    False: {"data": "mnist", "n_minibatches": 3000, "rates": {}},
}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with both engines from random and from learned weights, at each tau and number of sub-steps."""
    if engine is not None:
        raise ValidationError(
            "figure 'rate_versus_time' compares both engines, so no other engine can be chosen for it."
        )
    setting = SETTINGS[quick]
    data = learning.images(setting["data"], seed)
    model = seung2018.bars if quick else seung2018.mnist
    shown = Patterns(data.stored, scale=data.scale, duration=DURATION).shuffled().take(N_PRESENTATIONS)
    phase = Phase("learn", {"S": shown})
    before = learning.learn(
        model(gain_floor=GAIN_FLOOR, **setting["rates"]), data, setting["n_minibatches"], None, seed
    )
    states = {"random": {}, "learned": learned_state(before)}
    shape = (len(STARTS), len(TAUS), len(SUBSTEPS), len(PATHWAYS))
    error = np.empty(shape)
    for i, (start, rates) in enumerate(STARTS.items()):
        circuits = [circuit(model, tau, rates) for tau in TAUS]
        times = [weights(c, continuous(tau), phase, seed, states[start]) for c, tau in zip(circuits, TAUS, strict=True)]
        for k, n in enumerate(SUBSTEPS):
            steady = SteadyState(substeps=n, learning_tolerance=EXACT.learning_tolerance)
            first, last = weights(circuits[0], steady, phase, seed, states[start])
            for j, (_, reference) in enumerate(times):
                error[i, j, k] = [
                    np.linalg.norm(last[name] - reference[name]) / np.linalg.norm(reference[name] - first[name])
                    for name in PATHWAYS
                ]
    coordinates = {"start": list(STARTS), "tau": list(TAUS), "substeps": list(SUBSTEPS), "pathway": list(PATHWAYS)}
    groups = {
        "/measures": xr.Dataset({"error": (tuple(coordinates), error)}, coords=coordinates),
        "/traces": traces(circuit(model, TAUS[-1], STARTS["random"]), TAUS[-1], phase, seed),
    }
    engines = (EXACT, continuous(TAUS[0]))
    return learning.combined(groups, engines, data=setting["data"], duration=DURATION)


def circuit(model: Any, tau: float, rates: tuple[float, float, float]) -> Circuit:
    """Return the circuit at a tau (s), with rates of W, A and gain (1/s)."""
    names = ("eta_excitatory", "eta_inhibitory", "eta_gain")
    learned = {name: f"{rate} Hz" for name, rate in zip(names, rates, strict=True)}
    return model(tau=f"{tau} s", gain_floor=GAIN_FLOOR, largest_gain_step=10.0, **learned)


def continuous(tau: float) -> Brian2:
    """Return continuous time in steps of tau/10, learning at each."""
    return Brian2(dt=0.1 * tau, learning_step=0.1 * tau, target="numpy", tolerance=None)


def learned_state(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """Return the weights and gains at the end of a run, as a simulation takes them."""
    state = {f"weights/{name}": tree[f"/synapses/{name}"].ds["w"].values[-1] for name in PATHWAYS}
    return {**state, "values/E/log_gain": tree["/slow/E"].ds["log_gain"].values[-1]}


def weights(
    circuit: Circuit, engine: Engine, phase: Phase, seed: int, state: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the weights before and after a phase that starts from a state."""
    streams = Streams(seed)
    simulation = engine.open(compile_circuit(circuit), streams)
    simulation.prepare(Protocol([phase]))
    simulation.load({**simulation.state(), **state})
    simulation.begin(phase)
    before = {name: simulation.store.arrays[name].copy() for name in PATHWAYS}
    simulation.advance(phase.batch(0, phase.n_presentations, streams))
    return before, {name: simulation.store.arrays[name].copy() for name in PATHWAYS}


def traces(circuit: Circuit, tau: float, phase: Phase, seed: int) -> xr.Dataset:
    """Return rates within two presentations without learning, and the steady states that they approach."""
    stimuli = {name: stimulus.take(N_TRACED) for name, stimulus in phase.stimuli.items()}
    within = Record("r", populations=("E",), units=range(N_CELLS), interval=tau / 2)
    look = Protocol([Phase("look", stimuli, plasticity=False, record=within)])
    course = run(circuit, look, continuous(tau), seed)["/populations/E"].to_dataset()
    course = course.isel(time=np.isfinite(course["time_in_presentation"].values))
    rest = run(circuit, look, EXACT, seed)["/populations/E"].to_dataset()
    onset = course["time_in_presentation"].values + DURATION * course["presentation"].values
    return xr.Dataset(
        {
            "rate": (("time", "unit"), course["r"].values),
            "steady_state": (("presentation", "unit"), rest["r"].values),
        },
        coords={"time": onset},
    )


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw rates that settle, the error of weights against sub-steps for both starts, and its floor against tau."""
    figure, axes = panels(1, 4, size=(10.4, 2.7))
    course = trees[0]["/traces"].ds
    colours = [f"C{k}" for k in range(course.sizes["unit"])]
    for unit, colour in zip(range(min(5, course.sizes["unit"])), colours, strict=False):
        axes[0].plot(1000 * course["time"], course["rate"][:, unit], color=colour, linewidth=1)
        for k in range(N_TRACED):
            ends = 1000 * DURATION * np.array([k, k + 1])
            axes[0].plot(ends, [course["steady_state"][k, unit]] * 2, color=colour, linestyle=":", linewidth=1)
    axes[0].set(xlabel="time (ms)", ylabel="rate of E cells", ylim=(0, None), xlim=(0, None))
    axes[0].set_title(rf"$\tau$ = {1000 * TAUS[-1]:g} ms; dotted: at rest")
    errors = np.stack([tree["/measures"].ds["error"].max("pathway").values for tree in trees])
    for i, start in enumerate(STARTS):
        ax = axes[1 + i]
        for j, tau in enumerate(TAUS):
            curve(ax, SUBSTEPS, errors[:, i, j], colour=f"C{j}", label=rf"$\tau$ = {1000 * tau:g} ms", linewidth=1.2)
        guide = errors[:, i, 0, 0].mean() / np.array(SUBSTEPS)
        ax.plot(SUBSTEPS, guide, color=FAINT, linestyle="--", linewidth=1, zorder=0, label="1/sub-steps")
        ax.set(xscale="log", yscale="log", xlabel="sub-steps per presentation", ylabel="difference of learned weights")
        ax.set_xticks(SUBSTEPS, [str(n) for n in SUBSTEPS])
        ax.minorticks_off()
        ax.set_title(f"from {start} weights")
        ax.legend(loc="lower left")
    taus = 1000 * np.array(TAUS)
    for i, (start, colour) in enumerate(zip(STARTS, (NEUTRAL, "C3"), strict=True)):
        floors = errors[:, i, :, -1]
        curve(axes[3], taus, floors, colour=colour, label=start, linewidth=1.2)
        axes[3].plot(taus, floors[:, 0].mean() * taus / taus[0], color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[3].plot([], [], color=FAINT, linestyle="--", linewidth=1, label=r"$\propto\tau$")
    axes[3].set(xscale="log", yscale="log", xlabel=r"$\tau$ (ms)", ylabel="floor of the difference")
    axes[3].set_xticks(taus, [f"{tau:g}" for tau in taus])
    axes[3].minorticks_off()
    axes[3].legend()
    axes[3].set_title("what sub-steps leave")
    panel_letters(axes)
    return figure


def claim_errors(tree: xr.DataTree, start: str) -> xr.DataArray:
    """Return the difference of the pathway that differs most, by tau and sub-steps."""
    return tree["/measures"].ds["error"].sel(start=start).max("pathway")


def claim_substeps(tree: xr.DataTree, start: str) -> float:
    """Return the exponent of the difference in sub-steps at the smallest tau, where it is above twice its floor."""
    error = claim_errors(tree, start).isel(tau=0)
    fitted = error.sel(substeps=list(FITTED)).values
    used = fitted > 2 * float(error[-1])
    if used.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(np.array(FITTED)[used]), np.log(fitted[used]), 1)[0])


def claim_floor(tree: xr.DataTree, start: str) -> float:
    """Return the exponent in tau of the difference at the most sub-steps."""
    return float(np.polyfit(np.log(TAUS), np.log(claim_errors(tree, start).isel(substeps=-1).values), 1)[0])


def claims(start: str) -> tuple[Claim, ...]:
    """Return the claims for one start."""
    source = "target of this package: the steady state is the adiabatic limit"
    return (
        Claim(
            f"one-step-is-off-{start}",
            f"From {start} weights one step per presentation is off by more than 5 %, so there is something to show.",
            lambda tree: at_least(claim_errors(tree, start).isel(tau=0, substeps=0), 0.05),
            source,
        ),
        Claim(
            f"substeps-{start}",
            f"From {start} weights the difference falls as 1/sub-steps until near its floor.",
            lambda tree: near(claim_substeps(tree, start), -1.0, 0.25),
            source,
        ),
        Claim(
            f"floor-{start}",
            f"From {start} weights the floor of the difference is proportional to tau.",
            lambda tree: near(claim_floor(tree, start), 1.0, 0.25),
            source,
        ),
    )


FIGURE = Figure(
    name="rate_versus_time",
    title="Steady state against continuous time",
    source="this package; circuit of Seung (2018), arXiv:1812.11581",
    compute=compute,
    draw=draw,
    claims=(*claims("random"), *claims("learned")),
    needs=("mnist",),
)
