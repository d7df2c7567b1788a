"""E-I Net: whom inhibitory cells inhibit, when, and what their rate and weight are good for."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits import analysis
from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _spiking_features as shared
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, INHIBITORY_MAP, NEUTRAL, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_e": 64, "n_i": 12, "size": 8, "learn": 12_000, "probe": 1000},
    False: {"n_e": 400, "n_i": 49, "size": 10, "learn": 100_000, "probe": 10_000},
}
RATES, MULTIPLIERS = (1, 2, 4), (1, 2, 4)  # of the publication's 8 and 6
SHOWN = (2, 1)  # its own network: I cells aim at twice the rate of E cells
TARGET = 0.02  # spikes of an E cell in a time unit, five of which are a sample
# Figure 7 of the publication, from the result files of its program: rows are RATES, columns MULTIPLIERS
PUBLISHED = np.array([[0.129, 0.123, 0.118], [0.118, 0.114, 0.113], [0.112, 0.111, 0.115]])
STRONGEST, WEAKEST = 0.2, 0.5  # shares of the targets of an I cell
LAGS = np.arange(-15, 16)  # iterations of 1 ms
BEFORE, AFTER = (LAGS >= -5) & (LAGS < 0), (LAGS > 0) & (LAGS <= 5)
N_FOLLOWED, N_BINS = 2000, 20
ALIKE, UNLIKE = np.pi / 6, np.pi / 3  # of preferred orientations
SOURCE = "King, Zylberberg and DeWeese (2013), doi:10.1523/JNEUROSCI.4188-12.2013"


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn at several target rates of I cells and weights from I to E, and look into the publication's network."""
    setting, chosen = SETTINGS[quick], engine or shared.E_I_NET
    shown = {what: shared.patches(quick, setting[what], setting["size"], seed, what) for what in ("learn", "probe")}
    grid = np.empty((len(RATES), len(MULTIPLIERS)), dtype=object)
    groups: dict[str, xr.Dataset] = {}
    for i, rate in enumerate(RATES):
        for k, multiplier in enumerate(MULTIPLIERS):
            followed = N_FOLLOWED if (rate, multiplier) == SHOWN else 0
            own: dict[str, Any] = {"targets": (TARGET, rate * TARGET), "inhibition": float(multiplier)}
            found = shared.e_i_net(setting["n_e"], setting["n_i"], shown, chosen, seed, followed=followed, **own)
            fields = shared.e_i_fields(found["weights"], "E")
            grid[i, k] = shared.measures(found["counts"]["E"], shown["probe"], fields, 5 * TARGET)
            if followed:
                groups |= {"/structure": structure(found["weights"], setting["size"])}
                groups |= activity(found["weights"], found["spikes"], shown["probe"])
    dims = ("rate", "multiplier")
    columns = {name: (dims, np.vectorize(lambda row, name=name: row[name])(grid)) for name in grid[0, 0]}
    columns = {f"{name}_E" if name == "rate" else name: column for name, column in columns.items()}
    groups["/grid"] = xr.Dataset(columns, {"rate": list(RATES), "multiplier": list(MULTIPLIERS)})
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"engine": to_json(chosen), "n_excitatory": setting["n_e"]}
    return tree


def structure(weights: dict[str, np.ndarray], size: int) -> xr.Dataset:
    """Return weights from I to E in the order of preferred orientations, and what they have to do with fields."""
    fields = {name: shared.e_i_fields(weights, name) for name in ("E", "I")}
    angles = {name: analysis.preferred_orientation(w.reshape(-1, size, size)) for name, w in fields.items()}
    order = {name: np.argsort(angle) for name, angle in angles.items()}
    similarity = analysis.cosine_matrix(fields["E"].T)
    indirect = weights["I_to_E"] @ weights["E_to_I"]
    pairs = ~np.eye(len(similarity), dtype=bool)
    apart = np.abs(angles["E"][order["E"], None] - angles["I"][order["I"]])
    return xr.Dataset(
        {
            "w": (("E", "I"), weights["I_to_E"][order["E"]][:, order["I"]]),
            "apart": (("E", "I"), np.minimum(apart, np.pi - apart), {"description": "of preferred orientations, rad"}),
            "angle_E": ("E", angles["E"][order["E"]]),
            "angle_I": ("I", angles["I"][order["I"]]),
            "similarity": np.corrcoef(similarity[pairs], indirect[pairs])[0, 1],
        }
    )


