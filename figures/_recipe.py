"""Recipes of competing hidden units: from images to errors beside their controls, computed and drawn alike.

A recipe says which images, which circuit for how many epochs, which top layer, which control, and what was published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from neurocircuits.analysis import border_ratio, converged_fraction, negative_share, sphere_norms
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.steps import Euler, LargestChange, Linear
from neurocircuits.engines.base import Engine
from neurocircuits.figures import _competing as competing
from neurocircuits.plotting import FAINT, mosaic, panel_letters, panels
from neurocircuits.readout import BackpropClassifier, PowerClassifier
from neurocircuits.reproduce import Claim, at_least, at_most

N_SNAPSHOTS, N_DRAWS = 20, 100
AS_THEY_ARE = "learned, images as they are"


@dataclass(frozen=True)
class Recipe:
    """What is learned from what, and what stands beside it.

    Parameters
    ----------
    data : str
        Name of the images.
    model : callable
        Returns the circuit from ``settings`` and the step.
    p : float
        Exponent of the norm of its rows.
    epochs : int
        Passes over the images.
    step : float
        Largest change of a weight in the first minibatch; it falls linearly to 0.
    layer, control : dict
        Settings of the top layer and of the control that learns by backprop.
    settings : dict
        Settings of the circuit.
    batch : int
        Images of a minibatch.
    unit_length : bool
        Whether top layers see images divided by their lengths, so that hidden values, a high power of currents, do not
        first of all tell how much ink an image has. Rows are learned from the images as they are.
    logistic : float
        Inverse strength of the penalty of a logistic regression on the same hidden values; 0 for none.
    without_ltd : int
        Epochs of the control with delta 0; 0 for none.
    n_shown : int
        Rows in a picture.
    published : dict of str to float
        Errors (%) that others published for the test images.
    """

    data: str
    model: Callable[..., Circuit]
    p: float
    epochs: int
    step: float
    layer: dict[str, Any]
    control: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    batch: int = 100
    unit_length: bool = False
    logistic: float = 0.0
    without_ltd: int = 0
    n_shown: int = 20
    published: dict[str, float] = field(default_factory=dict)

    def rows(self, train: Any, engine: Any, seed: int, printed: bool = False, **changed: Any) -> xr.DataTree:
        """Return the run that learns rows from images.

        Parameters
        ----------
        train : Dataset
            Images.
        engine : Engine or None
            How to run.
        seed : int
            Seed of the run.
        printed : bool
            Whether a step is the printed coefficient times the mean drift, not scaled by its largest change.
        **changed
            Settings of the circuit, or ``epochs``, that differ from the recipe's.
        """
        epochs = changed.pop("epochs", self.epochs)
        settings = {"n_sensory": train.n_features, **self.settings, **changed}
        if printed:
            protocol = competing.presented(train, epochs, N_SNAPSHOTS, {"S_to_E": Linear(1.0, 0.0, parts=epochs)})
            circuit = self.model(step=Euler(), eta=f"{self.step / competing.DURATION} Hz", **settings)
        else:
            protocol = competing.presented(train, epochs, N_SNAPSHOTS)
            circuit = self.model(step=LargestChange(Linear(self.step, 0.0, parts=epochs)), **settings)
        return competing.kept_run(circuit, protocol, self.on(engine), seed)

    def seen(self, train: Any, test: Any) -> tuple[Any, Any]:
        """Return images as the top layer sees them."""
        return (train.unit_length(), test.unit_length()) if self.unit_length else (train, test)

    def on(self, engine: Engine | None) -> Engine:
        """Return the engine that rows are learned on, unless one is given."""
        return engine or replace(competing.ENGINE, batch=self.batch)


def _logistic(
    layer: PowerClassifier, rows: np.ndarray, train: Any, test: Any, strength: float
) -> dict[str, list[float]]:
    """Return errors, as in a history, of a logistic regression on the hidden values of a top layer."""
    parts = [(layer.hidden(data.values @ rows.T.astype(data.dtype)), data.labels) for data in (train, test)]
    fitted = LogisticRegression(C=strength, max_iter=1000).fit(*parts[0])
    return {f"error_{part}": [1 - fitted.score(*one)] for part, one in zip(("train", "test"), parts, strict=True)}


def learned(tree: xr.DataTree) -> np.ndarray:
    """Return the rows that a run ended with."""
    return np.asarray(tree["/synapses/S_to_E"].ds["w"].values[-1])


def compute(recipe: Recipe, engine: Any, seed: int) -> xr.DataTree:
    """Learn without labels, then train the top layer on learned rows, other rows and pixels, and the control."""
    train, test = competing.images(recipe.data, seed)
    run = recipe.rows(train, engine, seed)
    w, p = learned(run), recipe.p
    rows = {"learned": w, "learned, metric": competing.currents_of(w, p), **competing.controls(train, len(w), p, seed)}
    if recipe.without_ltd:
        rows["without LTD"] = learned(recipe.rows(train, engine, seed, delta=0.0, epochs=recipe.without_ltd))
    layer = PowerClassifier(**recipe.layer, random_state=seed)
    every, seen = max(1, layer.epochs // 30), recipe.seen(train, test)
    layers = {name: competing.kept_layer(layer, some, *seen, every) for name, some in rows.items()}
    if recipe.unit_length:
        plain = clone(layer).set_params(beta=1.0)  # they do not bear a small gain
        layers[AS_THEY_ARE] = competing.kept_layer(plain, w, train, test, every)
    control = BackpropClassifier(**recipe.control, random_state=seed)
    control = competing.kept_layer(control, None, train, test, max(1, control.epochs // 25))
    histories = {name: one.history_ for name, one in {**layers, "backprop": control}.items()}
    if recipe.logistic:
        histories["learned, logistic"] = competing.kept(_logistic, layers["learned"], w, *seen, recipe.logistic)

    rng = np.random.default_rng(seed)
    sizes = sphere_norms(run["/synapses/S_to_E"].ds["w"].values, p)
    near = np.flatnonzero(np.abs(sizes[-1] - 1) < 0.01)
    near = near if len(near) else np.arange(len(w))
    draws = np.stack([rng.choice(near, min(recipe.n_shown, len(near)), replace=False) for _ in range(N_DRAWS)])
    mean_image = np.mean([train[k : k + 4096].values.mean(axis=0) for k in range(0, len(train), 4096)], axis=0)
    weights_of_control = control.parameters_["W"].T
    errors = {part: ("rows", [100 * h[f"error_{part}"][-1] for h in histories.values()]) for part in ("train", "test")}
    measures = {
        "converged": converged_fraction(w, p),
        "border": border_ratio(w[near], mean_image),
        "border_of_all": border_ratio(w, mean_image),
        "border_control": border_ratio(weights_of_control, mean_image),
        "negative": negative_share(w),
    }
    groups = {
        "/errors": xr.Dataset(errors, coords={"rows": list(histories)}),
        "/rows": xr.Dataset({"w": (("row", "pixel"), w[draws[0]]), "norm": (("snapshot", "unit"), sizes)}),
        "/extremes": xr.Dataset(
            {"high": ("draw", w[draws].max(axis=(1, 2))), "low": ("draw", w[draws].min(axis=(1, 2)))}
        ),
        "/control": xr.Dataset({"w": (("row", "pixel"), weights_of_control[: recipe.n_shown])}),
        "/measures": xr.Dataset({name: ((), float(value)) for name, value in measures.items()}),
        **{
            f"/curves/{name}": xr.Dataset(
                {part: ("epoch", 100 * np.array(histories[name][f"error_{part}"])) for part in ("train", "test")},
                coords={"epoch": histories[name]["epoch"]},
            )
            for name in ("learned", "backprop")
        },
    }
    result = xr.DataTree.from_dict(groups)
    result.attrs |= {
        "engine": to_json(recipe.on(engine)),
        "data": recipe.data,
        "image_shape": list(train.image_shape or ()),
    }
    return result


def draw(trees: list[xr.DataTree], published: dict[str, float]) -> Any:
    """Draw features of the first seed and of its control, the curves of both, and all errors beside published ones."""
    tree = trees[0]
    shape = tuple(int(side) for side in tree.attrs["image_shape"])
    figure, axes = panels(1, 4, size=(11.6, 3.0), width_ratios=(1, 1, 1.15, 1.15))
    for ax, place, title in ((axes[0], "/rows", "local learning"), (axes[1], "/control", "backprop")):
        mosaic(ax, tree[place].ds["w"].values, shape, n_columns=5)
        ax.set_title(title)
    for k, name in enumerate(("learned", "backprop")):
        curve = tree[f"/curves/{name}"].ds
        axes[2].plot(curve["epoch"], curve["test"], color=f"C{k}", label=f"{name}, test")
        axes[2].plot(curve["epoch"], curve["train"], color=f"C{k}", linestyle=":", label=f"{name}, training")
    axes[2].set(xlabel="epoch of the top layer, or of the control", ylabel="error (%)", yscale="log")
    axes[2].legend()
    axes[2].set_title("learning curves (first seed)")
    names = [str(name) for name in tree["/errors"].ds["rows"].values]
    places = np.arange(len(names))
    for part, marker, color, label in (("test", "o", "C0", "test"), ("train", "x", FAINT, "training")):
        values = np.array([one["/errors"].ds[part].values for one in trees])
        axes[3].plot(values.T, places, marker, color=color, markersize=5)
        axes[3].plot([], [], marker, color=color, label=label)
    if published:
        below = len(names) + np.arange(len(published))
        axes[3].plot(list(published.values()), below, "o", color="C0", fillstyle="none")
    axes[3].set_yticks(np.arange(len(names) + len(published)), [*names, *published])
    axes[3].invert_yaxis()
    axes[3].set(xlabel="error (%)", xlim=(0, None))
    axes[3].legend()
    axes[3].set_title(f"{tree.attrs['data']}, {len(trees)} seed{'s' * (len(trees) > 1)}")
    panel_letters(axes)
    return figure


def error(tree: xr.DataTree, method: str, part: str = "test") -> float:
    """Return an error in percent."""
    return float(tree["/errors"].ds[part].sel(rows=method))


def measure(tree: xr.DataTree, name: str) -> float:
    """Return one of the measures of the weights."""
    return float(tree["/measures"].ds[name])


def extreme(tree: xr.DataTree, name: str) -> float:
    """Return the median over draws of the largest ("high") or smallest ("low") weight among rows in a picture."""
    return float(tree["/extremes"].ds[name].median())


def better_than(method: str, by: float) -> Any:
    """Return a check that learned rows have a smaller test error than another method, by so many points."""
    return lambda tree: at_least(error(tree, method) - error(tree, "learned"), by)


PREPRINT = "Krotov and Hopfield (2018), arXiv:1806.10181"
CLAIM_SIGNED = Claim(
    "signed",
    "The rows have negative parts: more than a tenth of all weight.",
    lambda tree: at_least(measure(tree, "negative"), 0.1),
    f"{PREPRINT}, figs. 3 and 5",
)
CLAIM_PIXELS = Claim(
    "better-than-raw-pixels",
    "The top layer errs less on learned rows than on pixels.",
    better_than("raw pixels", 0.5),
    "a control",
)
CLAIM_RANDOM = Claim(
    "better-than-random-rows",
    "Learned rows do better than random ones.",
    better_than("random rows", 0.0),
    "a control",
    ("full",),
)
CLAIM_BORDER = Claim(
    "empty-border",
    "Weights from the border, where there is no ink, are below a twentieth of the others, in rows on the sphere.",
    lambda tree: at_most(measure(tree, "border"), 0.05),
    f"{PREPRINT}, fig. 3",
    ("full",),
)
