"""Equation texts: names, units, functions and dimensions are checked, and reserved names are those of Brian 2."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.compile.expressions import ELEMENTWISE, Expression, parse
from neurocircuits.declare.functions import RESERVED, UNIT_NAMES, check_identifier
from tests.references.circuits import LINEAR, TAU, recorded, run


def circuit_of(equations: str, parameters: dict | None = None, **synapses: object) -> nc.Circuit:
    cells = nc.Population("E", 2, equations, parameters={**TAU, **(parameters or {})})
    return nc.Circuit("texts", [nc.Population("S", 3), cells], [nc.Synapses("S", "E", **synapses)])


def test_every_name_that_brian_2_reserves_is_refused() -> None:
    """Rejects a table that fell behind Brian 2: such a name would be read as a function, a constant or a unit there."""
    from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
    from brian2.equations.equations import DEFAULT_UNITS

    names = {name for name in (*DEFAULT_FUNCTIONS, *DEFAULT_CONSTANTS, *DEFAULT_UNITS) if name.isidentifier()}
    assert names - RESERVED - UNIT_NAMES == set()
    assert UNIT_NAMES - set(DEFAULT_UNITS) == set()
    for name in names:
        with pytest.raises(nc.ValidationError, match="is a unit|is reserved|not a usable name"):
            check_identifier(name, "here")


def test_names_that_brian_2_refuses_as_variables_are_refused() -> None:
    """Special variables and Python's key words, too."""
    for name in (
        "t",
        "dt",
        "xi",
        "i",
        "j",
        "N",
        "t_in_timesteps",
        "lambda",
        "for",
        "_x",
        "x y",
        "1x",
        "",
        None,
        "w",
        "dale",
    ):
        with pytest.raises(nc.ValidationError):
            check_identifier(name, "here")


@pytest.mark.parametrize("function", sorted(set(ELEMENTWISE) - {"rectify", "exprel", "int", "clip", "lif_rate"}))
def test_functions_mean_the_same_in_both_engines(function: str) -> None:
    """Rejects a function that NumPy and Brian 2 know under one name but with two meanings."""
    from brian2.core.functions import DEFAULT_FUNCTIONS

    x = np.array([0.15, 0.5, 0.9])
    ours = Expression.of(f"{function}(x)")({"x": x})
    np.testing.assert_allclose(
        np.asarray(ours, float), np.asarray(DEFAULT_FUNCTIONS[function].pyfunc(x), float), rtol=1e-14
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5*ms", 0.005),
        ("2*nS/cm**2", 2e-5),
        ("x**3 - 2*x", 8.0 - 4.0),
        ("x > 1 and y < 1", True),
        ("not (x > 1)", False),
        ("x % 1.5 + x // 1.5", 0.5 + 1.0),
        ("clip(x, 0, 1)", 1.0),
        ("-x**2", -4.0),
        ("+x", 2.0),
        ("pi + e", np.pi + np.e),
    ],
)
def test_expressions_are_evaluated(text: str, expected: object) -> None:
    assert Expression.of(text)({"x": np.array(2.0), "y": np.array(0.5)}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x +", "not an expression"),
        ("x if x > 0 else 0", "uses IfExp"),
        ("x[0]", "uses Subscript"),
        ("x.real", "uses Attribute"),
        ("lambda: x", "uses Lambda"),
        ("__import__('os')", "unknown function '__import__'"),
        ("'text'", "not a number"),
        ("0 < x < 1", "chains comparisons"),
        ("x @ x", "uses MatMult"),
        ("rectfy(x)", "Did you mean 'rectify'"),
        ("winner(x)", "calls 'winner' directly"),
        ("sum_over_pre(x)", "calls 'sum_over_pre' directly"),
        ("clip(x, lo=0, hi=1)", "with keywords"),
    ],
)
def test_what_is_no_arithmetic_is_refused(text: str, words: str) -> None:
    """Rejects Python that equations do not have, and anything that could run code."""
    with pytest.raises(nc.ValidationError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("equations", "parameters", "error", "words"),
    [
        ("dr/dt = (drive - r) : 1", {}, nc.UnitError, r"dr/dt = .*has the unit 1.*second\*\*-1 is needed"),
        ("dr/dt = (drive - r)/tau + 3*mV : 1", {}, nc.UnitError, "units .* do not fit"),
        ("dr/dt = (drive - r)/tau : volt", {}, nc.UnitError, "do not fit"),
        ("dr/dt = (drive - v)/tau : 1", {}, nc.ValidationError, r"unknown name 'v'.*Known: drive, r, tau, xi"),
        ("dr/dt = (driv - r)/tau : 1", {}, nc.ValidationError, "Did you mean 'drive'"),
        ("dr/dt = (drive - r)/tau", {}, nc.ValidationError, "Write for example"),
        ("v = drive : 1", {}, nc.ValidationError, "neither a differential equation nor a rate"),
        (
            "dr/dt = (drive - r)/tau : 1\nx : 1 (inputs)",
            {},
            nc.ValidationError,
            r"'x' has the unknown flag 'inputs'.*'input'",
        ),
        ("dr/dt = (drive - r)/tau : 1\nx : 1", {}, nc.ValidationError, "'x' is a variable without equation.*(input)"),
        (
            "dr/dt = (drive - r)/tau : 1\nx = r : 1 (slow)",
            {},
            nc.ValidationError,
            "only differential equations can be slow",
        ),
        ("dr/dt = (drive - r)/tau : 1\nx = r : 1 (input)", {}, nc.ValidationError, "cannot be an input"),
        ("dr/dt = (drive - r)/tau : 1\nx = y : 1\ny = x : 1", {}, nc.ValidationError, "contain a cycle"),
        ("dr/dt = (drive - r)/tau : 1\nsign = r : 1", {}, nc.ValidationError, "sign"),
        ("dr/dt = (drive - r)/tau : 1\ng : 1 (input, excitatory, inhibitory)", {}, nc.ValidationError, "at most"),
        ("dr/dt = (drive - r)/tau : 1", {"r": 2.0}, nc.ValidationError, "both a variable and a parameter"),
        ("dr/dt = (f(drive) - r)/tau : 1", {}, nc.ValidationError, "unknown function 'f'"),
    ],
)
def test_equations_that_cannot_be_read_are_refused(equations: str, parameters: dict, error: type, words: str) -> None:
    """Each says which population, which variable and what would be right."""
    with pytest.raises(error, match=words) as caught:
        nc.compile_circuit(circuit_of(equations, parameters))
    assert "Population('E')" in str(caught.value)


