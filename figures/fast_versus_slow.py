"""Three readings of one rule, by ranks, at rest and in time, and how much depression competition bears."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from neurocircuits.analysis import best_cosines, collapse, converged_fraction, negative_share, winner_agreement
from neurocircuits.datasets import Dataset
from neurocircuits.declare.protocol import Phase, Protocol, Window
from neurocircuits.declare.serialise import to_json
from neurocircuits.declare.steps import Cap, Euler, LargestChange
from neurocircuits.declare.stimulus import Patterns
from neurocircuits.engines.base import Engine
from neurocircuits.errors import ValidationError
from neurocircuits.figures import _competing as competing
from neurocircuits.figures import _zanola as zanola
from neurocircuits.plotting import FAINT, NEUTRAL, curve, panel_letters, panels
from neurocircuits.readout import PowerClassifier
from neurocircuits.reproduce import Claim, Figure, at_least, at_most

# Gentle: a threshold that rows on the sphere still reach, and a presentation much shorter than tau_L.
GENTLE = {"w_inh": 0.8, "h_star": 1.0, "delta": 0.01, "learn": (0.5, 0.025)}
AS_RUN = {"w_inh": 0.7, "h_star": 3.0, "delta": 0.01, "learn": (1.8, 0.01)}
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {
        "data": "digits",
        "n_hidden": 50,
        "n_images": 60,
        "n_swept": 15,
        "n_probe": 20,
        "slow": {"gentle": {**GENTLE, "h_star": 0.5, "learn": (1.5, 0.05)}},
        "fast": {"epochs": 30, "batch": 20, "k": 2, "delta": 0.4},
        "deltas": (0.05, 0.4),
        "layer": {"n": 2.0, "m": 4.0, "epochs": 8, "batch": 50, "rates": ((0.0, 0.01),)},
        "n_train": 500,
    },
    False: {
        "data": "mnist",
        "n_hidden": 484,
        "n_images": 2000,
        "n_swept": 1000,
        "n_probe": 300,
        "slow": {"gentle": GENTLE, "as run": AS_RUN},
        "fast": {"epochs": 60, "batch": 20, "k": 2, "delta": 0.4},
        "deltas": (0.0, 0.01, 0.05, 0.1, 0.2, 0.4),
        "layer": {"n": 4.5, "m": 6.0, "epochs": 15},
        "n_train": 20_000,
    },
}
LARGEST_PER_PRESENTATION = 0.2
REMEDIES = ("none", "cap", "largest change", "start on the sphere")


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn from the same images and initial weights in all readings, and for a range of delta with each remedy."""
    if engine is not None:
        raise ValidationError(
            "figure 'fast_versus_slow' compares three readings of a rule, each with its own engine, so no other engine "
            "can be chosen for it."
        )
    setting = SETTINGS[quick]
    train, test = competing.images(setting["data"], seed)
    shown = train[np.random.default_rng(seed).choice(len(train), setting["n_images"], replace=False)]
    first = zanola.initial_weights(setting["n_hidden"], train.n_features, seed)
    rows, seconds = readings(first, shown, setting, seed)
    layer = PowerClassifier(**setting["layer"], random_state=seed)
    judged = (layer, train[: setting["n_train"]], test)
    controls = competing.controls(shown, len(first), 2.0, seed)
    accuracy = {name: competing.kept(scored, w, *judged) for name, w in {**rows, **controls}.items()}
    currents = {name: shown.values @ w.T for name, w in rows.items()}
    agreement = [[winner_agreement(currents[a], currents[b], rows[a], rows[b])["matched"] for b in rows] for a in rows]
    measured = {
        "seconds": list(seconds.values()),
        "converged": [100 * converged_fraction(w, 2.0) for w in rows.values()],
        "cosine": [np.median(best_cosines(w, shown.values)) for w in rows.values()],
        "negative": [100 * negative_share(w) for w in rows.values()],
        "n_winners": [len(np.unique(values.argmax(axis=1))) for values in currents.values()],
    }
    gentle, images = setting["slow"]["gentle"], shown.values.astype(float)
    sets = {"initial": first, "learned": rows["rest, gentle"]}
    whom = {name: zanola.whom(w, images[: setting["n_probe"]], gentle, seed) for name, w in sets.items()}
    blown = {
        delta: zanola.blow_up(first, images[: setting["n_swept"]], gentle, delta, seed)
        for delta in setting["deltas"]
        if delta
    }
    swept = shown[: setting["n_swept"]]
    sweep, per_delta = [], ("delta", "remedy")
    for delta in setting["deltas"]:
        some = [remedied(first, swept, gentle, delta, remedy, judged, seed) for remedy in REMEDIES]
        sweep.append(some)
    groups = {
        "/accuracy": xr.Dataset({"test": ("rows", list(accuracy.values()))}, coords={"rows": list(accuracy)}),
        "/readings": xr.Dataset(
            {
                **{name: ("reading", values) for name, values in measured.items()},
                "matched": (("reading", "other"), agreement),
            },
            coords={"reading": list(rows)},
        ),
        "/winners": table("weights", whom),
        "/sweep": xr.Dataset(
            {name: (per_delta, [[one[name] for one in some] for some in sweep]) for name in sweep[0][0]},
            coords={"delta": list(setting["deltas"]), "remedy": list(REMEDIES)},
        ),
        "/blow_up": table("delta", blown),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {
        "engine": to_json([zanola.REST, zanola.IN_TIME]),
        "data": setting["data"],
        "presentation": setting["slow"]["gentle"]["learn"][0] / zanola.TAU_LEARNING,
    }
    return tree


def table(dimension: str, rows: dict[Any, dict[str, float]]) -> xr.Dataset:
    """Return measures as a dataset along a dimension."""
    names = next(iter(rows.values()))
    values = {name: (dimension, [row[name] for row in rows.values()]) for name in names}
    return xr.Dataset(values, coords={dimension: list(rows)})


def readings(
    first: np.ndarray, shown: Dataset, setting: dict[str, Any], seed: int
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the rows that each reading learns, and its seconds of CPU."""
    found = {"ranks": competing.kept(zanola.by_rank, first, shown, setting["fast"], seed)}
    for name, settings in setting["slow"].items():
        for reading, engine in (("rest", zanola.REST), ("both in time", zanola.IN_TIME)):
            found[f"{reading}, {name}"] = competing.kept(competed, first, shown, settings, Euler(), engine, seed)
    return {name: w for name, (w, _) in found.items()}, {name: seconds for name, (_, seconds) in found.items()}


def competed(
    first: np.ndarray, shown: Dataset, settings: dict[str, Any], step: Euler, engine: Engine, seed: int
) -> tuple[np.ndarray, float]:
    """Return what competition learns image by image, NaN if it runs away, and its seconds of CPU."""
    duration, learning_step = settings["learn"]
    timetable = (
        *(zanola.SETTLING if engine == zanola.IN_TIME else ()),
        Window(duration, hold=True, step=learning_step),
    )
    shown_once = Patterns(shown.values.astype(float))
    protocol = Protocol([Phase("learn", {"S": shown_once}, timetable=timetable)])
    return zanola.learned(zanola.competition(first, settings, step), protocol, engine, seed)


def scored(w: np.ndarray | None, layer: Any, train: Dataset, test: Dataset) -> float:
    """Return the test accuracy (%) of a top layer on the currents of rows, or on pixels."""
    x = [data.values if w is None else data.values @ w.T.astype(data.dtype) for data in (train, test)]
    return 100 * float(clone(layer).fit(x[0], np.asarray(train.labels)).score(x[1], np.asarray(test.labels)))


def remedied(
    first: np.ndarray,
    shown: Dataset,
    settings: dict[str, Any],
    delta: float,
    remedy: str,
    judged: tuple[Any, Dataset, Dataset],
    seed: int,
) -> dict[str, float]:
    """Return what competition at rest comes to with a delta and something that is to keep it from running away."""
    duration, learning_step = settings["learn"]
    steps = {
        "cap": Cap(LARGEST_PER_PRESENTATION),
        "largest change": LargestChange(LARGEST_PER_PRESENTATION * learning_step / duration),
    }
    start = competing.on_the_sphere(first, 2.0) if remedy == "start on the sphere" else first
    changed = {**settings, "delta": delta}
    w, _ = competing.kept(competed, start, shown, changed, steps.get(remedy, Euler()), zanola.REST, seed)
    if not np.isfinite(w).all():
        return dict.fromkeys(("accuracy", "converged", "winner_share", "negative"), np.nan)
    return {
        "accuracy": competing.kept(scored, w, *judged),
        "converged": 100 * float(converged_fraction(w, 2.0)),
        "winner_share": 100 * collapse(shown.values @ w.T)["winner_share"],
        "negative": 100 * negative_share(w),
    }


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw what each reading reaches and whom it chooses, then what delta does with each remedy."""
    tree = trees[0]
    figure, axes = panels(2, 3, size=(11.4, 6.0))
    names = [str(name) for name in tree["/accuracy"].ds["rows"].values]
    readings_of = [str(name) for name in tree["/readings"].ds["reading"].values]
    for one in trees:
        for place, name in enumerate(names):
            learned = name in readings_of
            axes[0, 0].plot(accuracy(one, name), place, "o", color="C0" if learned else FAINT, markersize=5)
        for k, name in enumerate(readings_of):
            point = reading(one, "seconds", name), reading(one, "converged", name)
            axes[0, 1].plot(*point, "o", color=f"C{k}", label=name if one is tree else None)
    axes[0, 0].set_yticks(np.arange(len(names)), names)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set(xlabel="test accuracy (%)")
    axes[0, 0].set_title(f"the same images and read-out ({tree.attrs['data']})")
    axes[0, 1].set(xlabel="seconds of CPU", ylabel="rows on the sphere (%)", xlim=(0, None), ylim=(-4, 104))
    axes[0, 1].set_title("time and convergence")
    axes[0, 1].legend(fontsize="small")
    matched = np.mean([one["/readings"].ds["matched"].values for one in trees], axis=0)
    np.fill_diagonal(matched, np.nan)
    axes[0, 2].imshow(matched, cmap="Greys", vmin=0, vmax=1)
    for k, row in enumerate(matched):
        for j, value in enumerate(row):
            if j == k:
                continue
            axes[0, 2].text(
                j, k, f"{100 * value:.0f}", ha="center", va="center", color="white" if value > 0.5 else "black"
            )
    axes[0, 2].set_yticks(range(len(readings_of)), readings_of)
    axes[0, 2].set_xticks(range(len(readings_of)), readings_of, rotation=30, ha="right")
    axes[0, 2].set_title("same winner, units matched (%)")
    course = tree["/blow_up"].ds
    axes[1, 0].plot(course["delta"], course["diverges"], color=NEUTRAL, label="closed form")
    axes[1, 0].plot(course["delta"], course["soonest"], color=NEUTRAL, linestyle=":", label="soonest of all images")
    for one in trees:
        times = one["/blow_up"].ds
        axes[1, 0].plot(times["delta"], times["measured"] * times["diverges"] / times["expected"], "o", color="C0")
    axes[1, 0].plot([], [], "o", color="C0", label="measured")
    axes[1, 0].axhline(tree.attrs["presentation"], color="C1", linestyle="--", label="one presentation")
    axes[1, 0].set(xlabel=r"$\Delta$", ylabel=r"blow-up time / $\tau_L$", xscale="log", yscale="log")
    axes[1, 0].set_xticks(course["delta"].values, [f"{delta:g}" for delta in course["delta"].values])
    axes[1, 0].set_yticks([0.03, 0.1, 0.3, 1.0], ["0.03", "0.1", "0.3", "1"])
    axes[1, 0].minorticks_off()
    axes[1, 0].set_title("one image pushes a row away")
    axes[1, 0].legend()
    deltas = tree["/sweep"].ds["delta"].values
    labels = {"accuracy": "test accuracy (%)", "winner_share": "images that one unit wins (%)"}
    for ax, (what, label) in zip(axes[1, 1:], labels.items(), strict=True):
        for k, remedy in enumerate(REMEDIES):
            values = np.array([one["/sweep"].ds[what].sel(remedy=remedy).values for one in trees])
            curve(ax, np.arange(len(deltas)), values, colour=f"C{k}", label=remedy)
            gone = np.isnan(values).any(axis=0)
            ax.plot(
                np.flatnonzero(gone), np.full(gone.sum(), 0.03), "x", color=f"C{k}", transform=ax.get_xaxis_transform()
            )
        ax.set_xticks(np.arange(len(deltas)), [f"{delta:g}" for delta in deltas])
        ax.set(xlabel=r"$\Delta$", ylabel=label)
    axes[1, 1].set_title("competition at rest (x: runs away)")
    axes[1, 2].set_title("collapse")
    axes[1, 1].legend(
        title="remedy", fontsize="small", title_fontsize="small", loc="lower right", bbox_to_anchor=(1, 0.05)
    )
    panel_letters(axes)
    return figure


def accuracy(tree: xr.DataTree, rows: str) -> float:
    """Return the test accuracy with some rows."""
    return float(tree["/accuracy"].ds["test"].sel(rows=rows))


def reading(tree: xr.DataTree, what: str, name: str) -> float:
    """Return a measure of what a reading learned."""
    return float(tree["/readings"].ds[what].sel(reading=name))


def swept(tree: xr.DataTree, what: str, remedy: str) -> np.ndarray:
    """Return a measure of competition at rest with a remedy, one for each delta; NaN where weights ran away."""
    return np.asarray(tree["/sweep"].ds[what].sel(remedy=remedy).values)


def claim_above(one: str, other: str, by: float) -> Any:
    """Return a check that one set of rows reaches so many points more than another."""
    return lambda tree: at_least(accuracy(tree, one) - accuracy(tree, other), by)


def unexpected(tree: xr.DataTree) -> int:
    """Return for how many deltas weights ran away, or did not, against the closed form.

    They must where one presentation of the first image is enough, and must not where one of no image is.
    """
    times, presentation = tree["/blow_up"].ds, tree.attrs["presentation"]
    gone = np.isnan(swept(tree, "converged", "none")[np.isin(tree["/sweep"].ds["delta"], times["delta"])])
    if not all(np.isfinite(times[name]).all() for name in ("diverges", "soonest")):
        return len(gone)
    must, may = times["diverges"].values < presentation, times["soonest"].values < presentation
    return int((must & ~gone).sum() + (gone & ~may).sum())


STUDY = "a comparison that was not published"
FIGURE = Figure(
    name="fast_versus_slow",
    title="Fast and slow readings of competing hidden units",
    source="Krotov and Hopfield (2018), arXiv:1806.10181, sections 2 and 3; settings of Zanola (2021)",
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "winner-at-rest",
            "With the same weights, the winner at rest is the unit of first rank for every image.",
            lambda tree: at_least(tree["/winners"].ds["rest"].values.min(), 1.0),
            "derived: inhibition is the same for all units but their own",
        ),
        Claim(
            "winner-in-time",
            "In time, where an image begins at the end of the one before, it is so for nine in ten.",
            lambda tree: at_least(tree["/winners"].ds["in_time"].values.min(), 0.9),
            STUDY,
        ),
        Claim(
            "gates",
            "Of the units that learn at rest or in time, more than three in four learn with the same sign in both.",
            lambda tree: at_least(tree["/winners"].ds["same_gates"].values.min(), 0.75),
            STUDY,
        ),
        Claim(
            "blow-up",
            "Rows that are pushed away blow up when the closed form says, within 3 %, for every delta.",
            lambda tree: at_most(
                abs(tree["/blow_up"].ds["measured"] / tree["/blow_up"].ds["expected"] - 1).max(), 0.03
            ),
            zanola.CLOSED_FORM,
        ),
        Claim(
            "runs-away",
            "Weights run away where the first image blows up a row within a presentation, not where no image would.",
            lambda tree: at_most(unexpected(tree), 0),
            "Zanola (2021), slide 9: 0.4 was not stable",
        ),
        Claim(
            "held",
            "With a remedy they do not, for any delta.",
            lambda tree: at_least(min(swept(tree, "converged", name).min() for name in REMEDIES[1:]), 0.0),
            "Krotov and Hopfield (2019), public notebook, for the largest change",
        ),
        Claim(
            "on-the-sphere",
            "At the gentle setting, 95 % of the rows come to the sphere, at rest and in time.",
            lambda tree: at_least(
                min(reading(tree, "converged", f"{name}, gentle") for name in ("rest", "both in time")), 95.0
            ),
            "Krotov and Hopfield (2018), arXiv:1806.10181, section 2.1",
            ("full",),
        ),
        Claim(
            "rest-is-the-limit",
            "Its rows at rest and in time differ by less than 1.5 points.",
            lambda tree: at_most(abs(accuracy(tree, "rest, gentle") - accuracy(tree, "both in time, gentle")), 1.5),
            STUDY,
            ("full",),
        ),
        Claim(
            "ranks-are-better",
            "Rows learned by rank do better than rows learned by competition in time.",
            claim_above("ranks", "both in time, gentle", 0.0),
            STUDY,
            ("full",),
            beyond_spread=True,
        ),
        Claim(
            "images-do-as-well",
            "But by less than a point and a half better than the images themselves.",
            lambda tree: at_most(accuracy(tree, "ranks") - accuracy(tree, "training images"), 1.5),
            STUDY,
            ("full",),
        ),
        Claim(
            "a-threshold-that-stays-in-reach",
            "The gentle setting does two points better than the one that was published, in time.",
            claim_above("both in time, gentle", "both in time, as run", 2.0),
            STUDY,
            ("full",),
        ),
        Claim(
            "cap",
            "With a cap a delta of 0.4 costs no accuracy: a point at most.",
            lambda tree: at_least(np.diff(swept(tree, "accuracy", "cap")[[0, -1]])[0], -1.0),
            STUDY,
            ("full",),
        ),
        Claim(
            "the-largest-change-keeps-rows-off",
            "Image by image, steps of a given largest change leave three rows in four off the sphere.",
            lambda tree: at_most(swept(tree, "converged", "largest change").max(), 25.0),
            STUDY,
            ("full",),
        ),
        Claim(
            "collapse-on-the-sphere",
            "Rows that start on the sphere are safe, but one unit wins a fifth of all images or more.",
            lambda tree: at_least(swept(tree, "winner_share", "start on the sphere").min(), 20.0),
            "users of the released code: small initial weights collapse",
            ("full",),
        ),
    ),
    needs=("mnist",),
)
