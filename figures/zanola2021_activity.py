"""One image in continuous time: activities rise together and split, then rows go to the sphere or run away."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.declare.weights import Given
from neurocircuits.engines.brian2_engine import Brian2
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.errors import ValidationError
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _zanola as zanola
from neurocircuits.models import zanola2021
from neurocircuits.plotting import FAINT, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near
from neurocircuits.simulation import run

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "image": 0,
        "circuit": {"n_sensory": 64, "n_hidden": 100, "h_star": 1.0, "delta": 0.05},
        "ranks": (7, 12, 17),
        "finer": 4,
    },
    False: {
        "data": "mnist",
        "image": 8000,
        "circuit": {"n_sensory": 784, "n_hidden": 484, "h_star": 3.0, "delta": 0.01},
        "ranks": (22, 42, 62),  # by current, from 0, of the three units that the notebook draws
        "finer": 10,
    },
}
W_INH, TAU, TAU_LEARNING = 0.8, 0.05, 5.0
STEP, N_STEPS = 0.01, 180
LARGEST = 100.0  # growth of sum w^2 that is called a blow-up
ENGINE = Brian2(dt="0.5 ms", tolerance=None)


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Settle and learn on one image in the notebook's steps, and note activities and norms; then in finer steps."""
    if engine is not None:
        raise ValidationError(
            "figure 'zanola2021_activity' compares continuous time with the state of rest, so no other engine can be "
            "chosen for it."
        )
    setting = SETTINGS[quick]
    train, _ = competing.images(setting["data"], 0)
    image = train[[setting["image"]]].values[0].astype(float)
    delta, h_star = (setting["circuit"][name] for name in ("delta", "h_star"))
    w = zanola.initial_weights(setting["circuit"]["n_hidden"], len(image), seed)
    circuit = zanola2021.circuit(w_inh=W_INH, initial=Given(w), **setting["circuit"])
    settling = zanola2021.protocol(image[None], settling_step="1 ms").phases[0].timetable[:2]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Brian2: dt", RuntimeWarning)  # the notebook's steps do ring at the onset
        course, finer = (
            zanola.learning_course(circuit, image, settling, STEP / k, n * k, ENGINE, seed, k, LARGEST)
            for k, n in ((1, 100 * N_STEPS), (setting["finer"], N_STEPS))
        )
    probe = Phase("probe", {"S": Patterns(image[None])}, plasticity=False, record=Record("h"))
    rest = run(circuit, Protocol([probe]), SteadyState(), seed)["/populations/E"].ds["h"].values[0]
    ending = course["h"].values[-1]
    gate = np.where(ending >= h_star, 1.0, np.where(ending > 0, -delta, 0.0))
    time = course["time"].values / TAU_LEARNING
    within = time <= N_STEPS * STEP / TAU_LEARNING + 1e-9
    exact = zanola.squared_norms(w, image, gate, time[within, None])
    errors = [largest_error(one, w, image, gate) for one in (course.isel(time=within), finer)]
    first = int(np.argmax(course["norm"].values[-1] / course["norm"].values[0]))
    n0 = (w[first] ** 2).sum()
    steps = np.linspace(0, float(zanola.blow_up_time(w, image, delta)[first]), 100_001)[:-1]
    growth = zanola.squared_norms(w[first], image, -delta, steps) / n0
    units = np.argsort(-(w @ image), kind="stable")[list(setting["ranks"])]
    measures = {
        "positive": 100 * (ending > 0).mean(),
        "positive_at_rest": 100 * (rest > 0).mean(),
        "n_above": (ending >= h_star).sum(),
        "largest": ending.max(),
        "n_other_sign": ((ending > 0) != (rest > 0)).sum(),
        "unsettled": np.abs(np.maximum(ending, 0) - np.maximum(rest, 0)).max(),
        "rest_error": np.abs(rest - zanola.at_rest(w @ image, W_INH)).max(),
        "error": errors[0],
        "error_finer": errors[1],
        "blow_up": time[-1],
        "blow_up_closed_form": steps[np.searchsorted(growth, LARGEST)],
        "finer": setting["finer"],
        "h_star": h_star,
        "delta": delta,
    }
    groups = {
        "/rest": xr.Dataset({"h": ("unit", ending), "settled": ("unit", rest), "g": ("unit", gate)}),
        "/activity": xr.Dataset(
            {"h": (("time", "rank"), course["h"].values[:, units])},
            coords={"time": course["settled"].values / TAU, "rank": np.array(setting["ranks"]) + 1},
        ),
        "/norms": xr.Dataset(
            {"norm": (("time", "unit"), course["norm"].values[within]), "closed_form": (("time", "unit"), exact)},
            coords={"time": time[within]},
        ),
        "/measures": xr.Dataset({name: ((), float(value)) for name, value in measures.items()}),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {"engine": to_json(ENGINE), "data": setting["data"]}
    return tree


def largest_error(course: xr.Dataset, w: np.ndarray, image: np.ndarray, gate: np.ndarray) -> float:
    """Return the largest relative error of sum w^2 against its closed form, over units and time."""
    exact = zanola.squared_norms(w, image, gate, course["time"].values[:, None] / TAU_LEARNING)
    return float(np.abs(course["norm"].values / exact - 1).max())


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the activity at the end of the presentation, three units on the way there, and norms while learning."""
    tree = trees[0]
    figure, axes = panels(1, 3, size=(10.2, 2.9))
    h = tree["/rest"].ds["h"].values
    axes[0].vlines(np.arange(len(h)), 0, h, color=np.where(h > 0, "C0", FAINT), linewidth=0.8)
    axes[0].axhline(0, color=NEUTRAL, linewidth=1, label="h = 0")
    axes[0].axhline(measure(tree, "h_star"), color="C1", linestyle="--", linewidth=1, label=r"$h_*$")
    axes[0].set(xlabel="unit", ylabel=r"$h$ after $12\,\tau$", xlim=(-1, len(h)))
    axes[0].set_title(f"{measure(tree, 'positive'):.2f} % positive ({tree.attrs['data']})")
    axes[0].legend(loc="upper right")
    course = tree["/activity"].ds
    for k, rank in enumerate(course["rank"].values):
        axes[1].plot(course["time"], course["h"][:, k], linewidth=1, label=f"rank {rank} by current")
    axes[1].axhline(0, color=NEUTRAL, linestyle="--", linewidth=1)
    settled = course["h"].values[course["time"].values > 0.5]
    axes[1].set(xlabel=r"$t/\tau$", ylabel=r"$h$", xlim=(0, 12), ylim=(settled.min() - 0.3, settled.max() + 0.5))
    axes[1].set_title("activities rise together, then split")
    axes[1].legend()
    norms, gate = tree["/norms"].ds, tree["/rest"].ds["g"].values
    delta = measure(tree, "delta")
    for k, (g, label) in enumerate(((1.0, "g = 1"), (0.0, "g = 0"), (-delta, f"g = {-delta:g}"))):
        some = np.flatnonzero(gate == g)
        some = some if g else some[:10]
        for unit in some:
            axes[2].plot(norms["time"], norms["norm"][:, unit], color=f"C{k}", linewidth=0.8, alpha=0.7)
            axes[2].plot(norms["time"], norms["closed_form"][:, unit], color="black", linestyle=":", linewidth=0.8)
        axes[2].plot([], [], color=f"C{k}", label=f"{label}, {np.count_nonzero(gate == g)} units")
    axes[2].plot([], [], color="black", linestyle=":", label="closed form")
    axes[2].set(xlabel=r"$t/\tau_L$", ylabel=r"$\sum_i W_{\mu i}^2$", yscale="log", xlim=(0, norms["time"].values[-1]))
    axes[2].set_title("rows of weights")
    axes[2].legend(loc="center", bbox_to_anchor=(0.68, 0.5))
    panel_letters(axes)
    return figure


def measure(tree: xr.DataTree, name: str) -> float:
    """Return one of the measures."""
    return float(tree["/measures"].ds[name])


def crossings(tree: xr.DataTree) -> np.ndarray:
    """Return when each of the three units falls below zero for good, in tau; NaN if it does not."""
    course = tree["/activity"].ds
    h, time = course["h"].values, course["time"].values
    last = [np.flatnonzero(trace >= 0)[-1:] for trace in h.T]
    return np.array([time[k[0] + 1] if len(k) and k[0] + 1 < len(time) else np.nan for k in last])


def norm(tree: xr.DataTree, sign: int, time: float, relative: bool) -> float:
    """Return the mean norm at a time of the rows whose gate has a sign, relative to their initial one or as it is."""
    norms, some = tree["/norms"].ds["norm"], np.sign(tree["/rest"].ds["g"].values) == sign
    now = norms.sel(time=time, method="nearest").values[some]
    return float((now / norms.values[0][some] if relative else now).mean())


FIGURE = Figure(
    name="zanola2021_activity",
    title="Competition and learning on one image, in continuous time",
    source="Zanola (2021), slides 6 and 9, and notebook; after Krotov and Hopfield (2018), arXiv:1806.10181, fig. 2",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "share-positive",
            "3.93 % of the units are positive after 12 tau, within one point.",
            lambda tree: near(measure(tree, "positive"), 3.93, 1.0),
            "Zanola (2021), notebook: 19 of 484",
            ("full",),
        ),
        Claim(
            "few-positive",
            "Fewer than a sixth of the units are positive after 12 tau.",
            lambda tree: at_most(measure(tree, "positive"), 100 / 6),
            "Zanola (2021), notebook",
            ("quick",),
        ),
        Claim(
            "above-threshold",
            "About ten units are above h_*.",
            lambda tree: near(measure(tree, "n_above"), 10, 3),
            "Zanola (2021), notebook",
            ("full",),
        ),
        Claim(
            "state-of-rest",
            "The steady-state engine rests where the sorted currents say.",
            lambda tree: at_most(measure(tree, "rest_error"), 1e-9),
            "derived: sorted active set of arXiv:1806.10181, eq. 4",
        ),
        Claim(
            "same-winners",
            "After 12 tau, five units at most have another sign than at rest.",
            lambda tree: at_most(measure(tree, "n_other_sign"), 5),
            "a comparison of both readings of one declaration",
        ),
        Claim(
            "not-settled",
            "But 12 tau are not enough for activities: one is off by 0.3 or more.",
            lambda tree: at_least(measure(tree, "unsettled"), 0.3),
            "derived: differences among active units decay with tau/(1 - w_inh)",
            ("full",),
        ),
        Claim(
            "rise-together",
            "Three units that end below zero are all above it at half a tau.",
            lambda tree: at_least(
                tree["/activity"].ds["h"].sel(time=0.5, method="nearest").values.min()
                * (tree["/activity"].ds["h"].values[-1].max() < 0),
                1e-3,
            ),
            "Zanola (2021), notebook",
        ),
        Claim(
            "first-crossing",
            "The weakest of them crosses zero after about 1.1 tau.",
            lambda tree: near(crossings(tree)[2], 1.1, 0.25),
            "Zanola (2021), notebook",
            ("full",),
        ),
        Claim(
            "second-crossing",
            "The next one does after about 2.0 tau.",
            lambda tree: near(crossings(tree)[1], 2.0, 0.4),
            "Zanola (2021), notebook",
            ("full",),
        ),
        Claim(
            "third-crossing",
            "The strongest holds out for more than 1.5 times as long as the next.",
            lambda tree: at_least(crossings(tree)[0] / crossings(tree)[1], 1.5),
            "Zanola (2021), notebook: 7.6 tau",
            ("full",),
        ),
        Claim(
            "to-the-sphere",
            "Rows with g = 1 have sum w^2 = 1 within 0.02 after 0.3 tau_L.",
            lambda tree: near(norm(tree, 1, 0.3, False), 1.0, 0.02),
            "Zanola (2021), notebook",
            ("full",),
        ),
        Claim(
            "flat",
            "Rows with g = 0 do not change.",
            lambda tree: near(norm(tree, 0, 0.36, True), 1.0, 0.0),
            "Zanola (2021), notebook",
        ),
        Claim(
            "runs-away",
            "Rows with g = -0.01 grow by the published factor in 0.36 tau_L.",
            lambda tree: near(norm(tree, -1, 0.36, True), 590 / 262, 0.1),
            "Zanola (2021), notebook: from 262 to about 590",
            ("full",),
        ),
        Claim(
            "grows",
            "Rows whose gate is negative grow.",
            lambda tree: at_least(norm(tree, -1, 0.36, True), 1.01),
            "Zanola (2021), notebook",
            ("quick",),
        ),
        Claim(
            "closed-form",
            "In finer steps all norms follow the closed form within 3 %.",
            lambda tree: at_most(measure(tree, "error_finer"), 0.03),
            zanola.CLOSED_FORM,
        ),
        Claim(
            "integration-order",
            "The error of the notebook's steps is larger in proportion to the step.",
            lambda tree: near(measure(tree, "error") / measure(tree, "error_finer") / measure(tree, "finer"), 1.0, 0.2),
            zanola.CLOSED_FORM,
        ),
        Claim(
            "blow-up",
            "A row that is pushed on grows a hundredfold when the closed form says, within 2 %.",
            lambda tree: near(measure(tree, "blow_up") / measure(tree, "blow_up_closed_form"), 1.0, 0.02),
            zanola.CLOSED_FORM,
        ),
    ),
    needs=("mnist",),
)
