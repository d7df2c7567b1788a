"""The rule with rates beside the rule with spikes: one declaration, read both ways, under the same signals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.compile.mean_field import mean_field
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.population import Population
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _spiking as spiking
from neurocircuits.figures import _vogels as vogels
from neurocircuits.models import vogels2011
from neurocircuits.plotting import FAINT, INHIBITORY, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

TARGET, TAU = 6.25, 0.02  # Hz, s
STEADY = 45.0  # Hz; afferents fire at 36.7 Hz, as under the signals
SAMPLE, KEPT = 0.01, 10  # s, of the signals that the rate form is shown, and samples between weights that are kept
FORMS = ("spikes", "rates")
# The quick setting learns twenty times as fast, so that its seconds stand for thirds of a minute.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"eta": 2e-2, "steady": 3.0, "signals": 4.0, "bin": 0.25, "batch": 1},
    False: {"eta": 1e-3, "steady": 75.0, "signals": 150.0, "bin": 1.5, "batch": 10},
}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with steady signals and then with those of the program, as spikes; then as rates under the same signals."""
    setting = SETTINGS[quick]
    chosen = engine or (spiking.engine(dt="0.5 ms", **spiking.QUICK) if quick else spiking.engine())
    circuit = vogels2011.feedforward(eta=setting["eta"], tau=TAU, target=f"{TARGET} Hz", peak=spiking.peak(chosen))
    stretch = setting["bin"]
    record = Record("r", populations=("signals",), interval=SAMPLE, weights_every=1, spikes=("cell",))
    steady = {"signals.baseline": STEADY, "signals.amplitude": 0.0}
    phases = [
        Phase(name, duration=stretch, epochs=round(setting[name] / stretch), parameters=parameters, record=record)
        for name, parameters in (("steady", steady), ("signals", {}))
    ]
    tree = run(circuit, Protocol(phases), chosen, seed, progress=False)
    signals = tree["/populations/signals"].ds["r"].values
    n_bins = sum(phase.epochs for phase in phases)
    edges = stretch * np.arange(n_bins + 1)
    rate = np.histogram(tree["/spikes/cell"].ds["time"].values, edges)[0] / stretch
    graded, afferent = in_rates(circuit, signals, seed, setting["batch"])
    snapshots = tree["/synapses/I_to_cell"].ds["time"].values
    n_graded = graded["/synapses/I_to_cell"].ds.sizes["time"]
    moments = (snapshots, KEPT * setting["batch"] * SAMPLE * np.arange(n_graded))  # a batch passes at one time
    rows = len(signals) // n_bins
    means = [rate, graded["/populations/cell"].ds["r"].values[:, 0].reshape(n_bins, rows).mean(axis=1)]
    weights = [at(one, times, edges) for one, times in zip((tree, graded), moments, strict=True)]
    result = xr.DataTree.from_dict(
        {
            "/rate": xr.Dataset(
                {"rate": (("form", "time"), np.array(means))},
                coords={"form": list(FORMS), "time": edges[1:] - stretch / 2},
            ),
            "/weights": xr.Dataset(
                {"w": (("form", "time", "group"), np.array(weights))}, coords={"form": list(FORMS), "time": edges}
            ),
            "/afferents": xr.Dataset({"rate": ("time", afferent.reshape(n_bins, rows, -1).mean(axis=(1, 2)))}),
        }
    )
    result.attrs = {"engine": to_json(chosen), **{key: setting[key] for key in ("steady", "signals", "eta", "bin")}}
    return result


def in_rates(circuit: Circuit, signals: np.ndarray, seed: int, batch: int) -> tuple[xr.DataTree, np.ndarray]:
    """Return a run of the circuit as rates at rest under samples of the signals, and afferent rates, (sample, group).

    Weights take a step every ``batch`` samples, with the mean of what these samples ask for.
    """
    shown = Population("signals", vogels2011.N_GROUPS)
    others = [p for p in circuit.populations if p.name != "signals"]
    rates = mean_field(replace(circuit, populations=(shown, *others)))
    phase = Phase(
        "learn",
        {"signals": Patterns(signals, duration=SAMPLE)},
        plasticity={"I_to_cell": float(batch)},
        record=Record("r", populations=("I", "cell"), weights_every=KEPT * batch),
    )
    tree = run(rates, Protocol([phase]), SteadyState(batch=batch), seed, progress=False)
    return tree, tree["/populations/I"].ds["r"].values[:, :: vogels2011.N_INHIBITORY]


