"""The schema accepts legal trees and names what is wrong with each kind of illegal one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neurocircuits.errors import ValidationError
from neurocircuits.results import schema
from neurocircuits.results.schema import validate
from tests.analysis.conftest import ROOT, make_tree

Change = Callable[[xr.DataTree], None]


def edit(path: str, change: Callable[[xr.Dataset], xr.Dataset]) -> Change:
    def apply(tree: xr.DataTree) -> None:
        tree[path].dataset = change(tree[path].to_dataset(inherit=False))

    return apply


def put(path: str, variable: str, values: object) -> Change:
    return edit(path, lambda data: data.assign({variable: (data[variable].dims, values(data[variable].values))}))


def put_coord(path: str, variable: str, values: object) -> Change:
    return edit(path, lambda data: data.assign_coords({variable: (data[variable].dims, values(data[variable].values))}))


def attr(path: str, name: str, value: object) -> Change:
    def apply(tree: xr.DataTree) -> None:
        attrs = dict(tree[path].attrs)
        attrs.pop(name, None)
        tree[path].attrs = attrs if value is None else attrs | {name: value}

    return apply


def one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Change the last value of an array."""

    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[(-1,) * values.ndim] = value
        return values

    return change


def first_twice(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[:1], values[:1], values[2:]])


def extra_group(tree: xr.DataTree) -> None:
    tree["/population/E"] = xr.DataTree(xr.Dataset())


