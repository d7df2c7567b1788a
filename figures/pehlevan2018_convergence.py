"""Similarity matching: its objective against the ratio of learning rates, and the subspace that it learns online."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import datasets
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.steps import Inverse
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _learning as learning
from neurocircuits.models import pehlevan2018
from neurocircuits.plotting import FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

RATIOS = (0.1, 0.5, 1.0, 1.5)
N_CELLS, EVERY = 10, 20
# The public notebooks take 1000 steps. Of MNIST the tenth and the eleventh eigenvalue differ by 4 %, so that from some
# initial weights the last thousandth takes a few thousand.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"data": "digits", "n_images": 400, "n_steps": 700, "n_online": 2000},
    False: {"data": "mnist", "n_images": 1000, "n_steps": 4000, "n_online": 40_000},
}
EIGENVALUES = np.array([5, 4, 3, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1])  # of the inputs that are learned online
N_LEADING, N_SNAPSHOTS = 3, 20
ENGINE = SteadyState()


def images(name: str, n: int) -> np.ndarray:
    """Return the first digits (of MNIST rows and columns 6 to 21), centred per pixel, divided by the largest value."""
    data = datasets.mnist() if name == "mnist" else datasets.digits()
    values = np.asarray(data[:n].values, dtype=float)
    if name == "mnist":
        values = values.reshape(n, 28, 28)[:, 6:22, 6:22].reshape(n, -1)
    values = values - values.mean(axis=0)
    return np.asarray(values / np.abs(values).max())


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn from all digits at once at each ratio of rates, and online from Gaussian inputs."""
    setting = SETTINGS[quick]
    shown = images(setting["data"], setting["n_images"])
    covariance = shown.T @ shown / len(shown)
    together = SteadyState(batch=len(shown)) if engine is None else engine
    courses = []
    for ratio in RATIOS:
        circuit = pehlevan2018.offline(ratio, n_sensory=shown.shape[1], n_cells=N_CELLS)
        record = Record(weights_every=EVERY * len(shown))
        phase = Phase("learn", {"S": Patterns(shown, duration="100 ms")}, epochs=setting["n_steps"], record=record)
        tree = run(circuit, Protocol([phase]), together, seed)
        courses.append([objective(F, covariance) for F in filters(tree)])
    groups = {
        "/objective": xr.Dataset(
            {"value": (("ratio", "step"), np.array(courses))},
            {"ratio": list(RATIOS), "step": np.arange(0, setting["n_steps"] + 1, EVERY)},
        ),
        "/best": xr.Dataset({"value": optimum(covariance)}),
        "/online": online(setting["n_online"], engine or ENGINE, seed),
    }
    return learning.combined(groups, (together, engine or ENGINE), data=setting["data"])


def filters(tree: xr.DataTree) -> list[np.ndarray]:
    """Return M^-1 W at each snapshot."""
    W, M = (tree[f"/synapses/{name}"].ds["w"].values for name in ("S_to_E", "E_to_E"))
    gains = tree["/slow/E"].ds["gain"].values
    return [np.linalg.solve(M[k] + np.diag(gains[k]), W[k]) for k in range(len(W))]


def objective(F: np.ndarray, covariance: np.ndarray) -> float:
    """Return |X X'|^2/4 - |X' X - Y' Y|^2/4, over T^2, for Y = F X: what is gained over no output at all."""
    joint = F @ covariance
    return float((joint**2).sum() / 2 - ((joint @ F.T) ** 2).sum() / 4)


def optimum(covariance: np.ndarray) -> float:
    """Return a quarter of the sum of squares of the leading eigenvalues, the largest value of the objective."""
    return float((np.linalg.eigvalsh(covariance)[-N_CELLS:] ** 2).sum() / 4)


