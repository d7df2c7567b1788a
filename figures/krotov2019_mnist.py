"""Competing hidden units on MNIST: features, learning curves, and what other rows reach with the same top layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.steps import LargestChange, Linear
from neurocircuits.figures import _competing as competing
from neurocircuits.models import krotov2019
from neurocircuits.plotting import FAINT, mosaic, panel_letters, panels
from neurocircuits.readout import BackpropClassifier, PowerClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "circuit": {"n_sensory": 64, "n_hidden": 200, "p": 3.0, "k": 2, "delta": 0.2},
        "epochs": 150,
        "layer": {"n": 3.0, "m": 4.0, "epochs": 100},
        "control": {"n_hidden": 200, "epochs": 60},
    },
    False: {
        "data": "mnist",
        "circuit": {},
        "epochs": 1000,
        "layer": {"n": 4.5, "m": 6.0, "epochs": 300},
        "control": {"n_hidden": 2000, "epochs": 50},
    },
}
N_SNAPSHOTS, N_SHOWN, N_DRAWS = 20, 20, 100


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn without labels, then train the top layer on learned rows, other rows and pixels, and the control."""
    setting = SETTINGS[quick]
    train, test = competing.images(setting["data"], seed)
    step = LargestChange(Linear(0.04, 0.0, parts=setting["epochs"]))
    circuit = krotov2019.mnist(step=step, **setting["circuit"])
    p = float(setting["circuit"].get("p", 3.0))
    tree = competing.kept_run(circuit, competing.presented(train, setting["epochs"], N_SNAPSHOTS), engine, seed)
    snapshots = tree["/synapses/S_to_E"].ds["w"].values
    w, sizes = snapshots[-1], competing.norms(snapshots, p)
    rows = {"learned": w, **competing.controls(train, len(w), p, seed)}
    every = max(1, setting["layer"]["epochs"] // 30)
    histories = {
        name: competing.read_out(PowerClassifier(**setting["layer"], random_state=seed), rows_of, train, test, every)
        for name, rows_of in rows.items()
    }
    watch_control = max(1, setting["control"]["epochs"] // 25)
    control = BackpropClassifier(**setting["control"], random_state=seed)
    histories["backprop"] = competing.read_out(control, None, train, test, watch_control)
    rng = np.random.default_rng(seed)
    near = np.flatnonzero(np.abs(sizes[-1] - 1) < 0.01)
    draws = np.stack([rng.choice(near, min(N_SHOWN, len(near)), replace=False) for _ in range(N_DRAWS)])
    mean_image = np.mean([train[k : k + 4096].values.mean(axis=0) for k in range(0, len(train), 4096)], axis=0)
    errors = {name: ("rows", [100 * h[f"error_{name}"][-1] for h in histories.values()]) for name in ("train", "test")}
    groups = {
        "/errors": xr.Dataset(errors, coords={"rows": list(histories)}),
        "/rows": xr.Dataset({"w": (("row", "pixel"), w[draws[0]]), "norm": (("snapshot", "unit"), sizes)}),
        "/extremes": xr.Dataset(
            {"high": ("draw", w[draws].max(axis=(1, 2))), "low": ("draw", w[draws].min(axis=(1, 2)))}
        ),
        "/control": xr.Dataset({"w": (("row", "pixel"), control.parameters_["W"].T[:N_SHOWN])}),
        **{
            f"/curves/{name}": xr.Dataset(
                {part: ("epoch", 100 * np.array(histories[name][f"error_{part}"])) for part in ("train", "test")},
                coords={"epoch": histories[name]["epoch"]},
            )
            for name in ("learned", "backprop")
        },
    }
    measures = {
        "converged": (np.abs(sizes[-1] - 1) < 0.01).mean(),
        "border": competing.border(w, mean_image),
        "border_control": competing.border(control.parameters_["W"].T, mean_image),
        "negative": -w[w < 0].sum() / np.abs(w).sum(),
    }
    groups["/measures"] = xr.Dataset({name: ((), float(value)) for name, value in measures.items()})
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {
        "engine": to_json(engine or competing.ENGINE),
        "data": setting["data"],
        "side": int(train.n_features**0.5),
    }
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw features of the first seed and of its control, the curves of both, and the errors beside their controls."""
    tree = trees[0]
    side = tree.attrs["side"]
    figure, axes = panels(1, 4, size=(11.2, 2.8), width_ratios=(1, 1, 1.15, 1.15))
    mosaic(axes[0], tree["/rows"].ds["w"].values, (side, side), n_columns=5)
    axes[0].set_title(f"local learning ({tree.attrs['data']})")
    mosaic(axes[1], tree["/control"].ds["w"].values, (side, side), n_columns=5)
    axes[1].set_title("backprop")
    for k, name in enumerate(("learned", "backprop")):
        curve = tree[f"/curves/{name}"].ds
        axes[2].plot(curve["epoch"], curve["test"], color=f"C{k}", label=f"{name}, test")
        axes[2].plot(curve["epoch"], curve["train"], color=f"C{k}", linestyle=":", label=f"{name}, training")
    axes[2].set(xlabel="epoch of the top layer, or of the control", ylabel="error (%)", yscale="log")
    axes[2].legend()
    axes[2].set_title("learning curves (first seed)")
    names = [str(name) for name in tree["/errors"].ds["rows"].values]
    places = np.arange(len(names))
    for part, marker in (("test", "o"), ("train", "x")):
        values = np.array([one["/errors"].ds[part].values for one in trees])
        axes[3].plot(values.T, places, marker, color="C0" if part == "test" else FAINT, markersize=5)
        axes[3].plot(
            [], [], marker, color="C0" if part == "test" else FAINT, label={"train": "training"}.get(part, part)
        )
    axes[3].set_yticks(places, names)
    axes[3].invert_yaxis()
    axes[3].set(xlabel="error (%)", xlim=(0, None))
    axes[3].legend()
    axes[3].set_title(f"same top layer, other rows ({len(trees)} seed{'s' * (len(trees) > 1)})")
    panel_letters(axes)
    return figure


def error(tree: xr.DataTree, method: str, part: str = "test") -> float:
    """Return an error in percent."""
    return float(tree["/errors"].ds[part].sel(rows=method))


def measure(tree: xr.DataTree, name: str) -> float:
    """Return one of the measures of the weights."""
    return float(tree["/measures"].ds[name])


def claim_better_than(method: str, by: float) -> Any:
    """Return a check that learned rows have a smaller test error than another method, by so many points."""
    return lambda tree: at_least(error(tree, method) - error(tree, "learned"), by)


JOURNAL = "Krotov and Hopfield (2019), PNAS 116:7723: 1.46 % test error; target of this package 1.85 %"
FIGURE = Figure(
    name="krotov2019_mnist",
    title="Competing hidden units on MNIST",
    source="Krotov and Hopfield (2019), doi:10.1073/pnas.1820458116, fig. 3",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "on-the-sphere",
            "Nine rows in ten reach the p-sphere within 1 %.",
            lambda tree: at_least(measure(tree, "converged"), 0.9),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1",
            ("full",),
        ),
        Claim(
            "on-the-way-to-the-sphere",
            "Half of the rows do, after a shorter course.",
            lambda tree: at_least(measure(tree, "converged"), 0.5),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1",
            ("quick",),
        ),
        Claim(
            "signed",
            "The rows have negative parts: more than a tenth of all weight.",
            lambda tree: at_least(measure(tree, "negative"), 0.1),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
        ),
        Claim(
            "better-than-raw-pixels",
            "The top layer errs less on learned rows than on pixels.",
            claim_better_than("raw pixels", 0.5),
            "a control",
        ),
        Claim(
            "test-error",
            "The test error is 1.85 % at most.",
            lambda tree: at_most(error(tree, "learned"), 1.85),
            JOURNAL,
            ("full",),
        ),
        Claim(
            "training-error",
            "The training error is 0.6 % at most.",
            lambda tree: at_most(error(tree, "learned", "train"), 0.6),
            "target of this package",
            ("full",),
        ),
        Claim(
            "control-error",
            "Backprop with the same architecture errs on 1.7 % of the test images at most.",
            lambda tree: at_most(error(tree, "backprop"), 1.7),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 4: about 1.5 %",
            ("full",),
        ),
        Claim(
            "better-than-random-rows",
            "Learned rows do better than random ones.",
            claim_better_than("random rows", 0.0),
            "a control",
            ("full",),
        ),
        Claim(
            "better-than-images",
            "Learned rows do better than training images.",
            claim_better_than("training images", 0.0),
            "a control",
            ("full",),
        ),
        Claim(
            "empty-border",
            "Weights from the border, where there is no ink, are below a twentieth of the others.",
            lambda tree: at_most(measure(tree, "border"), 0.05),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
            ("full",),
        ),
        Claim(
            "border-of-the-control",
            "Those of the control stay as large as they were drawn: above a third of the others.",
            lambda tree: at_least(measure(tree, "border_control"), 1 / 3),
            "Krotov and Hopfield (2018), arXiv:1806.10181, fig. 3",
            ("full",),
        ),
    ),
)