BAD: dict[str, tuple[Change, tuple[str, ...]]] = {
    **{f"no {name}": (attr("/", name, None), ("'/'", f"'{name}' is missing")) for name in ROOT},
    "schema of the future": (attr("/", "schema_version", 2), ("'schema_version' is 2", "reads 1")),
    "seed as text": (attr("/", "seed", "0"), ("'seed' is '0' (str)", "an int")),
    "complete is a bool": (attr("/", "complete", True), ("'complete' is True (bool)",)),
    "complete 2": (attr("/", "complete", 2), ("Allowed: 0, 1",)),
    "circuit not JSON": (attr("/", "circuit", "Circuit()"), ("'circuit' is not JSON",)),
    "negative wall time": (attr("/", "wall_time", -1.0), ("'wall_time' is -1.0", ">= 0")),
    "NaN wall time": (attr("/", "wall_time", float("nan")), ("'wall_time'",)),
    "negative count": (attr("/", "dale_violations", -1), ("'dale_violations' is -1",)),
    "misspelt group": (extra_group, ("'/population'", "'populations'")),
    "sign 0": (attr("/populations/E", "sign", 0), ("/populations/E", "'sign' is 0", "Allowed: -1, 1")),
    "no units": (attr("/populations/I", "n_units", 0), ("'n_units' is 0", "at least one")),
    "unit count": (attr("/populations/E", "n_units", 5), ("4 units are recorded of n_units = 5", "'unit'")),
    "spiking missing": (attr("/populations/E", "spiking", None), ("'spiking' is missing",)),
    "transposed rates": (edit("/populations/E", lambda d: d.transpose()), ("'r' has dimensions ('unit', 'time')",)),
    "text as rates": (put("/populations/E", "r", lambda v: v.astype(str)), ("'r' has dtype <U", "numeric")),
    "object phase": (
        put_coord("/populations/E", "phase", lambda v: v.astype(object)),
        ("'phase' has dtype object", "text"),
    ),
    "no label": (edit("/populations/E", lambda d: d.drop_vars("label")), ("'label' is missing",)),
    "presentation float": (
        put_coord("/populations/E", "presentation", lambda v: v + 0.5),
        ("'presentation' has dtype",),
    ),
    "presentation twice": (
        put_coord("/populations/E", "presentation", first_twice),
        ("holds 0 more than once", "within"),
    ),
    "negative inhibition": (
        put("/populations/E", "inhibition", lambda v: -v),
        ("/populations/E", "48 of 48 values of 'inhibition' are negative", "-1 at time 0, unit 0", "unconstrained"),
    ),
    "infinite rate": (
        put("/populations/E", "r", one(np.inf)),
        ("1 of 48 values of 'r' are NaN or infinite", "complete = 0"),
    ),
    "NaN weight": (put("/synapses/S_to_E", "w", one(np.nan)), ("/synapses/S_to_E", "'w' are NaN")),
    "NaN gain": (put("/slow/E", "gain", one(np.nan)), ("/slow/E", "'gain'")),
    "slow ints": (put("/slow/E", "gain", lambda v: v.astype(int)), ("'gain' has dtype int64", "float")),
    "slow without phase": (edit("/slow/E", lambda d: d.drop_vars("phase")), ("/slow/E", "'phase' is missing")),
    "one negative weight": (
        put("/synapses/S_to_E", "w", one(-1e-12)),
        (
            "1 of 72 values of 'w' are negative (first: -1e-12 at time 1, post 3, pre 8)",
            "population 'S'",
            "unconstrained",
        ),
    ),
    "pathway against Dale": (
        attr("/synapses/E_to_I", "sign", -1),
        ("/synapses/E_to_I", "'sign' is -1, but its source 'E' has +1", "Dale"),
    ),
    "tied, wrong sign": (attr("/synapses/I_to_E", "sign", 1), ("'sign' is +1, but its source 'I' has -1",)),
    "tied to nothing": (attr("/synapses/I_to_E", "tied_to", "E_I"), ("'tied_to' is 'E_I'", "'E_to_I'")),
    "tied to a tie": (attr("/synapses/I_to_E", "tied_to", "I_to_E"), ("'I_to_E' is tied itself",)),
    "tied with weights": (attr("/synapses/S_to_E", "tied_to", "E_to_I"), ("has weights of its own",)),
    "plastic missing": (attr("/synapses/S_to_E", "plastic", None), ("'plastic' is missing",)),
    "no weights": (edit("/synapses/S_to_E", lambda d: d.drop_vars("w")), ("'w' is missing",)),
    "transposed weights": (
        edit("/synapses/S_to_E", lambda d: d.rename(post="pre", pre="post").transpose("time", "post", "pre")),
        ("'w' has 9 along 'post'", "'E' has 4 units", "transposed"),
    ),
    "stimulus without onset": (
        edit("/stimuli/S", lambda d: d.drop_vars("onset")),
        ("/stimuli/S", "'onset' is missing"),
    ),
    "negative onset": (put("/stimuli/S", "onset", one(-1.0)), ("'onset' are negative", "seconds")),
    "no duration": (put("/stimuli/S", "duration", one(0.0)), ("shortest 'duration' is 0 s",)),
    "diagnostics of units": (
        edit("/diagnostics", lambda d: d.assign(residual=(("unit",), np.zeros(3)))),
        ("/diagnostics", "'residual' has dimensions ('unit',)"),
    ),
    "phases by number": (
        edit("/diagnostics/phases", lambda d: d.assign_coords(phase=[0])),
        ("/diagnostics/phases", "'phase' has dtype"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_illegal_trees_are_refused_with_the_words_that_help(case: str) -> None:
    change, words = BAD[case]
    tree = make_tree()
    validate(tree)
    change(tree)
    with pytest.raises(ValidationError) as error:
        validate(tree)
    for word in words:
        assert word in str(error.value)


def spikes(unit: list[int]) -> xr.DataTree:
    tree = make_tree()
    data = {"unit": ("event", np.array(unit, int)), "time": ("event", np.linspace(0, 1, len(unit)))}
    tree["/spikes/E"] = xr.DataTree(xr.Dataset(data))
    return tree


def sparse(pre: list[int]) -> xr.DataTree:
    tree = make_tree()
    old = tree["/synapses/S_to_E"].to_dataset(inherit=False)
    coords = {k: old[k] for k in ("time", "phase")} | {"pre": ("synapse", pre), "post": ("synapse", [0, 3])}
    tree["/synapses/S_to_E"].dataset = xr.Dataset({"w": (("time", "synapse"), np.ones((2, 2)))}, coords, old.attrs)
    return tree


LEGAL: dict[str, Callable[[], xr.DataTree]] = {
    "the usual": make_tree,
    "text labels": lambda: make_tree(label=np.array(["é", ""] * 6)),
    "recorded at intervals, some at the end": lambda: make_tree(
        r=np.ones((4, 2)), presentation=[0, 0, 1, 2], within=[0.05, 0.1, np.nan, np.nan], label=[0, 0, 1, 1]
    ),
    "selected units": lambda: make_tree(
        r=np.ones((3, 2)), unit=[5, 1], w=np.ones((1, 6, 9)), a=np.ones((1, 2, 6)), snapshots=["initial"]
    ),
    "nothing recorded": lambda: make_tree(r=np.zeros((0, 3)), phase=np.array([], dtype="U1")),
    "spikes": lambda: spikes([0, 3, 3]),
    "no spikes": lambda: spikes([]),
    "sparse pathway": lambda: sparse([8, 0]),
    "signed, declared so": lambda: make_tree(w=-np.ones((2, 4, 9)), inhibition=-np.ones((12, 4)), unconstrained=1),
    "rounding below zero": lambda: make_tree(excitation=np.where(np.eye(12, 4), -1e-13, 1.0)),
    "cut off": lambda: make_tree(r=np.full((12, 4), np.nan), w=np.full((2, 4, 9), np.inf), complete=0),
    "NumPy numbers as attributes": lambda: make_tree(seed=np.int64(3), wall_time=np.float64(0.1)),
    "attributes alone": lambda: xr.DataTree(xr.Dataset(attrs=ROOT)),
}


@pytest.mark.parametrize("case", LEGAL)
def test_legal_trees_pass_and_come_back(case: str) -> None:
    tree = LEGAL[case]()
    assert validate(tree) is tree


def test_spiking_populations_may_have_currents_that_reverse() -> None:
    tree = make_tree(excitation=-np.ones((12, 4)))
    with pytest.raises(ValidationError, match="'excitation' are negative"):
        validate(tree)
    tree["/populations/E"].attrs["spiking"] = 1
    validate(tree)


@pytest.mark.parametrize(
    "bad", [lambda: spikes([4]), lambda: spikes([-1]), lambda: sparse([9, 0]), lambda: sparse([-1, 0])]
)
def test_indices_beyond_the_population_are_refused(bad: Callable[[], xr.DataTree]) -> None:
    with pytest.raises(ValidationError, match="runs from"):
        validate(bad())


@pytest.mark.parametrize("unit", [[1, 1], [0, -1]])
def test_the_recorded_units_are_distinct_units(unit: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"'unit'"):
        validate(make_tree(r=np.ones((3, 2)), unit=unit))


def test_a_signed_tree_is_refused_when_only_the_claim_is_removed() -> None:
    """A collector that forgot to stamp the result, or an engine that flipped a sign."""
    tree = LEGAL["signed, declared so"]()
    tree.attrs["unconstrained"] = 0
    with pytest.raises(ValidationError, match="negative"):
        validate(tree)


def test_the_written_schema_names_every_attribute_and_group() -> None:
    text = schema.__doc__ or ""
    assert [name for name in (*ROOT, *schema._GROUPS) if name not in text] == []
