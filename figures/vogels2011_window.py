"""The pair rule itself: its window spike by spike, and its drift under Poisson trains, independent and correlated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.connectivity import OneToOne
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Constant, Given
from neurocircuits.figures import _spiking as spiking
from neurocircuits.figures import _vogels as vogels
from neurocircuits.models import vogels2011
from neurocircuits.plotting import FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_most
from neurocircuits.simulation import run

ETA = 1e-3 * vogels2011.UNIT_INHIBITORY  # the program's
TAU, RHO = 0.02, 6.25  # s, Hz
TARGETS = (3.0, 5.0, RHO)  # Hz: those of the recurrent network, of Agnes et al. (2020), and of this cell
STEP = 5e-4  # s
LAGS = np.array([0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 100, 120, 140, 160, 180, 200])  # in steps
LAGS = np.concatenate([-LAGS[:0:-1], LAGS])
ALONE = ("presynaptic", "postsynaptic")
INPUTS = ((20.0, 0.0), (40.0, 0.0), (20.0, 1.0))  # Hz: of the presynaptic train, and of spikes that both trains share
RATES = np.array([1.0, 2.5, 5.0, RHO, 7.5, 10.0, 15.0, 20.0])  # Hz, postsynaptic
SETTINGS: dict[bool, dict[str, Any]] = {True: {"pairs": 50, "seconds": 4.0}, False: {"pairs": 200, "seconds": 20.0}}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Drive pairs of spikes, then Poisson trains, through the plastic pathway of the declared cell."""
    chosen = engine or spiking.engine(dt=STEP, **spiking.QUICK)
    window = np.array([pairs(target, chosen, seed) for target in TARGETS]) / ETA
    drift, error = drifts(chosen, seed, **SETTINGS[quick])
    lags = 1e3 * STEP * LAGS
    given, shared = np.array(INPUTS).T
    tree = xr.DataTree.from_dict(
        {
            "/window": xr.Dataset(
                {
                    "change": (("target", "lag"), window[:, : len(LAGS)]),
                    "closed": (("target", "lag"), np.exp(-np.abs(lags) / (1e3 * TAU)) - alpha(TARGETS)[:, None]),
                    "alone": (("target", "spike"), window[:, len(LAGS) :]),
                },
                coords={"target": list(TARGETS), "lag": lags, "spike": list(ALONE)},
            ),
            "/drift": xr.Dataset(
                {
                    "rate": (("input", "post"), drift),
                    "error": (("input", "post"), error),
                    "closed": (("input", "post"), 2 * TAU * given[:, None] * (RATES - RHO) + shared[:, None]),
                },
                coords={"pre": ("input", given), "shared": ("input", shared), "post": RATES},
            ),
        }
    )
    tree.attrs = {"engine": to_json(chosen)}
    return tree


def alpha(target: Any) -> np.ndarray:
    """Return the constant depression with each presynaptic spike, in units of the learning rate."""
    return 2 * TAU * np.asarray(target, float)


def pathway(start: float, target: float = RHO) -> Synapses:
    """Return the plastic pathway of the declared cell, from each afferent to a cell of its own."""
    declared = vogels2011.feedforward(target=f"{target} Hz", tau=TAU).pathway("I_to_cell")
    return replace(declared, weights=Constant(start), connectivity=OneToOne())


def pairs(target: float, engine: Any, seed: int) -> np.ndarray:
    """Return the change of the weight for a pair of spikes at each lag, then for either spike alone."""
    first, n = -LAGS[0], len(LAGS) + len(ALONE)
    fired = {name: np.zeros((2 * first + 1, n)) for name in ("I", "cell")}
    fired["I"][first, : len(LAGS) + 1] = 1
    fired["cell"][first + LAGS, np.arange(len(LAGS))] = 1
    fired["cell"][first, -1] = 1
    start = 0.1 * vogels2011.UNIT_INHIBITORY
    circuit = Circuit(
        "pairs",
        [
            *(Population(f"tell_{name}", n) for name in fired),
            Population("I", n, "r = drive : 1", sign="inhibitory", threshold="drive > 0.5", refractory="0.5 ms"),
            Population(
                "cell",
                n,
                "dg_i/dt = -g_i/(10*ms) : 1 (input, inhibitory)",
                threshold="drive > 0.5",
                refractory="0.5 ms",
            ),
        ],
        [*(Synapses(f"tell_{name}", name, connectivity=OneToOne()) for name in fired), pathway(start, target)],
    )
    shown = {f"tell_{name}": Patterns(spikes, duration=STEP) for name, spikes in fired.items()}
    tree = run(circuit, Protocol([Phase("told", shown)]), engine, seed, progress=False)
    return np.asarray(tree["/synapses/I_to_cell"].ds["w"].values[-1] - start)


