"""A second layer of competing units on the codes of the first: what it adds, beside random second layers."""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

import numpy as np
import xarray as xr
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import Normalizer
from sklearn.random_projection import GaussianRandomProjection

from neurocircuits.analysis import collapse
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.steady_state import SteadyState
from neurocircuits.figures import _competing as competing
from neurocircuits.learn import CollapseWarning, CompetingHiddenUnits
from neurocircuits.plotting import FAINT, mosaic, panel_letters, panels
from neurocircuits.readout import PowerClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

# The powers of both layers, k and delta of the second were chosen on images set aside from the training images (10 000
# of MNIST, 300 of digits): k 2 and delta 0.2 of (2, 0.2), (2, 0) and (7, 0.4), powers of 1 to 8.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "first": {"n_hidden": 200, "k": 2, "delta": 0.2, "epochs": 100, "power": 8.0},
        "second": {"n_hidden": 100, "k": 2, "delta": 0.2, "epochs": 100, "power": 8.0},
        "top": {"n": 1.0, "m": 4.0, "epochs": 30, "rates": ((0.0, 3e-3), (0.5, 1e-3))},
    },
    False: {
        "data": "mnist",
        "first": {"n_hidden": 400, "k": 7, "delta": 0.4, "epochs": 40, "power": 4.5},
        "second": {"n_hidden": 400, "k": 2, "delta": 0.2, "epochs": 30, "power": 4.5},
        "top": {"n": 1.0, "m": 6.0, "epochs": 20},
    },
}
N_SHOWN = 20


def pipelines(setting: dict[str, Any], folder: str, seed: int) -> dict[str, Pipeline]:
    """Return one pipeline for each way of using a second layer; what they share is learned once, kept in ``folder``."""
    first = [("first", CompetingHiddenUnits(**setting["first"], random_state=seed)), ("length", Normalizer())]
    units = CompetingHiddenUnits(**setting["second"], random_state=seed + 1000)
    second = Pipeline([("units", units), ("length", Normalizer())], memory=folder)
    random = GaussianRandomProjection(setting["second"]["n_hidden"], random_state=seed)
    ways: dict[str, list[tuple[str, Any]]] = {
        "one layer": [],
        "two layers": [("second", second)],
        "random second": [("second", random)],
        "one and two": [("second", FeatureUnion([("first", "passthrough"), ("second", second)]))],
        "one and random": [("second", FeatureUnion([("first", "passthrough"), ("second", random)]))],
    }
    top = ("top", PowerClassifier(**setting["top"], random_state=seed))
    return {way: Pipeline([*first, *steps, top], memory=folder) for way, steps in ways.items()}


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Train all pipelines and test them."""
    setting = SETTINGS[quick]
    train, test = competing.images(setting["data"], seed)
    parts = {"train": (train.values, np.asarray(train.labels)), "test": (test.values, np.asarray(test.labels))}
    errors: dict[str, list[float]] = {"train": [], "test": []}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # a measure of its own
        ways = pipelines(setting, folder, seed)
        for way in ways.values():
            way.fit(*parts["train"])
            for part, (x, y) in parts.items():
                errors[part].append(100 * (1 - way.score(x, y)))
    one, two = ways["two layers"]["first"], ways["two layers"]["second"]["units"]
    codes = ways["two layers"][:2].transform(test.values[:1000])
    p = two.p
    currents = codes @ (np.sign(two.components_) * np.abs(two.components_) ** (p - 1)).T
    measures = {
        "converged_first": one.converged_fraction_,
        "converged_second": two.converged_fraction_,
        **{f"{name}_second": value for name, value in collapse(currents).items()},
    }
    seen = two.components_ @ one.components_
    rows = {"first": one.components_[:N_SHOWN], "second": seen[:N_SHOWN]}
    groups = {
        "/errors": xr.Dataset({part: ("way", found) for part, found in errors.items()}, coords={"way": list(ways)}),
        "/measures": xr.Dataset({name: ((), float(value)) for name, value in measures.items()}),
        "/rows": xr.Dataset({name: (("row", "pixel"), values) for name, values in rows.items()}),
    }
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {
        "engine": to_json(engine or SteadyState(batch=one.batch, dtype=one.dtype)),
        "data": setting["data"],
        "image_shape": list(train.image_shape or ()),
        "n_units": [len(one.components_), len(two.components_)],
    }
    return result


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw rows of both layers, the second's seen through the first, and the errors of all ways."""
    tree = trees[0]
    height, width = (int(side) for side in tree.attrs["image_shape"])
    figure, axes = panels(1, 3, size=(9.6, 2.9), width_ratios=(1, 1, 1.3))
    for ax, name, title in ((axes[0], "first", "first layer"), (axes[1], "second", "second, seen through it")):
        mosaic(ax, tree["/rows"].ds[name].values, (height, width), n_columns=5, scale="each")
        ax.set_title(f"{title} ({tree.attrs['n_units'][name == 'second']})")
    ways = [str(way) for way in tree["/errors"].ds["way"].values]
    for part, marker, color, label in (("test", "o", "C0", "test"), ("train", "x", FAINT, "training")):
        values = np.array([one["/errors"].ds[part].values for one in trees])
        axes[2].plot(values.T, np.arange(len(ways)), marker, color=color, markersize=5)
        axes[2].plot([], [], marker, color=color, label=label)
    axes[2].set_yticks(np.arange(len(ways)), ways)
    axes[2].invert_yaxis()
    axes[2].set(xlabel="error (%)", xlim=(0, None))
    axes[2].legend()
    axes[2].set_title(f"{tree.attrs['data']}, same top layer ({len(trees)} seed{'s' * (len(trees) > 1)})")
    panel_letters(axes)
    return figure


def more(way: str, than: str) -> Any:
    """Return a check that one way has a larger test error than another."""
    return lambda tree: at_least(error(tree, way) - error(tree, than), 0.0)


def error(tree: xr.DataTree, way: str) -> float:
    """Return a test error in percent."""
    return float(tree["/errors"].ds["test"].sel(way=way))


def measure(tree: xr.DataTree, name: str) -> float:
    """Return a measure of a layer."""
    return float(tree["/measures"].ds[name])


OWN = "measured here; the papers have one layer"
FIGURE = Figure(
    name="krotov2019_layers",
    title="A second layer of competing hidden units",
    source="after Krotov and Hopfield (2018), arXiv:1806.10181; the second layer is an experiment of this package",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "second-layer-learns",
            "Three rows of the second layer in four reach the p-sphere.",
            lambda tree: at_least(measure(tree, "converged_second"), 0.75),
            OWN,
        ),
        Claim(
            "second-layer-does-not-collapse",
            "No unit of it wins a fifth of the images, and no fifth of the units is silent.",
            lambda tree: at_most(measure(tree, "winner_share_second") + measure(tree, "silent_share_second"), 0.2),
            OWN,
        ),
        Claim(
            "worse-than-one-layer",
            "Read alone, it errs more than the first.",
            more("two layers", "one layer"),
            OWN,
            beyond_spread=True,
        ),
        Claim(
            "worse-than-random",
            "It errs more than a random second layer.",
            more("two layers", "random second"),
            OWN,
            ("full",),
            beyond_spread=True,
        ),
        Claim(
            "nothing-of-its-own",
            "Beside the first layer it is of no more use than a random one.",
            more("one and two", "one and random"),
            OWN,
        ),
    ),
    needs=("mnist",),
)
