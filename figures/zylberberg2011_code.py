"""SAILnet: spiking cells that inhibit each other directly learn oriented fields and a decorrelated, sparse code.

The rule of lateral weights is at rest where w = 0 and the mean product of two counts is below p^2, or w > 0 and it is
p^2. Learning goes on at a rate of one, so weights that should be 0 are pushed off it all the time, and the mean over
all pairs with w > 0 ("pairs_all") stays below p^2; what holds at rest is that the excess over p^2 is 0 in the mean
weighted by w ("pairs").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neurocircuits.declare.serialise import to_json
from neurocircuits.figures import _spiking_features as shared
from neurocircuits.models import zylberberg2011
from neurocircuits.plotting import EXCITATORY, FAINT, NEUTRAL, mosaic, panel_letters, panels
from neurocircuits.reproduce import Claim, Figure, at_least, at_most, near

SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"cells": 64, "size": 8, "patches": 6000, "n": 30_000, "probe": 4000, "rates": {"alpha": 2.0, "beta": 0.05}},
    False: {"cells": 256, "size": 16, "patches": 200_000, "n": 2_500_000, "probe": 30_000, "rates": {}},
}
P, MARGIN, N_SHOWN = 0.05, 20, 64
ENGINE = shared.hundred(zylberberg2011.LEARNING_STEP)
SOURCE = "Zylberberg, Murphy and DeWeese (2011), doi:10.1371/journal.pcbi.1002250"


def compute(quick: bool, engine: Any, seed: int) -> xr.DataTree:
    """Learn from patches and, as a control, from patches whose pixels are shuffled each in its own way."""
    setting, chosen = SETTINGS[quick], engine or ENGINE
    size = setting["size"]
    sizes = {"learn": setting["patches"], "probe": setting["probe"]}
    shown = {
        what: shared.patches(quick, n, size, seed, what, margin=0 if quick else MARGIN) for what, n in sizes.items()
    }
    generator = np.random.default_rng([seed, 2])
    shuffled = {what: generator.permuted(values, axis=1) for what, values in shown.items()}
    groups = {}
    for kind, images in (("patches", shown), ("shuffled", shuffled)):
        circuit = zylberberg2011.circuit(setting["cells"], size**2, p=P, rng=seed, **setting["rates"])
        n = setting["n"] if kind == "patches" else setting["n"] // 5
        found = shared.learned(
            circuit, images, "r", chosen, seed, n=n, restart=True, timetable=zylberberg2011.TIMETABLE
        )
        counts, w = found["counts"]["E"], found["weights"]["E_to_E"]
        fields = found["weights"]["X_to_E"]
        pairs = counts.T @ counts / len(counts)
        off = np.triu_indices(len(w), 1)
        correlations = np.corrcoef(counts.T)[off]
        measured = shared.measures(counts, images["probe"], fields, P)
        groups[f"/{kind}"] = xr.Dataset(
            {
                **measured,
                "pairs": np.average(pairs[off], weights=w[off]) / P**2,
                "pairs_all": pairs[off][w[off] > 0].mean() / P**2,
                "norm": np.linalg.norm(fields, axis=1).mean(),
                "w": (("unit", "row", "column"), fields[:N_SHOWN].reshape(-1, size, size)),
                "correlations": ("pair", np.nan_to_num(correlations)[::3]),
                "theta": ("cell", found["theta"]["E"]),
            },
            coords={"row": range(size), "column": range(size)},
        )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"engine": to_json(chosen)}
    return tree


def draw(trees: list[xr.DataTree]) -> Any:
    """Draw fields, those of shuffled patches, and how little counts of two cells go together."""
    tree = trees[0]
    figure, axes = panels(1, 4, size=(12.0, 3.1))
    for axis, kind, title in zip(axes, ("patches", "shuffled"), ("fields", "fields of shuffled pixels"), strict=False):
        fields = tree[f"/{kind}"].ds["w"].values
        mosaic(axis, fields.reshape(len(fields), -1), fields.shape[1:])
        axis.set_title(title)
    data = tree["/patches"].ds
    axes[2].hist(data["correlations"], 80, np.quantile(data["correlations"], [0.0, 0.999]), color=EXCITATORY)
    axes[2].axvline(0, color=FAINT, linewidth=0.8)
    axes[2].set(xlabel="correlation of counts", ylabel="pairs")
    axes[2].set_title(f"rate {float(data['rate']) * P:.3f} per image")
    axes[3].hist(data["theta"], 20, color=NEUTRAL)
    axes[3].set(xlabel="threshold", ylabel="cells")
    axes[3].set_title("thresholds")
    panel_letters(axes)
    return figure


def value(name: str, kind: str = "patches") -> Any:
    """Return a function of a tree that reads a number."""
    return lambda tree: float(tree[f"/{kind}"].ds[name])


FIGURE = Figure(
    name="zylberberg2011_code",
    title="SAILnet: local rules make spiking cells that inhibit each other a sparse code",
    source=SOURCE,
    compute=compute,
    draw=draw,
    claims=(
        Claim(
            "rate",
            "The mean count is the target of 0.05 spikes for an image, within 5 %.",
            lambda tree: near(value("rate")(tree), 1.0, 0.05),
            source=SOURCE + ", its target",
            when=("full",),
        ),
        Claim(
            "rate-near",
            "The mean count is within a fifth of its target.",
            lambda tree: near(value("rate")(tree), 1.0, 0.2),
            source="a default, at the quick setting",
            when=("quick",),
        ),
        Claim(
            "pairs",
            "Where cells inhibit each other, their product is the square of the target, within 5 %, weighted by w.",
            lambda tree: near(value("pairs")(tree), 1.0, 0.05),
            source=SOURCE + ", the fixed point of its rule",
            when=("full",),
        ),
        Claim(
            "decorrelated",
            "Counts of two cells hardly correlate: 0.1 at most, root mean square.",
            lambda tree: at_most(value("correlation_all")(tree), 0.1),
            source=SOURCE + ", figure 5",
        ),
        Claim(
            "finite",
            "Rows of weights stay near unit length.",
            lambda tree: near(value("norm")(tree), 1.0, 0.3),
            source=SOURCE + ", Oja's rule",
        ),
        Claim(
            "oriented",
            "More than half of the fields are oriented, with an index above 0.5.",
            lambda tree: at_least(value("oriented")(tree), 0.5),
            source=SOURCE + ", its title; 69 % in the network that King et al. (2013) stored",
            when=("full",),
        ),
        Claim(
            "shuffled",
            "Fields of shuffled pixels are not oriented: 5 % of them at most.",
            lambda tree: at_most(value("oriented", "shuffled")(tree), 0.05),
            source="a control",
        ),
    ),
    needs=("natural_images",),
)