def activity(
    weights: dict[str, np.ndarray], spikes: dict[str, np.ndarray], images: np.ndarray
) -> dict[str, xr.Dataset]:
    """Return how E cells fire and are inhibited for what they see, and what goes on around spikes.

    ``spikes`` are (presentation, iteration, unit). What an E cell receives are the I spikes of the iteration before.
    """
    n, n_steps, _ = spikes["E"].shape
    inhibition = np.zeros(spikes["E"].shape, np.float32)
    inhibition[:, 1:] = spikes["I"][:, :-1].astype(np.float32) @ weights["I_to_E"].T.astype(np.float32)
    drive = 0.1 * n_steps * images[:n] @ weights["X_to_E"].T
    count, total = spikes["E"].sum(axis=1), inhibition.sum(axis=1)
    strength = weights["I_to_E"].argsort(axis=0, kind="stable").argsort(axis=0) / (len(weights["I_to_E"]) - 1)
    targets = {"strong": strength >= 1 - STRONGEST, "weak": strength <= WEAKEST}
    rates = {k: spikes["E"].astype(np.float32) @ (v / v.sum(axis=0)).astype(np.float32) for k, v in targets.items()}
    curves = {name: around(spikes["I"], rate) for name, rate in rates.items()}
    curves["inhibition"] = around(spikes["E"], inhibition)
    binned = {
        f"/by_{name}": xr.Dataset(
            {k: ("bin", in_bins(v, by)) for k, v in (("drive", drive), ("rate", count), ("inhibition", total))}
        )
        for name, by in (("drive", drive), ("inhibition", total))
    }
    return {
        **binned,
        "/triggered": xr.Dataset(
            {
                **{name: ("lag", curve) for name, curve in curves.items()},
                "mean_inhibition": inhibition.mean(),
                **{f"mean_{name}": rate.mean() for name, rate in rates.items()},
                "correlation": np.corrcoef(drive.ravel(), total.ravel())[0, 1],
            },
            {"lag": LAGS},
        ),
    }


