"""What every engine promises, for every circuit and rule: the same results from the same declaration and seed.

The time constants are so short, and learning so coarse (once, at the end of a presentation), that continuous time and
steady states have to agree to many digits. How they agree where that is not so is the subject of the scaling tests.
"""

from __future__ import annotations

import inspect
from functools import cache

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.declare import rules
from neurocircuits.results.schema import validate
from tests.contracts.cases import CASES, N_E, N_S, STANDALONE, cells

DURATION, DT = 0.1, 2e-4
ENGINES = {
    "steady-state": nc.SteadyState(tolerance=1e-9, learning_tolerance=1e-9),
    "brian2-runtime": nc.Brian2(dt=DT, learning_step=DURATION),
    STANDALONE: nc.Brian2(dt=DT, learning_step=DURATION, device="cpp_standalone"),
}
BUILT_BY_DEFAULT = ("texts",)  # a program takes 5 to 10 s to compile; the others are built by the slow tests
SEED = 7
NEEDED = {"Krotov": {"k": 2}}  # arguments of rules that are not p = 0.3


def protocol(case) -> nc.Protocol:
    """Return phases that learn, change something, learn on, and probe."""
    circuit = case.circuit()
    rng = np.random.default_rng(3)

    def stimuli(n: int) -> dict:
        sources = [p for p in circuit.populations if p.is_source]
        values = (rng.random((n, N_S)) < 0.4) * rng.uniform(0.5, 1.5, (n, N_S))
        return {p.name: nc.Patterns(values[:, : p.n_units], labels=np.arange(n), duration=DURATION) for p in sources}

    interventions = [nc.Scale(case.scaled, 0.8, post=[0]), nc.Clamp(case.clamped, 0.3, units=[1])]
    return nc.Protocol(
        [
            nc.Phase("learn", stimuli(6)),
            nc.Phase("changed", stimuli(4), parameters=dict([case.override]), interventions=interventions),
            nc.Phase("again", stimuli(4), plasticity={circuit.synapses[0].name: nc.Linear(1.0, 0.0)}),
            nc.Phase("probe", stimuli(4), plasticity=False, record=nc.Record("r", "excitation", "inhibition", "drive")),
        ]
    )


@cache
def tree(name: str, engine: str):
    case = CASES[name]
    return nc.run(case.circuit(), protocol(case), ENGINES[engine], seed=SEED, progress=False)


def matrix(*engines: str) -> list:
    """Return the pairs of circuit and engine that are tested, with their marks."""
    pairs = []
    for name, case in CASES.items():
        for engine in engines:
            if engine in case.excused:
                continue
            marks = []
            if engine == STANDALONE:
                marks = [pytest.mark.standalone, *([] if name in BUILT_BY_DEFAULT else [pytest.mark.slow])]
            pairs.append(pytest.param(name, engine, marks=marks, id=f"{name}-{engine}"))
    return pairs


def learned(result) -> dict[str, np.ndarray]:
    """Return weights and slow variables, (snapshot, ...)."""
    found = {}
    for group in result.groups:
        if group.startswith(("/synapses/", "/slow/")):
            found |= {f"{group}/{name}": value.values for name, value in result[group].ds.data_vars.items()}
    return found


@pytest.mark.parametrize(("name", "engine"), matrix(*ENGINES))
def test_a_result_is_complete_and_keeps_dales_law(name, engine):
    """Rejects: negative magnitudes, a sign in the wrong place, synapses that do not exist, a result without its labels."""
    result, circuit = tree(name, engine), CASES[name].circuit()
    validate(result)
    assert result.attrs["complete"] == 1 and result.attrs["dale_violations"] == 0
    assert result.attrs["unconstrained"] == int(circuit.unconstrained)
    for synapses in circuit.synapses:
        ds = result[f"/synapses/{synapses.name}"].ds
        pre = circuit.population(synapses.pre)
        assert ds.attrs["sign"] == (1 if circuit.unconstrained else pre.sign_value)
        if "w" in ds:
            w = ds["w"].values
            low, high = synapses.bounds or ((-np.inf if circuit.unconstrained else 0.0), np.inf)
            exists = w[0] != 0
            assert (w[:-1][:, exists] >= low - 1e-15).all()
            assert (w >= 0).all() or circuit.unconstrained
            assert w.max() <= high + 1e-15
            if synapses.connectivity != nc.AllToAll() and synapses.rule is not None:
                assert not w[:, ~exists].any()
    rates = result["/populations/E"].ds
    np.testing.assert_array_equal(rates["label"].values, np.arange(4))
    np.testing.assert_array_equal(rates["presentation"].values, 14 + np.arange(4))
    np.testing.assert_allclose(rates["time"].values, (15 + np.arange(4)) * DURATION, rtol=1e-9)


@pytest.mark.parametrize(("name", "engine"), matrix(*ENGINES))
def test_what_is_off_does_not_learn_and_what_is_on_does(name, engine):
    """Snapshots are those of the start and of the ends of learn, changed, again and probe."""
    circuit, result = CASES[name].circuit(), tree(name, engine)
    for path, values in learned(result).items():
        np.testing.assert_array_equal(values[4], values[3], err_msg=path)
        if path.startswith("/slow/") or circuit.pathway(path.split("/")[2]).rule is not None:
            for k in range(3):
                assert np.abs(values[k + 1] - values[k]).max() > 1e-4 * np.abs(values[k]).max(), (path, k)


