"""E-I Net: how many inhibitory cells decorrelate four hundred excitatory ones, and what fields these learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _spiking_features as shared
from neurocircuits.plotting import EXCITATORY, FAINT, INHIBITORY, NEUTRAL, mosaic, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"n_e": 64, "n_i": (2, 12), "shown": 12, "size": 8, "learn": 12_000, "probe": 1000},
    False: {"n_e": 400, "n_i": (5, 20, 50, 100), "shown": 50, "size": 10, "learn": 100_000, "probe": 10_000},
}
# Figure 4 of the publication, from the result files of its program, at 400 E cells
PUBLISHED = {5: 0.162, 10: 0.146, 20: 0.129, 30: 0.123, 50: 0.118, 75: 0.115, 100: 0.114}
PUBLISHED_ERROR = {5: 0.935, 10: 0.910, 20: 0.869, 30: 0.843, 50: 0.807, 75: 0.778, 100: 0.772}
TARGETS = {"E": 0.1, "I": 0.2}  # spikes for a sample of five time units
SOURCE = "King, Zylberberg and DeWeese (2013), doi:10.1523/JNEUROSCI.4188-12.2013"
N_SHOWN = 36


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn with several numbers of I cells, and with I cells that are never heard."""
    setting, chosen = SETTINGS[quick], engine or shared.E_I_NET
    size = setting["size"]
    shown = {what: shared.patches(quick, setting[what], size, seed, what) for what in ("learn", "probe")}
    found = {
        n_i: shared.e_i_net(setting["n_e"], n_i, shown, chosen, seed)
        for n_i in setting["n_i"]
    }  # fmt: skip
    alone = shared.e_i_net(setting["n_e"], setting["n_i"][-1], shown, chosen, seed, inhibition=0.0)
    groups = {}
    for name in ("E", "I"):
        rows = [measured(each, shown["probe"], name) for each in found.values()]
        groups[f"/{name}"] = shared.by_setting(rows, "n_i", found)
    groups["/alone"] = xr.Dataset(measured(alone, shown["probe"], "E"))
    last = found[setting["shown"]]
    w = last["weights"]
    transposes = np.corrcoef(w["E_to_I"].T.ravel(), w["I_to_E"].ravel())[0, 1]
    sides = {"row": range(size), "column": range(size)}
    for name, fields in (("fields_E", shared.e_i_fields(w, "E")), ("fields_I", shared.e_i_fields(w, "I"))):
        groups[f"/{name}"] = xr.Dataset(
            {"w": (("unit", "row", "column"), fields[:N_SHOWN].reshape(-1, size, size))}, coords=sides
        )
    groups["/pairs"] = xr.Dataset(
        {
            "e_to_i": ("pair", w["E_to_I"].T.ravel()[::7]),
            "i_to_e": ("pair", w["I_to_E"].ravel()[::7]),
            "transposes": transposes,
        }
    )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"engine": to_json(chosen), "n_excitatory": setting["n_e"]}
    return tree