def in_bins(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return the means of values in bins of equal numbers, in the order of another array."""
    parts = np.array_split(by.ravel().argsort(), N_BINS)
    return np.array([values.ravel()[part].mean() for part in parts])


def around(spikes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of values, (presentation, iteration, unit), at `LAGS` around the spikes of the same units."""
    presentation, step, unit = np.nonzero(spikes)
    means = []
    for lag in LAGS:
        inside = (step + lag >= 0) & (step + lag < spikes.shape[1])
        means.append(values[presentation[inside], step[inside] + lag, unit[inside]].mean())
    return np.array(means)


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw the sorted weights, activity and averages around spikes of the first seed, and the grid of all."""
    figure, axes = panels(2, 4, size=(13.0, 5.6))
    _draw_weights(axes[0, 0], trees[0]["/structure"].ds)
    _draw_apart(axes[0, 1], trees)
    for ax, name, label in (
        (axes[0, 2], "drive", "net image input of a sample"),
        (axes[0, 3], "inhibition", "total inhibition of a sample"),
    ):
        data = trees[0][f"/by_{name}"].ds
        ax.plot(data[name], data["rate"], "o-", color=EXCITATORY, markersize=3)
        ax.set(xlabel=label, ylabel="E spikes in a sample", ylim=(0, None))
        ax.yaxis.label.set_color(EXCITATORY)
        if name == "drive":
            twin = ax.twinx()
            twin.plot(data[name], data["inhibition"], "o-", color=INHIBITORY, markersize=3)
            twin.set(ylabel="inhibition", ylim=(0, None))
            twin.yaxis.label.set_color(INHIBITORY)
    axes[0, 2].set_title("inhibited for what excites")
    data = trees[0]["/triggered"].ds
    axes[1, 0].plot(LAGS, data["inhibition"], color=INHIBITORY)
    axes[1, 0].axhline(float(data["mean_inhibition"]), color=FAINT)
    axes[1, 0].set(xlabel="ms from a spike of the E cell", ylabel="inhibition", ylim=(0, None))
    for name, share, colour in (("strong", STRONGEST, EXCITATORY), ("weak", WEAKEST, NEUTRAL)):
        axes[1, 1].plot(LAGS, 1000 * data[name], color=colour, label=f"{name}est {share:.0%}")
        axes[1, 1].axhline(1000 * float(data[f"mean_{name}"]), color=colour, linewidth=0.6, linestyle=":")
    axes[1, 1].set(xlabel="ms from a spike of the I cell", ylabel="rate of its targets (Hz)", ylim=(0, None))
    axes[1, 1].legend(loc="upper right", fontsize="x-small")
    for ax, name, label in (
        (axes[1, 2], "correlation", "correlation in hundreds of samples"),
        (axes[1, 3], "error", "error of reconstruction"),
    ):
        _draw_grid(ax, trees, name)
        ax.set(xlabel="factor of weights from I to E", ylabel=label, xticks=MULTIPLIERS)
    axes[1, 2].legend(fontsize="x-small")
    panel_letters(axes)
    return figure


def _draw_weights(ax: Any, data: xr.Dataset) -> None:
    w = data["w"].values
    ax.imshow(w, cmap=INHIBITORY_MAP, vmin=0, vmax=np.quantile(w, 0.99), aspect="auto", interpolation="none")
    for name, axis in (("E", ax.yaxis), ("I", ax.xaxis)):
        angles = np.array([0, 45, 90, 135])
        axis.set_ticks(np.searchsorted(data[f"angle_{name}"], np.radians(angles)), [f"{a}" for a in angles])
    ax.set(xlabel="preferred orientation of I cell (degrees)", ylabel="of E cell")
    ax.set_title("weights from I to E")


def _draw_apart(ax: Any, trees: list[xr.DataTree]) -> None:
    edges = np.linspace(0, np.pi / 2, 10)
    middle = np.degrees(edges[:-1] + edges[1:]) / 2
    for tree in trees:
        data = tree["/structure"].ds
        place = np.digitize(data["apart"].values.ravel(), edges[1:-1])
        means = np.bincount(place, data["w"].values.ravel(), len(middle)) / np.bincount(place, minlength=len(middle))
        ax.plot(middle, means, "o-", color=INHIBITORY, markersize=3)
    ax.set(xlabel="difference of orientations (degrees)", ylabel="mean weight from I to E", ylim=(0, None))


def _draw_grid(ax: Any, trees: list[xr.DataTree], name: str) -> None:
    full = trees[0].attrs["n_excitatory"] == SETTINGS[False]["n_e"]
    for i, rate in enumerate(RATES):
        for tree in trees:
            label = f"I rate x {rate}" if tree is trees[0] else None
            ax.plot(MULTIPLIERS, tree["/grid"].ds[name].values[i], "o-", color=f"C{i}", markersize=3, label=label)
        if full and name == "correlation":
            ax.plot(MULTIPLIERS, PUBLISHED[i], "s", color=f"C{i}", mfc="none", label=None if i else "published")


def ratio_alike(tree: xr.DataTree) -> float:
    """Return the mean weight between cells of like orientation, relative to that between cells of unlike ones."""
    data = tree["/structure"].ds
    w, apart = data["w"].values, data["apart"].values
    return float(w[apart < ALIKE].mean() / w[apart > UNLIKE].mean())


def around_spikes(tree: xr.DataTree, name: str) -> tuple[float, float, float]:
    """Return a curve before and after spikes, and its mean over all iterations."""
    data = tree["/triggered"].ds
    return float(data[name][BEFORE].mean()), float(data[name][AFTER].mean()), float(data[f"mean_{name}"])


def ratio_after(tree: xr.DataTree) -> float:
    """Return inhibition after a spike of the E cell relative to that before."""
    before, after, _ = around_spikes(tree, "inhibition")
    return after / before


def ratio_first(tree: xr.DataTree) -> float:
    """Return how much more strong targets fire before an I spike than weak ones, each relative to its mean rate."""
    strong, weak = (around_spikes(tree, name) for name in ("strong", "weak"))
    return (strong[0] / strong[2]) / (weak[0] / weak[2])


def ratio_suppressed(tree: xr.DataTree) -> float:
    """Return the rate of strong targets after an I spike relative to that before."""
    before, after, _ = around_spikes(tree, "strong")
    return after / before


def at(tree: xr.DataTree, rate: int, multiplier: int, name: str = "correlation") -> float:
    """Return a measure of the grid."""
    return float(tree["/grid"].ds[name].sel(rate=rate, multiplier=multiplier))


FIGURE = Figure(
    name="king2013_structure",
    title="E-I Net: who is inhibited by whom, when, and at which rate and weight best",
    source=SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "alike",
            "I cells inhibit E cells of like preferred orientation more than of unlike, by a tenth at least.",
            lambda tree: at_least(ratio_alike(tree), 1.1),
            source=SOURCE + ", figure 5; the number is a default",
            when=("full",),
        ),
        Claim(
            "similar",
            "Inhibition of one E cell by another through I cells goes with the likeness of their fields: r >= 0.2.",
            lambda tree: at_least(float(tree["/structure"].ds["similarity"]), 0.2),
            source=SOURCE + ": 0.39 in its stored network",
        ),
        Claim(
            "together",
            "The more an image excites an E cell, the more it is inhibited: r >= 0.1 over cells and samples.",
            lambda tree: at_least(float(tree["/triggered"].ds["correlation"]), 0.1),
            source=SOURCE + ", its claim that E and I input are correlated (figure 6A); the number is a default",
        ),
        Claim(
            "excess",
            "In the 5 ms after its spike an E cell is inhibited more than on average, by a tenth at least.",
            lambda tree: at_least(around_spikes(tree, "inhibition")[1] / around_spikes(tree, "inhibition")[2], 1.1),
            source=SOURCE + ", figure 6B; the number is a default",
        ),
        Claim(
            "after",
            "And more than in the 5 ms before.",
            lambda tree: at_least(ratio_after(tree), 1.0),
            source=SOURCE + ", figure 6B: I cells answer to the spike",
        ),
        Claim(
            "strong-first",
            "Before a spike of an I cell its strongest targets fire, relative to their mean, 1.5 times as much as its "
            "weakest.",
            lambda tree: at_least(ratio_first(tree), 1.5),
            source=SOURCE + ", figure 6D; the number is a default",
        ),
        Claim(
            "suppressed",
            "After it they fire less than before, by a tenth at least.",
            lambda tree: at_most(ratio_suppressed(tree), 0.9),
            source=SOURCE + ", figure 6D; the number is a default",
        ),
        Claim(
            "published",
            "Correlations of E cells are within a tenth of the nine published ones.",
            lambda tree: near(float(np.abs(tree["/grid"].ds["correlation"].values / PUBLISHED - 1).max()), 0.0, 0.1),
            source=SOURCE + ", figure 7, from its result files",
            when=("full",),
        ),
        Claim(
            "fast",
            "I cells that fire four times as much as E cells decorrelate better than those that fire as much.",
            lambda tree: at_least(at(tree, 1, 1) - at(tree, 4, 1), 0.0),
            source=SOURCE + ", figure 7: 0.129 and 0.112",
        ),
        Claim(
            "moderate",
            "At that rate a factor of 2 of their weights decorrelates better than one of 4.",
            lambda tree: at_least(at(tree, 4, 4) - at(tree, 4, 2), 0.0),
            source=SOURCE + ", figure 7: 0.111 and 0.115",
            when=("full",),
        ),
        Claim(
            "best",
            "Of the nine the error of reconstruction is least at that rate and a factor of 2.",
            lambda tree: at_most(at(tree, 4, 2, "error") - float(tree["/grid"].ds["error"].min()), 0.0),
            source=SOURCE + ", figure 7: 0.729",
            when=("full",),
        ),
    ),
    needs=("natural_images",),
)
