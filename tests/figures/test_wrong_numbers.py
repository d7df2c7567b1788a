"""Directional claims against trees that show the opposite."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurocircuits import reproduce

FIGURES = reproduce.figures()
INHIBITION = ["0", "1", "4", "16", "all-to-all"]
GOOD = {
    "mean_cosine": [1.0, 0.09, 0.09, 0.1, 0.08],
    "largest_cosine": [1.0, 0.97, 0.6, 0.3, 0.2],
    "percentile_95": [1.0, 0.5, 0.3, 0.2, 0.15],
    "n_duplicates": [120.0, 5.0, 2.0, 0.0, 0.0],
}


def decorrelated(**changes: list[float]) -> xr.DataTree:
    """Return a tree of measures; the full setting's 64 I cells do as well as 16."""
    values = {k: ("inhibition", [*column[:4], column[3], column[4]]) for k, column in {**GOOD, **changes}.items()}
    names = [*INHIBITION[:4], "64", INHIBITION[4]]
    tree = xr.DataTree.from_dict({"/measures": xr.Dataset(values, coords={"inhibition": names})})
    tree.attrs["data"] = "digits"
    return tree


def holds(figure: str, tree: xr.DataTree) -> dict[str, bool]:
    return {claim.name: reproduce.judge(claim, [tree])["holds"] for claim in FIGURES[figure].claims}


def test_decorrelation_accepts_what_is_right() -> None:
    assert all(holds("seung2018_decorrelation", decorrelated()).values())


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        # one I cell does as well as sixteen: the control does not fail as it must
        ({"largest_cosine": [1.0, 0.3, 0.3, 0.3, 0.2], "percentile_95": [1.0, 0.2, 0.2, 0.2, 0.1]}, "one-cell-fails"),
        ({"largest_cosine": [1.0, 0.97, 0.98, 0.3, 0.2]}, "largest-falls"),
        ({"n_duplicates": [0.0, 5.0, 2.0, 9.0, 0.0]}, "duplicates-fall"),
        ({"n_duplicates": [120.0, 5.0, 2.0, 9.0, 0.0]}, "sixteen-suffice"),
        ({"mean_cosine": [0.5, 0.09, 0.09, 0.1, 0.08]}, "all-alike-without"),
        ({"mean_cosine": [1.0, 0.2, 0.09, 0.1, 0.08]}, "mean-proves-nothing"),
        ({"percentile_95": [1.0, 0.6, 0.4, 0.2, 0.3]}, "all-to-all-keeps-cells-apart"),
    ],
)
def test_decorrelation_rejects(changes: dict[str, list[float]], failing: str) -> None:
    assert not holds("seung2018_decorrelation", decorrelated(**changes))[failing]


def scaling(substeps: float, tau: float, one_step: float = 0.2) -> xr.DataTree:
    """Differences that fall with given exponents in sub-steps and, at the floor, in tau."""
    figure = __import__("neurocircuits.figures.rate_versus_time", fromlist=["TAUS"])
    floor = 1e-3 * (np.array(figure.TAUS) / figure.TAUS[0]) ** tau
    error = np.maximum(one_step * np.array(figure.SUBSTEPS, float) ** substeps, floor[:, None])
    dims = {
        "start": list(figure.STARTS),
        "tau": list(figure.TAUS),
        "substeps": list(figure.SUBSTEPS),
        "pathway": list(figure.PATHWAYS),
    }
    whole = np.broadcast_to(error[None, :, :, None], [len(values) for values in dims.values()])
    return xr.DataTree.from_dict({"/measures": xr.Dataset({"error": (tuple(dims), whole)}, coords=dims)})


def test_scaling_accepts_what_is_right() -> None:
    assert all(holds("rate_versus_time", scaling(-1.0, 1.0)).values())


@pytest.mark.parametrize(
    ("tree", "failing"),
    [
        (scaling(-0.5, 1.0), "substeps"),  # sub-steps that do not settle anew
        (scaling(-2.0, 1.0), "substeps"),
        (scaling(-1.0, 0.0), "floor"),  # a floor that tau does not lower: the engines differ in something else
        (scaling(-1.0, 1.0, one_step=0.03), "one-step-is-off"),
    ],
)
def test_scaling_rejects(tree: xr.DataTree, failing: str) -> None:
    found = holds("rate_versus_time", tree)
    assert not found[f"{failing}-random"] and not found[f"{failing}-learned"]