def online(n: int, engine: Any, seed: int) -> xr.Dataset:
    """Return the error of the subspace and the eigenvalues of M, learned from one Gaussian input after the other."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(len(EIGENVALUES),) * 2))[0]
    inputs = rng.normal(size=(n, len(EIGENVALUES))) * EIGENVALUES**0.5 @ vectors.T
    circuit = pehlevan2018.circuit(len(EIGENVALUES), N_LEADING)
    rates = dict.fromkeys(("S_to_E", "E_to_E", "E"), Inverse(1 / 5, n / 5))  # eta_t = 1/(t + 5)
    record = Record(weights_every=n // N_SNAPSHOTS)
    phase = Phase("learn", {"S": Patterns(inputs, duration="100 ms")}, plasticity=rates, record=record)
    tree = run(circuit, Protocol([phase]), engine, seed)
    leading = np.linalg.eigh(inputs.T @ inputs / n)[1][:, -N_LEADING:]
    errors = [np.linalg.norm(leading @ leading.T - F.T @ F) / N_LEADING**0.5 for F in filters(tree)]
    M = tree["/synapses/E_to_E"].ds["w"].values[-1] + np.diag(tree["/slow/E"].ds["gain"].values[-1])
    return xr.Dataset(
        {"error": ("presentations", np.array(errors)), "eigenvalue": ("mode", np.linalg.eigvalsh(M)[::-1])},
        {"presentations": np.arange(N_SNAPSHOTS + 1) * (n // N_SNAPSHOTS)},
    )


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the objective at each ratio with its optimum, how far from it, and the error of the subspace online."""
    figure, axes = panels(1, 3, size=(10.2, 2.8))
    best, data = float(trees[0]["/best"].ds["value"]), trees[0].attrs["data"]
    for k, ratio in enumerate(RATIOS):
        for tree in trees:
            course = tree["/objective"].ds["value"].sel(ratio=ratio)
            look = {"color": f"C{k}", "linewidth": 1.2, "label": f"{ratio:g}" if tree is trees[0] else None}
            axes[0].plot(course["step"], course, **look)
            axes[1].plot(course["step"], 1 - course / best, **look)
    axes[0].axhline(best, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[0].annotate("optimum", (0, best), (2, 2), textcoords="offset points", color=NEUTRAL, fontsize="small")
    axes[0].set(xlabel="steps", ylabel="objective", ylim=(0, 1.12 * best))
    axes[0].legend(title=r"$\eta_W/\eta_M$", loc="lower right")
    axes[0].set_title(f"{data}, all images at once ({len(trees)} seed{'s' * (len(trees) > 1)})")
    axes[1].set(xlabel="steps", ylabel="below the optimum, relative", yscale="log")
    axes[1].axhline(1e-3, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[1].set_title("slow inhibition does not converge")
    for tree in trees:
        online = tree["/online"].ds
        axes[2].plot(online["presentations"][1:], online["error"][1:], "o-", color=NEUTRAL, markersize=3, linewidth=1)
    axes[2].axhline(0.02, color=FAINT, linestyle="--", linewidth=1, zorder=0)
    axes[2].set(xlabel="patterns", ylabel="error of the subspace", yscale="log")
    axes[2].set_title("online, Gaussian inputs")
    panel_letters(axes)
    return figure


def relative(tree: xr.DataTree) -> xr.DataArray:
    """Return the objective in units of its optimum, by ratio and step."""
    return tree["/objective"].ds["value"] / float(tree["/best"].ds["value"])


def claim_reached(ratio: float) -> Any:
    """Return a check that the objective ends at most 0.1 % below its optimum at a ratio of rates."""
    return lambda tree: at_least(relative(tree).sel(ratio=ratio).values[-1], 0.999)


LUTHER = "Luther, Yang and Seung (2019), doi:10.1109/IEEECONF44664.2019.9048957, and public notebooks of R. Yang"
PEHLEVAN = "Pehlevan, Sengupta and Chklovskii (2018), doi:10.1162/neco_a_01018"
FIGURE = Figure(
    name="pehlevan2018_convergence",
    title="Similarity matching: convergence against eta_W/eta_M, and online",
    source=f"{PEHLEVAN}; {LUTHER}",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "published-value",
            "The objective at eta_W/eta_M = 0.5 ends at the published 16.9693, within 0.01.",
            lambda tree: near(tree["/objective"].ds["value"].sel(ratio=0.5).values[-1], 16.9693, 0.01),
            LUTHER,
            ("full",),
        ),
        Claim(
            "published-optimum",
            "A quarter of the sum of the ten largest squared eigenvalues is 16.97, within 0.005.",
            lambda tree: near(tree["/best"].ds["value"], 16.97, 0.005),
            LUTHER,
            ("full",),
        ),
        Claim("slow-reaches", "At 0.1 it ends at most 0.1 % below that.", claim_reached(0.1), LUTHER),
        Claim("half-reaches", "So it does at 0.5.", claim_reached(0.5), LUTHER),
        Claim(
            "one-comes-near",
            "At 1 it comes within 1 % of it at some time.",
            lambda tree: at_least(relative(tree).sel(ratio=1.0).max(), 0.99),
            "target of this package, set after the first runs",
        ),
        Claim(
            "fast-excitation-fails",
            "At 1.5 it ends more than 5 % below.",
            lambda tree: at_most(relative(tree).sel(ratio=1.5).values[-1], 0.95),
            f"{LUTHER} (may fail)",
        ),
        Claim(
            "never-above",
            "At no ratio and at no time the objective is above its optimum.",
            lambda tree: at_most(relative(tree).max(), 1 + 1e-9),
            "derived",
        ),
        Claim(
            "subspace",
            "Online the error of the subspace of the inputs that were shown ends below 0.02.",
            lambda tree: at_most(tree["/online"].ds["error"].values[-1], 0.02),
            PEHLEVAN,
        ),
        Claim(
            "eigenvalues",
            "The eigenvalues of M are then the leading ones of the covariance, within 5 %.",
            lambda tree: at_most(
                np.abs(tree["/online"].ds["eigenvalue"].values / EIGENVALUES[:N_LEADING] - 1).max(), 0.05
            ),
            PEHLEVAN,
        ),
    ),
    needs=("mnist",),
)