@pytest.mark.parametrize(
    ("synapses", "error", "words"),
    [
        ({"input": "ge"}, nc.ValidationError, "no input 'ge'.*Known: 'drive'"),
        ({"transmits": "w*v_pre"}, nc.ValidationError, "unknown name 'v_pre'.*Known: r_pre, w"),
        ({"transmits": "w*r_post"}, nc.ValidationError, "unknown name 'r_post'"),
        ({"transmits": "rectify(w - r_pre)"}, nc.ValidationError, r"not a sum of h\(w\)\*g\(pre\)"),
        ({"transmits": "-w*r_pre"}, nc.ValidationError, "negative term, but synapses of population 'S' are excitatory"),
        ({"transmits": "w*(r_pre - 1)"}, nc.ValidationError, "Rectify the difference"),
        ({"unit": "1 siemens"}, nc.UnitError, "Change 'transmits' or 'unit'"),
        ({"rule": nc.Rule("eta*(r_post*r_pre - w)", {"eta": 0.1})}, nc.UnitError, "Give the learning rate a unit"),
        ({"rule": nc.Rule("eta*(r_post*q_pre - w)", {"eta": "1 Hz"})}, nc.ValidationError, "unknown name 'q_pre'"),
        ({"rule": nc.Rule("eta*(r_post*r_pre - sum_over_pre(w))", {"eta": "1 Hz"})}, nc.ValidationError, "aggregates"),
        ({"rule": nc.Rule("eta*a", {"eta": "1 Hz"}, {"a": "2*sum_over_pre(w)"})}, nc.ValidationError, "one call of"),
        (
            {"rule": nc.Rule("eta*a", {"eta": "1 Hz"}, {"a": "sum_over_pre(rectify(w - r_pre))"})},
            nc.ValidationError,
            "cannot be summed",
        ),
        (
            {"rule": nc.Rule("eta*a*w", {"eta": "1 Hz"}, terms={"a": "2"})},
            nc.ValidationError,
            "must use variables of one side",
        ),
        (
            {"rule": nc.Rule("eta*a*w", {"eta": "1 Hz"}, terms={"a": "winner(r_post*r_pre)"})},
            nc.ValidationError,
            "of one side",
        ),
        (
            {"rule": nc.Rule("eta*w", {"eta": "1 Hz"}, step=nc.PerUnit("n"))},
            nc.ValidationError,
            "needs a slow variable of 'E'",
        ),
    ],
)
def test_synapses_that_cannot_be_read_are_refused(synapses: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        nc.compile_circuit(circuit_of(LINEAR, **synapses))
    assert "Synapses('S_to_E')" in str(caught.value)


def test_users_functions_are_put_in() -> None:
    """Rejects an argument that is not substituted, or captured by a variable of the same name."""
    functions = [
        nc.Function("saturate", ("x",), "x/(1 + x)"),
        nc.Function("twice", ("x", "y"), "saturate(x)*y + saturate(y)*x"),
    ]
    cells = nc.Population("E", 1, "dr/dt = (twice(drive, y) - r)/tau : 1\ny = 2*drive : 1", parameters=TAU)
    circuit = nc.Circuit("functions", [nc.Population("S", 1), cells], [nc.Synapses("S", "E")], functions)
    tree = run(circuit, nc.Phase("probe", {"S": nc.Patterns([[0.5]])}, record=nc.Record("r")))
    d, y = 0.5, 1.0
    assert recorded(tree)[0, 0] == pytest.approx(d / (1 + d) * y + y / (1 + y) * d)


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ([nc.Function("f", ("x",), "f(x)")], "Functions 'f' call each other in a circle"),
        ([nc.Function("f", ("x",), "g(x)"), nc.Function("g", ("x",), "f(x)")], "in a circle"),
        ([nc.Function("f", ("x",), "x*y")], r"Function\('f'\): 'x\*y' uses the unknown name 'y'. Known: x"),
        ([nc.Function("f", ("x",), "x*(")], r"Function\('f'\): 'x\*\(' is not an expression"),
        ([nc.Function("f", ("x",), "g(x)")], r"Function\('f'\).*unknown function 'g'"),
    ],
)
def test_functions_that_cannot_be_evaluated_are_refused(functions: list, words: str) -> None:
    circuit = circuit_of(LINEAR)
    with pytest.raises(nc.ValidationError, match=words):
        nc.compile_circuit(nc.Circuit("functions", circuit.populations, circuit.synapses, functions))