def measured(found: dict[str, Any], images: np.ndarray, name: str) -> dict[str, float]:
    """Return the measures of a population."""
    fields = shared.e_i_fields(found["weights"], name)
    return shared.measures(found["counts"][name], images, fields, TARGETS[name])


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw correlations and errors against the number of I cells, fields, and weights there and back."""
    tree = trees[0]
    figure, axes = panels(1, 5, size=(14.6, 3.0))
    for k, each in enumerate(trees):
        for name, colour in (("E", EXCITATORY), ("I", INHIBITORY)):
            data = each[f"/{name}"].ds
            axes[0].plot(
                data["n_i"],
                data["correlation"],
                "o-",
                color=colour,
                markersize=4,
                label=f"{name} cells" if not k else None,
            )
            if name == "E":
                axes[1].plot(data["n_i"], data["error"], "o-", color=colour, markersize=4)
    full = tree.attrs["n_excitatory"] == SETTINGS[False]["n_e"]
    if full:
        axes[0].plot(
            list(PUBLISHED),
            list(PUBLISHED.values()),
            "s",
            color=NEUTRAL,
            markersize=4,
            mfc="none",
            label="E, published",
        )
        axes[1].plot(
            list(PUBLISHED_ERROR), list(PUBLISHED_ERROR.values()), "s", color=NEUTRAL, markersize=4, mfc="none"
        )
    axes[0].axhline(1 / np.sqrt(shared.HUNDRED - 1), color=FAINT, linewidth=0.8, label="independent cells")
    axes[0].axhline(
        float(tree["/alone"].ds["correlation"]),
        color=EXCITATORY,
        linewidth=0.8,
        linestyle=":",
        label="E, not inhibited",
    )
    axes[0].set(xlabel="I cells", ylabel="correlation in hundreds of samples", ylim=(0, None))
    axes[0].legend(fontsize="x-small")
    axes[0].set_title("few I cells decorrelate")
    axes[1].set(xlabel="I cells", ylabel="error of reconstruction", ylim=(0, 1.5))
    axes[1].set_title("and the code stands for more")
    for axis, name in zip(axes[2:4], ("E", "I"), strict=True):
        fields = tree[f"/fields_{name}"].ds["w"].values
        mosaic(axis, fields.reshape(len(fields), -1), fields.shape[1:])
        axis.set_title(f"fields of {name} cells")
    pairs = tree["/pairs"].ds
    axes[4].plot(pairs["e_to_i"], pairs["i_to_e"], ".", color=NEUTRAL, markersize=2)
    axes[4].set(xlabel="weight from E to I", ylabel="weight from I to E")
    axes[4].set_title(f"there and back, r = {float(pairs['transposes']):.3f}")
    panel_letters(axes)
    return figure


def few(tree: xr.DataTree) -> float:
    """Return which part of the fall in correlation, from the fewest to the most I cells, the last but one have."""
    found = tree["/E"].ds["correlation"].values
    return float((found[0] - found[-2]) / (found[0] - found[-1]))


def deviation(tree: xr.DataTree) -> float:
    """Return the largest relative distance of E correlations from the published ones."""
    data = tree["/E"].ds["correlation"]
    published = np.array([PUBLISHED[int(n)] for n in data["n_i"].values])
    return float(np.abs(data.values / published - 1).max())


FIGURE = Figure(
    name="king2013_inhibition",
    title="E-I Net: a few inhibitory cells decorrelate spiking cells that learn sparse codes",
    source=SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "rates-E",
            "E cells fire at their target, within 5 %.",
            lambda tree: near(float(np.abs(tree["/E"].ds["rate"] - 1).max()), 0.0, 0.05),
            source=SOURCE + ", target rates of its program",
            when=("full",),
        ),
        Claim(
            "rates-near",
            "Their mean rate is within a fifth of the target.",
            lambda tree: near(float(np.abs(tree["/E"].ds["rate"] - 1).max()), 0.0, 0.2),
            source="a default, at the quick setting",
            when=("quick",),
        ),
        Claim(
            "published",
            "Correlations of E cells are within a tenth of .162, .129, .118 and .114 at 5, 20, 50 and 100 I cells.",
            lambda tree: at_most(deviation(tree), 0.1),
            source=SOURCE + ", figure 4, from its result files",
            when=("full",),
        ),
        Claim(
            "few-suffice",
            "From 5 to 50 I cells correlations fall by 0.8 at least of the way to those with 100.",
            lambda tree: at_least(few(tree), 0.8),
            source=SOURCE + ", figure 4: 0.93",
            when=("full",),
        ),
        Claim(
            "decorrelated",
            "More I cells leave less correlation between E cells.",
            lambda tree: at_least(
                float(tree["/E"].ds["correlation_all"][0] / tree["/E"].ds["correlation_all"][-1]), 1.05
            ),
            source=SOURCE + ", figure 4",
        ),
        Claim(
            "not-heard",
            "E cells that are not inhibited are more correlated, by a tenth at least.",
            lambda tree: at_least(
                float(tree["/alone"].ds["correlation_all"] / tree["/E"].ds["correlation_all"][-1]), 1.1
            ),
            source=SOURCE + ", its claim that I cells decorrelate",
        ),
        Claim(
            "error",
            "Images are reconstructed better with more I cells.",
            lambda tree: at_least(float(tree["/E"].ds["error"][0] - tree["/E"].ds["error"][-1]), 0.0),
            source=SOURCE + ", figure 4",
            when=("full",),
        ),
        Claim(
            "transposes",
            "Weights there and back become transposes of each other: their correlation is 0.9 or more.",
            lambda tree: at_least(float(tree["/pairs"].ds["transposes"]), 0.9),
            source=SOURCE + ", its stored network: 0.99999997",
        ),
        Claim(
            "oriented",
            "More than half of the fields of E cells are oriented, with an index above 0.5.",
            lambda tree: at_least(float(tree["/E"].ds["oriented"][-2]), 0.5),
            source=SOURCE + ", figure 3: 69 % in its stored network",
            when=("full",),
        ),
    ),
    needs=("natural_images",),
)