def drifts(engine: Any, seed: int, pairs: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the drift of weights under Poisson trains and its standard error, (input, rate), in units of eta per s."""
    settings = np.array([(nu - c, post - c, c) for nu, c in INPUTS for post in RATES])
    own_pre, own_post, common = np.repeat(settings, pairs, axis=0).T
    n = len(common)
    # a spike that both share arrives one step later, and kick is above 0.25 in that step only
    own = f"down/dt = 0*Hz : 1\ndkick/dt = -kick/({STEP}*second) : 1 (input, excitatory)"
    fires = "(kick > 0.25) or (rand() < own*Hz*dt)"
    circuit = Circuit(
        "trains",
        [
            Population("shared", n, "dnu/dt = 0*Hz : 1", initial={"nu": Given(common)}, threshold="rand() < nu*Hz*dt"),
            Population("I", n, own, sign="inhibitory", initial={"own": Given(own_pre)}, threshold=fires),
            Population(
                "cell",
                n,
                f"{own}\ndg_i/dt = -g_i/(10*ms) : 1 (input, inhibitory)",
                initial={"own": Given(own_post)},
                threshold=fires,
            ),
        ],
        [
            *(Synapses("shared", name, connectivity=OneToOne(), input="kick") for name in ("I", "cell")),
            pathway(100 * vogels2011.UNIT_INHIBITORY),  # far from its lower bound
        ],
    )
    phases = [Phase("settle", duration=10 * TAU), Phase("drift", duration=seconds)]
    tree = run(circuit, Protocol(phases), engine, seed, progress=False)
    learned = tree["/synapses/I_to_cell"].ds["w"].values
    changes = ((learned[-1] - learned[-2]) / (ETA * seconds)).reshape(len(INPUTS), len(RATES), pairs)
    return changes.mean(axis=-1), changes.std(axis=-1, ddof=1) / np.sqrt(pairs)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the window, what is left of it beside the closed form, and the drifts."""
    figure, axes = panels(1, 3, size=(10.6, 3.1))
    window = trees[0]["/window"].ds
    fine = np.linspace(-100, 100, 801)
    colours = ("C9", "C1", INHIBITORY)
    for target, colour in zip(TARGETS, colours, strict=True):
        axes[0].plot(fine, np.exp(-np.abs(fine) / (1e3 * TAU)) - alpha(target), color=colour, linewidth=1)
        axes[0].plot(window["lag"], window["change"].sel(target=target), "o", color=colour, markersize=2)
        label = rf"$\rho_0$ = {target:g} Hz, $\alpha$ = {alpha(target):.2f}"
        axes[0].plot([], [], "o-", color=colour, markersize=3, linewidth=1, label=label)
        crossing = 1e3 * TAU * np.log(1 / alpha(target))
        axes[0].plot([-crossing, crossing], [0, 0], "|", color=colour, markersize=9)
    axes[0].axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes[0].set(
        xlabel="postsynaptic after presynaptic spike (ms)", ylabel=r"change for a pair ($\eta$)", ylim=(-0.4, 1.3)
    )
    axes[0].legend(fontsize="small", loc="upper left")
    axes[0].set_title("window: engine (dots), closed form (lines)")
    floor = 1e-17
    for target, colour in zip(TARGETS, colours, strict=True):
        left = np.abs((window["change"] - window["closed"]).sel(target=target).values)
        axes[1].semilogy(window["lag"], np.maximum(left, floor), "o", color=colour, markersize=3)
    axes[1].axhline(1e-12, color=NEUTRAL, linewidth=0.8, linestyle=":", label="what is claimed")
    axes[1].set(xlabel="postsynaptic after presynaptic spike (ms)", ylabel=r"|engine - closed form| ($\eta$)")
    axes[1].set(ylim=(floor / 2, 1e-10))
    axes[1].legend(fontsize="small", loc="upper right")
    drift = trees[0]["/drift"].ds
    for k, colour in enumerate((INHIBITORY, "C9", "C1")):
        (pre, shared), post = INPUTS[k], np.array([0.0, RATES[-1]])
        axes[2].plot(post, 2 * TAU * pre * (post - RHO) + shared, color=colour, linewidth=1)
        label = f"presynaptic {pre:g} Hz" + (f", {shared:g} Hz shared" if shared else "")
        for one in trees:
            found = one["/drift"].ds.isel(input=k)
            axes[2].errorbar(
                drift["post"], found["rate"], 4 * found["error"], fmt="o", color=colour, markersize=3, lw=0.8
            )
        axes[2].plot([], [], "o-", color=colour, markersize=3, linewidth=1, label=label)
    axes[2].axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes[2].axvline(RHO, color=FAINT, linewidth=0.8, zorder=0)
    axes[2].set(xlabel="postsynaptic rate (Hz)", ylabel=r"drift of the weight ($\eta$ per s)")
    axes[2].legend(fontsize="small", loc="upper left")
    axes[2].set_title("Poisson trains, with 4 standard errors")
    panel_letters(axes)
    return figure


def claim_window(tree: xr.DataTree) -> float:
    """Return the largest difference of the window from the closed form, in units of eta."""
    window = tree["/window"].ds
    return float(np.abs(window["change"].values - window["closed"].values).max())


def claim_asymmetry(tree: xr.DataTree) -> float:
    """Return the largest difference between lags of either sign, in units of eta."""
    change = tree["/window"].ds["change"].values
    return float(np.abs(change - change[:, ::-1]).max())


def claim_alone(tree: xr.DataTree, spike: str) -> float:
    """Return the largest difference of what a lone spike does from the closed form, in units of eta."""
    found = tree["/window"].ds["alone"].sel(spike=spike).values
    return float(np.abs(found + (alpha(TARGETS) if spike == "presynaptic" else 0)).max())


def claim_drift(tree: xr.DataTree, shared: bool) -> float:
    """Return the largest distance of a drift from theory, in standard errors."""
    drift = tree["/drift"].ds
    distance = np.abs(drift["rate"].values - drift["closed"].values) / drift["error"].values
    return float(distance[(drift["shared"].values > 0) == shared].max())


def claim_crossing(tree: xr.DataTree, row: int) -> float:
    """Return how far the postsynaptic rate at which a fitted drift vanishes is from theory, in its standard errors."""
    drift = tree["/drift"].ds.isel(input=row)
    x, y, weight = drift["post"].values, drift["rate"].values, 1 / drift["error"].values
    design = np.stack([x, np.ones_like(x)], 1)
    covariance = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    slope, offset = covariance @ (design * weight[:, None] ** 2).T @ y
    gradient = np.array([offset / slope**2, -1 / slope])
    expected = RHO - float(drift["shared"]) / (2 * TAU * float(drift["pre"]))
    return float(abs(-offset / slope - expected) / np.sqrt(gradient @ covariance @ gradient))


RULE = f"{vogels.PROGRAM}: the traces of the rule, for one pair"
DERIVED = "derived: the mean of the rule over stationary trains"
FIGURE = Figure(
    name="vogels2011_window",
    title="What a pair of spikes does, and what Poisson trains do",
    source=vogels.SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "window",
            "A pair of spikes at the lag D changes the weight by eta (exp(-|D|/tau) - alpha): 35 lags, 3 targets.",
            lambda tree: at_most(claim_window(tree), 1e-12),
            RULE,
        ),
        Claim(
            "symmetric",
            "The order of the two spikes does not matter.",
            lambda tree: at_most(claim_asymmetry(tree), 1e-12),
            RULE,
        ),
        Claim(
            "presynaptic-alone",
            "A lone presynaptic spike depresses by eta alpha, alpha = 2 rho_0 tau.",
            lambda tree: at_most(claim_alone(tree, "presynaptic"), 1e-12),
            RULE,
        ),
        Claim(
            "postsynaptic-alone",
            "A lone postsynaptic spike changes nothing.",
            lambda tree: at_most(claim_alone(tree, "postsynaptic"), 0.0),
            RULE,
        ),
        Claim(
            "drift",
            "Under independent Poisson trains weights drift at 2 eta tau nu_pre (nu_post - rho_0), within 4 standard "
            "errors at all rates.",
            lambda tree: at_most(claim_drift(tree, shared=False), 4.0),
            DERIVED,
        ),
        Claim(
            "target",
            "The drift vanishes at the target of 6.25 Hz, within 4 standard errors, whatever the presynaptic rate.",
            lambda tree: at_most(max(claim_crossing(tree, row) for row in (0, 1)), 4.0),
            DERIVED,
        ),
        Claim(
            "shared",
            "Each shared spike adds eta: the drift is within 4 standard errors of that, too.",
            lambda tree: at_most(claim_drift(tree, shared=True), 4.0),
            DERIVED,
        ),
        Claim(
            "below-target",
            "With a twentieth of presynaptic spikes shared it vanishes below the target, at 5 Hz, within 4 standard "
            "errors.",
            lambda tree: at_most(claim_crossing(tree, 2), 4.0),
            DERIVED,
        ),
    ),
)