def test_a_function_called_with_too_few_arguments_is_refused() -> None:
    cells = nc.Population("E", 1, "dr/dt = (f(drive) - r)/tau : 1", parameters=TAU)
    functions = [nc.Function("f", ("x", "y"), "x*y")]
    with pytest.raises(nc.ValidationError, match="takes 2 arguments"):
        nc.compile_circuit(nc.Circuit("functions", [nc.Population("S", 1), cells], [nc.Synapses("S", "E")], functions))


def test_the_plan_says_what_will_be_done() -> None:
    """Names of populations, arrows of their signs, fixed points, ties, products, solvers; LaTeX on demand."""
    from tests.references.circuits import learning_circuit

    text = nc.compile_circuit(learning_circuit()).explain()
    for words in (
        "S --> E.drive",
        "I --| E.drive",
        "the transpose of E_to_I",
        "(slow)",
        "incoming = sum over pre of w",
        "as products",
        "threshold-linear problem in E, I eliminated",
    ):
        assert words in text
    assert r"\frac{d{r}}{dt}" in nc.compile_circuit(learning_circuit()).explain(latex=True)


def test_populations_are_solved_in_the_order_of_their_dependence() -> None:
    """Loops come after what drives them; the linear cells of a loop are eliminated, the rectified ones stay."""
    from tests.references.circuits import learning_circuit

    plan = nc.compile_circuit(learning_circuit())
    assert [set(loop.populations) for loop in plan.loops] == [{"E", "I"}]
    assert plan.loops[0].rectified == ("E",)
    assert plan.loops[0].eliminated == ("I",)


