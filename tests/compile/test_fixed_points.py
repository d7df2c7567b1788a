"""Fixed points from text: derived where each equation is linear in its own variable, refused elsewhere, never simplified."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.compile.expressions import parse, to_sympy
from neurocircuits.compile.fixed_points import fixed_points, threshold_linear
from tests.references.circuits import TAU, recorded, run

VALUES = {"drive": 1.7, "gain": 0.6, "a": 0.8, "b": 0.3, "c": 0.5, "tau": 0.005, "tau_a": 0.1, "theta": 0.4}
DERIVED = {
    "gain": {"r": "(rectify(drive)/gain - r)/tau"},
    "leak and offset": {"r": "(drive - theta - r)/tau"},
    "adaptation": {"r": "(rectify(drive - z) - r)/tau", "z": "(b*drive - z)/tau_a"},
    "shunting": {"r": "(-r*(1 + b*a) + drive)/tau"},
    "conductances": {"v": "(theta - v + a*(2 - v) + c*(-1 - v))/tau", "r": "(rectify(v - 0.1) - r)/tau"},
    "Wilson-Cowan with refractory factor": {"r": "(-r + (1 - b*r)/(1 + exp(-a*(drive - theta))))/tau"},
    "global inhibition": {"r": "(rectify(drive - z) - r)/tau", "z": "(c*drive - z)/tau_a"},
    "two that are linear in each other": {"r": "(drive - r - c*z)/tau", "z": "(r - b*z)/tau_a"},
    "saturation": {"r": "(tanh(a*drive)*(1 - r) - b*r)/tau"},
}
REFUSED = {
    "a variable within a rectifier": {"r": "(rectify(drive - r) - r)/tau"},
    "a cube": {"r": "(drive - r**3)/tau"},
    "a variable within an exponential": {"r": "(exp(-r) - r)/tau"},
    "no dependence on itself": {"r": "drive/tau"},
}


def derive(equations: dict[str, str]) -> dict:
    return fixed_points({name: parse(text) for name, text in equations.items()})


def value(expression: object, values: dict[str, float]) -> float:
    from neurocircuits.compile.expressions import Expression

    return float(Expression.of(expression)(values))


@pytest.mark.parametrize("name", DERIVED)
def test_the_equations_are_at_rest_where_the_fixed_point_is(name: str) -> None:
    """Rejects a root with a wrong sign or a lost term: put into the equations, it must give 0."""
    roots = derive(DERIVED[name])
    assert set(roots) == set(DERIVED[name])
    values = dict(VALUES)
    for _ in roots:  # in any order: a root may need another state
        for state, root in roots.items():
            if {s.name for s in root.free_symbols} <= set(values):
                values[state] = value(root, values)
    for state, text in DERIVED[name].items():
        assert value(parse(text), values) == pytest.approx(0.0, abs=1e-9)
        assert state in values


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_linear_in_itself_is_refused(name: str) -> None:
    """Rejects a 'root' that still holds the variable, which a conditionally linear test lets through."""
    assert derive(REFUSED[name]) == {}


def test_a_loop_that_is_not_linear_keeps_its_roots_in_terms_of_each_other() -> None:
    """r = [drive - z]_+ and z = b r: each is solved for its own variable, for an iteration to use."""
    roots = derive({"r": "(rectify(drive - z) - r)/tau", "z": "(b*r - z)/tau_a"})
    assert {s.name for s in roots["r"].free_symbols} == {"drive", "z"}
    assert {s.name for s in roots["z"].free_symbols} == {"b", "r"}


def test_a_logistic_does_not_overflow() -> None:
    """Rejects simplification to exp(x)/(exp(x) + 1), which is nan for a large drive."""
    root = derive({"r": "(1/(1 + exp(-drive)) - r)/tau"})["r"]
    with np.errstate(over="raise", invalid="raise"):
        assert value(root, {"drive": 800.0, "tau": 0.005}) == 1.0


@pytest.mark.parametrize(
    ("equations", "expected"),
    [
        ("dr/dt = (rectify(drive) - b*r)/tau : 1", lambda d: max(d, 0.0) / 0.5),
        ("dr/dt = (rectify(drive - r) - r)/tau : 1", lambda d: max(d, 0.0) / 2),
        ("dr/dt = (drive - r**3)/tau : 1", lambda d: d ** (1 / 3)),
        ("dr/dt = (rectify(drive - z) - r)/tau : 1\ndz/dt = (b*r - z)/tau : 1", lambda d: max(d, 0.0) / 1.5),
        ("dx/dt = (drive - x)/tau : 1\nr = x**2 : 1", lambda d: d**2),
    ],
    ids=["derived", "within a rectifier", "cube", "adaptation", "transmitted sub-expression"],
)
def test_the_engine_comes_to_rest_at_the_same_point(equations: str, expected: object) -> None:
    """Derived, iterated or relaxed: the answer is the same as by hand."""
    cells = nc.Population("E", 2, equations, parameters={**TAU, "b": 0.5})
    circuit = nc.Circuit("rest", [nc.Population("S", 1), cells], [nc.Synapses("S", "E")])
    drives = np.array([[0.2], [0.9], [1.4]])
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns(drives)}, record=nc.Record("r")))
    want = [[expected(float(d))] * 2 for d in drives[:, 0]]  # type: ignore[operator]
    np.testing.assert_allclose(recorded(tree), want, rtol=1e-5)


def test_a_declared_steady_state_is_used() -> None:
    """Rejects ignoring what the user gives where nothing can be derived."""
    cells = nc.Population("E", 1, "dr/dt = (drive - r**3)/tau : 1", parameters=TAU, steady_state={"r": "drive**(1/3)"})
    circuit = nc.Circuit("given", [nc.Population("S", 1), cells], [nc.Synapses("S", "E")])
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns([[8.0], [27.0]])}, record=nc.Record("r")))
    np.testing.assert_allclose(recorded(tree)[:, 0], [2.0, 3.0], rtol=1e-12)
    assert "at rest: r = drive ** (1 / 3)" in nc.compile_circuit(circuit).explain()


@pytest.mark.parametrize(
    ("text", "stiffness", "offset", "rectified"),
    [
        ("rectify(drive)", 1.0, 0.0, True),
        ("rectify(drive)/gain", 0.6, 0.0, True),
        ("rectify(drive - theta)", 1.0, -0.4, True),
        ("b*rectify(a*drive - theta)/gain", 0.6 / (0.3 * 0.8), -0.4 / 0.8, True),
        ("rectify(drive)/exp(gain)", np.exp(0.6), 0.0, True),
        ("drive", 1.0, 0.0, False),
        ("(drive + b)/gain", 0.6, 0.3, False),
    ],
)
def test_threshold_linear_responses_are_recognised(text: str, stiffness: float, offset: float, rectified: bool) -> None:
    """Rejects a wrong diagonal of the lateral matrix: r must equal [drive + offset]_+ / stiffness."""
    found = threshold_linear(to_sympy(parse(text)))
    assert found is not None
    assert found.stiffness(VALUES) == pytest.approx(stiffness)
    assert found.offset(VALUES) == pytest.approx(offset)
    assert found.rectified is rectified
    drive = VALUES["drive"] + offset
    assert value(parse(text), VALUES) == pytest.approx((max(drive, 0.0) if rectified else drive) / stiffness)


@pytest.mark.parametrize(
    "text",
    [
        "rectify(drive)**2",
        "rectify(drive) + rectify(-drive)",
        "rectify(drive)/(1 + drive)",
        "rectify(drive**2)",
        "rectify(tanh(drive))",
        "tanh(drive)",
        "drive**2",
        "gain",
        "rectify(gain)",
        "rectify(drive) - b",
    ],
)
def test_other_responses_are_not_taken_for_threshold_linear(text: str) -> None:
    """Rejects a solver of another problem than the user's."""
    assert threshold_linear(to_sympy(parse(text))) is None


def test_wilson_cowan_without_a_stable_unique_state_settles_where_the_dynamics_go() -> None:
    """Several fixed points: the one reached from the declared initial state, low or high."""
    equations = "dr/dt = (-r + (1 - r)/(1 + exp(-12*(drive - 0.5))))/tau : 1"
    for start, low in ((0.0, True), (0.9, False)):
        cells = nc.Population("E", 1, equations, parameters=TAU, initial={"r": start})
        circuit = nc.Circuit(
            "bistable", [nc.Population("S", 1), cells], [nc.Synapses("S", "E"), nc.Synapses("E", "E", weights=2.0)]
        )
        tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns([[0.0]])}, record=nc.Record("r")))
        assert (recorded(tree)[0, 0] < 0.1) is low or (recorded(tree)[0, 0] > 0.3) is not low