def at(tree: xr.DataTree, moments: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the mean inhibitory weight of each signal at given times, (time, group), in pS, from those kept."""
    data = tree["/synapses/I_to_cell"].ds
    w = vogels.PICOSIEMENS * vogels.by_group(data["w"].values.reshape(data.sizes["time"], -1))
    return np.stack([np.interp(times, moments, column) for column in w.T], axis=1)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw rates and weights of both forms, what the rule with rates predicts of spikes, and the final tuning."""
    figure, axes = panels(1, 4, size=(12.8, 3.1))
    styles: dict[str, dict[str, Any]] = {
        "spikes": {"linewidth": 0.8, "alpha": 0.6},
        "rates": {"linewidth": 1.6, "linestyle": "--"},
    }
    first = trees[0]
    steady = first.attrs["steady"]
    for one in trees:
        for form, colour in zip(FORMS, (NEUTRAL, "C1"), strict=True):
            rate = one["/rate"].ds["rate"].sel(form=form)
            axes[0].plot(rate["time"], rate, color=colour, **styles[form])
    for form, colour in zip(FORMS, (NEUTRAL, "C1"), strict=True):
        axes[0].plot([], [], color=colour, label=f"{form}: {claim_time(first, form):.1f} s", **styles[form])
    axes[0].fill_between(
        [0, steady + first.attrs["signals"]], 0.8 * TARGET, 1.2 * TARGET, color=FAINT, alpha=0.5, zorder=0
    )
    axes[0].set(xlabel="time (s)", ylabel="output rate (Hz)", yscale="log", ylim=(2, 200))
    axes[0].set_yticks([2, 5, 10, 20, 50, 100, 200], ["2", "5", "10", "20", "50", "100", "200"])
    axes[0].legend(fontsize="small", title="within 20 % of the target", loc="upper right")
    for one in trees:
        for form in FORMS:
            w = one["/weights"].ds["w"].sel(form=form)
            for group, colour in ((0, FAINT), (3, "C1"), (4, INHIBITORY)):
                axes[1].plot(w["time"], w[:, group], color=colour, **styles[form])
    for group, colour in ((5, INHIBITORY), (4, "C1"), (1, FAINT)):
        axes[1].plot([], [], color=colour, label=f"signal {group}")
    for form in FORMS:
        axes[1].plot([], [], color=NEUTRAL, label=form, **styles[form])
    axes[1].set(
        xlabel="time (s)", ylabel="mean inhibitory weight (pS)", ylim=(0, 1.5 * float(first["/weights"].ds["w"].max()))
    )
    axes[1].legend(fontsize="small", ncols=2, loc="upper left")
    for ax in axes[:2]:
        ax.axvline(steady, color=NEUTRAL, linewidth=0.8, linestyle=":")
        ax.set_title("signals steady, then varying")
    for one in trees:
        w = one["/weights"].ds["w"].sel(form="spikes").mean("group")
        axes[2].plot(w["time"], w, color=NEUTRAL, **styles["spikes"])
        axes[2].plot(w["time"], claim_predicted(one), color="C1", **styles["rates"])
    axes[2].plot([], [], color=NEUTRAL, label="with spikes", **styles["spikes"])
    axes[2].plot([], [], color="C1", label=r"$\int 2\eta\tau\,\nu_{pre}(\nu_{post} - \rho_0)$", **styles["rates"])
    axes[2].set(xlabel="time (s)", ylabel="mean of all weights (pS)", xlim=(0, steady), ylim=(0, None))
    axes[2].set_title("steady signals: the rule itself")
    axes[2].legend(fontsize="small", loc="lower right")
    groups = np.arange(1, vogels2011.N_GROUPS + 1)
    for form, colour, mark in zip(FORMS, (INHIBITORY, "C1"), ("o-", "s--"), strict=True):
        for one in trees:
            axes[3].plot(
                groups, one["/weights"].ds["w"].sel(form=form)[-1], mark, color=colour, markersize=3, linewidth=1
            )
        axes[3].plot([], [], mark, color=colour, markersize=3, linewidth=1, label=form)
    axes[3].set(xlabel="signal", ylabel="inhibitory weight at the end (pS)", ylim=(0, None), xticks=groups)
    axes[3].legend(fontsize="small", loc="upper left")
    panel_letters(axes)
    return figure


def claim_time(tree: xr.DataTree, form: str) -> float:
    """Return when the rate, as a running mean of five bins, first comes within 20 % of the target."""
    rate = tree["/rate"].ds["rate"].sel(form=form)
    smooth = np.convolve(rate.values, np.ones(5) / 5, mode="valid")
    inside = np.flatnonzero(smooth <= 1.2 * TARGET)
    return float(rate["time"].values[inside[0] + 2]) if len(inside) else np.nan


def claim_rate(tree: xr.DataTree, form: str, phase: str = "steady") -> float:
    """Return the mean rate in the second half of a phase."""
    steady, signals = tree.attrs["steady"], tree.attrs["signals"]
    low, high = (steady / 2, steady) if phase == "steady" else (steady + signals / 2, steady + signals)
    rate = tree["/rate"].ds["rate"].sel(form=form)
    return float(rate.values[(rate["time"].values > low) & (rate["time"].values < high)].mean())


def claim_predicted(tree: xr.DataTree) -> np.ndarray:
    """Return the mean weight that the rule with rates gives at the rates of the spikes, at the bins' edges, in pS."""
    rate, afferent = tree["/rate"].ds["rate"].sel(form="spikes").values, tree["/afferents"].ds["rate"].values
    unit = vogels2011.UNIT_INHIBITORY * vogels.PICOSIEMENS
    slope = 2 * tree.attrs["eta"] * unit * TAU * afferent * (rate - TARGET)
    start = float(tree["/weights"].ds["w"].values[0, 0].mean())
    return np.concatenate([[start], start + np.cumsum(slope) * tree.attrs["bin"]])


def claim_rule(tree: xr.DataTree) -> float:
    """Return the growth of weights with spikes until the middle of the steady phase over what rates predict."""
    w = tree["/weights"].ds["w"].sel(form="spikes").mean("group")
    k = int(np.searchsorted(w["time"].values, tree.attrs["steady"] / 2))
    return float((w.values[k] - w.values[0]) / (claim_predicted(tree)[k] - w.values[0]))


def claim_selectivity(tree: xr.DataTree, form: str, phase: str) -> float:
    """Return the weight of the preferred signal over the mean of signals far from it, at the end of a phase."""
    end = tree.attrs["steady"] + (tree.attrs["signals"] if phase == "signals" else 0.0)
    w = tree["/weights"].ds["w"].sel(form=form).sel(time=end, method="nearest").values
    return float(w[4] / w[[0, 1, 7]].mean())


def claim_tuning(tree: xr.DataTree) -> float:
    """Return the correlation over signals of the final weights of both forms."""
    spikes, rates = tree["/weights"].ds["w"].values[:, -1]
    return float(np.corrcoef(spikes, rates)[0, 1])


DERIVED = "derived: with independent trains the mean of the pair rule is 2 eta tau nu_pre (nu_post - rho_0)"
SLOW = "derived: differences between signals relax at eta_r s^2, their sum at eta_r (s^2 + K mu^2)"
FIGURE = Figure(
    name="vogels2011_rates",
    title="The rule with rates beside the rule with spikes",
    source=vogels.SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "rates-at-target",
            "With steady signals the cell with rates comes to rest at the target of 6.25 Hz.",
            lambda tree: near(claim_rate(tree, "rates"), TARGET, 0.02 * TARGET),
            DERIVED,
        ),
        Claim(
            "spikes-at-target",
            "So does the cell with spikes, within a tenth.",
            lambda tree: near(claim_rate(tree, "spikes"), TARGET, 0.1 * TARGET),
            DERIVED,
            ("full",),
        ),
        Claim(
            "spikes-near-target",
            "So does the cell with spikes, within a fifth.",
            lambda tree: near(claim_rate(tree, "spikes"), TARGET, 0.2 * TARGET),
            DERIVED,
            ("quick",),
        ),
        Claim(
            "rule",
            "With eta_r = 2 eta tau the rule with rates, at the rates of the spikes, gives the growth of their weights "
            "within a tenth.",
            lambda tree: near(claim_rule(tree), 1.0, 0.1),
            DERIVED,
        ),
        Claim(
            "starts-alike",
            "In the first bin the cell with rates fires as that with spikes, within a quarter.",
            lambda tree: near(
                float(tree["/rate"].ds["rate"].values[1, 0] / tree["/rate"].ds["rate"].values[0, 0]), 1.0, 0.25
            ),
            "derived: the diffusion approximation; the tolerance is a default of this package",
        ),
        *(
            Claim(
                f"no-detail-{form}",
                f"Steady signals leave the weights alike, with {form}.",
                lambda tree, form=form: near(claim_selectivity(tree, form, "steady"), 1.0, 0.1),  # type: ignore[misc]
                SLOW,
            )
            for form in FORMS
        ),
        *(
            Claim(
                f"detail-{form}",
                f"Signals that vary tune them, with {form}: the preferred one has 1.5 times the weight of far ones.",
                lambda tree, form=form: at_least(claim_selectivity(tree, form, "signals"), 1.5),  # type: ignore[misc]
                SLOW,
            )
            for form in FORMS
        ),
        Claim(
            "same-tuning",
            "Both forms learn the same tuning: their weights correlate above 0.95 over signals.",
            lambda tree: at_least(claim_tuning(tree), 0.95),
            DERIVED,
        ),
        Claim(
            "below-target",
            "The plain rate is then below the target in both forms, since excitation and inhibition share their drive.",
            lambda tree: at_most(max(claim_rate(tree, form, "signals") for form in FORMS), TARGET),
            "derived: positive covariance of the cell and its afferents",
            ("full",),
        ),
    ),
)