def test_constants_mean_the_same_in_both_engines() -> None:
    """Rejects a text whose pi, e or inf has no dimension."""
    circuit = circuit_of("dr/dt = (clip(sin(2*pi*drive)/e, 0, inf) + e**(-drive) - r)/tau : 1")
    protocol = nc.Protocol(
        [nc.Phase("p", {"S": nc.Patterns(np.full((2, 3), 0.1), duration="100 ms")}, record=nc.Record("r"))]
    )
    expected = max(np.sin(2 * np.pi * 0.3) / np.e, 0) + np.exp(-0.3)
    for engine in (nc.SteadyState(), nc.Brian2(dt="0.5 ms")):
        tree = nc.run(circuit, protocol, engine, progress=False)
        np.testing.assert_allclose(tree["/populations/E"].ds["r"], expected, rtol=1e-6)


def test_the_time_is_for_spiking_cells() -> None:
    with pytest.raises(nc.ValidationError, match="unknown name 't'.*Only spiking populations have the time, t"):
        nc.compile_circuit(circuit_of("dr/dt = (drive*sin(5*Hz*t) - r)/tau : 1"))
    equations = "dv/dt = (current - v)/tau : 1\ncurrent = sin(2*pi*5*Hz*t) + 10*dt/second : 1"
    cell = nc.Population("N", 1, equations, parameters=TAU, threshold="v > 9", reset="v = 0")
    phase = nc.Phase("p", duration="50 ms", record=nc.Record("current", interval="10 ms"))
    tree = nc.run(nc.Circuit("c", [cell], []), nc.Protocol([phase]), nc.Brian2(dt="1 ms"), progress=False)
    data = tree["/populations/N"].ds
    np.testing.assert_allclose(data["current"][:, 0], np.sin(10 * np.pi * data["time"]) + 0.01, atol=1e-12)


V_CELLS = "v = drive*mV : volt\ndr/dt = ({} - r)/tau : 1"
PHI = [nc.Function("phi", ("v",), "rectify(v - 0.2*mV)/mV"), nc.Function("volts", ("x",), "x*mV")]


@pytest.mark.parametrize(
    ("right", "rule", "equations"),
    [
        (True, nc.Rule("c*g*r_pre", {"c": 0.1}, terms={"g": "winner(r_post)*r_post"}), "HZ"),
        (False, nc.Rule("eta*g*r_pre", {"eta": "1 Hz"}, terms={"g": "winner(r_post)*r_post"}), "HZ"),
        (True, nc.Rule("eta*g*r_pre", {"eta": "1 Hz"}, terms={"g": "r_post/total(r_post)"}), "HZ"),
        (False, nc.Rule("eta*g*r_pre", {"eta": "1 Hz"}, terms={"g": "total(r_post)"}), "HZ"),
        (True, nc.Rule("eta*(r_post/Hz*r_pre - s)", {"eta": "1 Hz"}, aggregates={"s": "sum_over_pre(w*r_post/Hz)"}), "HZ"),
        (False, nc.Rule("eta*(r_post/Hz*r_pre - s)", {"eta": "1 Hz"}, aggregates={"s": "sum_over_pre(w*r_post)"}), "HZ"),
        (True, None, V_CELLS.format("rectify(v - 0.2*mV)/mV")),
        (True, None, V_CELLS.format("phi(v)")),
        (False, None, V_CELLS.format("volts(drive)")),
        (False, None, V_CELLS.format("phi(drive)")),
    ],
)  # fmt: skip
def test_units_are_those_of_the_text_that_is_written(right: bool, rule: nc.Rule | None, equations: str) -> None:
    """Rejects units of a part of a term or an aggregate for those of the whole, and functions whose units are numbers."""
    text = "dr/dt = (drive*Hz - r)/tau : Hz" if equations == "HZ" else equations
    cells = nc.Population("E", 2, text, parameters=TAU)
    circuit = nc.Circuit("c", [nc.Population("S", 3), cells], [nc.Synapses("S", "E", rule=rule)], functions=PHI)
    if right:
        nc.compile_circuit(circuit)
    else:
        with pytest.raises(nc.UnitError):
            nc.compile_circuit(circuit)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("dr/dt = (clip(drive, 0) - r)/tau : 1", nc.ValidationError, r"'\(clip\(drive, 0\) - r\)/tau' cannot be read: .*needs 3"),
        ("v = drive*mV : volt\ndr/dt = (k*rectify(v)**n - r)/tau : Hz", nc.UnitError, r"a power that is not a number.*'\(v/mV\)\*\*n'"),
    ],
)  # fmt: skip
def test_what_brian_2_cannot_read_is_said_in_words(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        nc.compile_circuit(circuit_of(text, {"k": "0.1 Hz/mV**2", "n": 2}))