@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=[pytest.mark.standalone] if name == STANDALONE else []) for name in ENGINES]
)
def test_scaled_weights_stay_within_their_bounds(engine):
    """Rejects a scale that takes weights out of their bounds, or makes synapses that do not exist."""
    exists = np.arange(N_E * N_S).reshape(N_E, N_S) % 3 > 0
    initial = np.where(exists, np.linspace(0.1, 0.4, N_E * N_S).reshape(N_E, N_S), 0.0)
    synapses = nc.Synapses(
        "S", "E", weights=np.maximum(initial, 0.1), connectivity=nc.Explicit(*np.nonzero(exists)), bounds=(0.1, 0.4)
    )
    circuit = nc.Circuit("bounded", [nc.Population("S", N_S), cells()], [synapses])
    stimuli = {"S": nc.Patterns(np.ones((1, N_S)), duration=DURATION)}
    scales = [nc.Scale("S_to_E", 2.0, post=[0, 1]), nc.Scale("S_to_E", 0.25, pre=[0, 1, 2])]
    phases = [nc.Phase(f"scaled_{k}", stimuli, interventions=[scale]) for k, scale in enumerate(scales)]
    result = nc.run(circuit, nc.Protocol(phases), ENGINES[engine], progress=False)
    expected = [initial]
    for scale in scales:
        chosen = scale.mask(initial.shape) & exists
        expected.append(np.where(chosen, np.clip(expected[-1] * scale.factor, 0.1, 0.4), expected[-1]))
    w = result["/synapses/S_to_E"].ds["w"].values
    np.testing.assert_allclose(w, expected, rtol=1e-15)
    assert w[:, exists].min() == 0.1 and w.max() == 0.4 and not w[:, ~exists].any()


@pytest.mark.parametrize(("name", "engine"), matrix("brian2-runtime", STANDALONE))
def test_continuous_time_agrees_with_steady_states(name, engine):
    """Rejects: drifts, steps, caps, aggregates, clamps, scales, overrides or schedules that an engine reads differently."""
    expected, found = tree(name, "steady-state"), tree(name, engine)
    for path, values in learned(expected).items():
        scale = np.abs(values).max()
        np.testing.assert_array_equal(learned(found)[path][0], values[0], err_msg=path)
        np.testing.assert_allclose(learned(found)[path] / scale, values / scale, atol=1e-6, err_msg=path)
    for population in ("E", "L", "I"):
        if f"/populations/{population}" not in expected.groups:
            continue
        one, other = expected[f"/populations/{population}"].ds, found[f"/populations/{population}"].ds
        for variable in one.data_vars:
            scale = max(np.abs(one[variable].values).max(), 1e-12)
            np.testing.assert_allclose(other[variable] / scale, one[variable] / scale, atol=1e-6, err_msg=variable)


@pytest.mark.parametrize(("name", "engine"), [p for p in matrix(*ENGINES) if CASES[p.values[0]].linear])
def test_drive_is_excitation_minus_inhibition(name, engine):
    E = tree(name, engine)["/populations/E"].ds
    np.testing.assert_allclose(E["excitation"] - E["inhibition"], E["drive"], atol=1e-12)
    assert (E["excitation"] >= 0).all() and (E["inhibition"] >= 0).all()
    assert E["excitation"].max() > 0


@pytest.mark.parametrize(("name", "engine"), matrix("steady-state", "brian2-runtime"))
def test_the_same_seed_gives_the_same_result(name, engine):
    case = CASES[name]
    again = nc.run(case.circuit(), protocol(case), ENGINES[engine], seed=SEED, progress=False)
    for path, values in learned(tree(name, engine)).items():
        np.testing.assert_array_equal(learned(again)[path], values, err_msg=path)
    np.testing.assert_array_equal(again["/populations/E"].ds["r"], tree(name, engine)["/populations/E"].ds["r"])


EXCUSED = [(name, engine, words) for name, case in CASES.items() for engine, words in case.excused.items()]


@pytest.mark.parametrize(("name", "engine", "words"), EXCUSED)
def test_an_engine_that_is_excused_says_why(name, engine, words):
    case = CASES[name]
    with pytest.raises(nc.UnsupportedError) as caught:
        nc.run(case.circuit(), protocol(case), ENGINES[engine], progress=False)
    assert words in str(caught.value)
    assert "engines that can: 'steady-state'" in str(caught.value)


def test_every_rule_and_step_of_the_catalogue_is_in_some_circuit():
    """A rule that is added without a circuit here is not tested on any engine."""
    used = {s.rule.drift for case in CASES.values() for s in case.circuit().synapses if s.rule is not None}
    catalogue = {
        name: function(
            eta="1 Hz", **(NEEDED.get(name) or dict.fromkeys({"p"} & {*inspect.signature(function).parameters}, 0.3))
        )
        for name, function in vars(rules).items()
        if inspect.isfunction(function) and function.__module__ == rules.__name__ and name[0].isupper()
    }
    assert len(catalogue) >= 4
    assert {name for name, rule in catalogue.items() if rule.drift not in used} == set()
    steps = {type(s.rule.step) for case in CASES.values() for s in case.circuit().synapses if s.rule is not None}
    assert steps == {nc.Euler, nc.Cap, nc.LargestChange, nc.PerUnit}


def test_engines_are_those_that_are_installed():
    from neurocircuits.engines.base import engines

    assert set(engines()) == {engine.name for engine in ENGINES.values()}
