"""Bad declarations of spiking circuits: each gets an error that names the object, the value and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import neurocircuits as nc

CELL = """
dv/dt = -v/tau : 1
dg/dt = -g/tau : 1 (input, excitatory)
dh/dt = -h/tau : 1 (input, inhibitory)
"""
V, UNIT, UNSUPPORTED = nc.ValidationError, nc.UnitError, nc.UnsupportedError


def cells(n: int, name: str = "E", sign: str = "excitatory", equations: str = CELL, **changed: Any) -> nc.Population:
    settings = {"threshold": "v > 1", "reset": "v = 0", "parameters": {"tau": "5 ms"}} | changed
    return nc.Population(name, n, equations, sign=sign, **settings)


def run(*synapses: nc.Synapses, populations: Any = None, engine: Any = None, **phase: Any) -> Any:
    circuit = nc.Circuit("bad", populations or [cells(5), cells(3, "I", "inhibitory")], list(synapses))
    protocol = nc.Protocol([nc.Phase("run", duration="1 ms", **phase)])
    return nc.run(circuit, protocol, engine or nc.Brian2(dt="0.1 ms"), progress=False)


def from_i(**settings: Any) -> nc.Synapses:
    return nc.Synapses("I", "E", **settings)


CASES: list[tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    ("wrong polarity", lambda: run(from_i(input="g")), V, ("'g'", "excitatory synapses only", "'I' is inhibitory", "'h'")),
    ("unknown receptor", lambda: run(from_i(input="gaba")), V, ("'gaba'", "Known: 'g', 'h'", "'(input)'")),
    ("two receptors", lambda: run(from_i(), populations=[cells(5, equations=CELL + "dk/dt = -k/tau : 1 (input)"), cells(3, "I", "inhibitory")]), V, ("'h', 'k'", "name one")),
    ("delay below dt", lambda: run(from_i(delay="10 us")), UNSUPPORTED, ("'I_to_E'", "1e-05 s", "dt = 0.0001 s")),
    ("negative delay", lambda: from_i(delay="-1 ms"), V, ("Synapses('I_to_E').delay", "-0.001")),
    ("negative delays", lambda: run(from_i(delay=nc.Normal("1 ms", "5 ms"))), V, ("Synapses('I_to_E').delay", "of 15 (first: -0.00", "0 s or more", "Clipped(")),
    ("delays below dt", lambda: run(from_i(delay=nc.Uniform(0, "20 us"))), UNSUPPORTED, ("Synapses('I_to_E').delay", "15 of 15", "half the time step dt = 0.0001 s", "smaller dt")),
    ("delays of a wrong shape", lambda: run(from_i(delay=[1e-3, 2e-3])), V, ("Synapses('I_to_E').delay", "(2,)", "(post, pre) = (5, 3)", "Explicit")),
    ("delays of other pairs", lambda: run(from_i(connectivity=nc.Explicit([0], [1]), delay=[1e-3, 2e-3])), V, ("Synapses('I_to_E').delay", "2 values for 1 pairs", "one each")),
    ("delays in siemens", lambda: from_i(delay=nc.Uniform("1 nS", "2 nS")), UNIT, ("Synapses('I_to_E').delay", "no time", "'2 ms'")),
    ("delays in two units", lambda: nc.Uniform("1 ms", "2 nS"), UNIT, ("Uniform", "second", "in one unit")),
    ("delays without a unit", lambda: nc.Uniform(0.5, "2 ms"), UNIT, ("low is 0.5, without a unit", "in second")),
    ("tied delays", lambda: from_i(delay=nc.Tied("E_to_I")), V, ("Synapses('I_to_E').delay", "Tied is for weights", "Uniform")),
    ("delays of copies", lambda: run(from_i(delay=nc.Uniform("1 ms", "2 ms")), engine=nc.Brian2(batch=2)), UNSUPPORTED, ("'I_to_E'", "delays that differ", "batch=1")),
    ("drawn weights with a unit", lambda: run(from_i(weights=nc.Uniform("1 nS", "3 nS"))), UNIT, ("Synapses('I_to_E')", "'h' of 'E' is in 1")),
    ("drawn weights in another unit", lambda: from_i(weights=nc.Uniform("1 nS", "3 nS"), unit="1 mV"), UNIT, ("Synapses('I_to_E').weights: in siemens", "weights are in volt")),
    ("a unit with a factor", lambda: from_i(weights=1.0, unit="nS"), V, ("Synapses('I_to_E').unit: 'nS' is 1e-09 times", "unit='1 siemens'", "'3 nS'")),
    ("text of weights in another unit", lambda: from_i(weights="1 mV", unit="1 siemens"), UNIT, ("Synapses('I_to_E').weights: in volt", "in siemens")),
    ("bounds in another unit", lambda: from_i(weights="1 nS", bounds=("0 mV", "5 mV")), UNIT, ("Synapses('I_to_E').bounds[0]: in volt", "in siemens")),
    ("refractory volts", lambda: cells(5, refractory="5 mV"), UNIT, ("Population('E').refractory", "'5 mV' is not a time")),
    ("negative refractory time", lambda: cells(5, refractory="-5 ms"), V, ("Population('E').refractory", "'-5 ms' is not a time of 0 or more")),
    ("a parameter as negative time constant", lambda: nc.Rule(on_pre="w += a", parameters={"tp": "-5 ms"}, traces={"a": ("pre", "tp")}), V, ("traces['a']", "'tp' is not positive")),
    ("a parameter as time constant in volts", lambda: nc.Rule(on_pre="w += a", parameters={"tp": "5 mV"}, traces={"a": ("pre", "tp")}), UNIT, ("traces['a']", "is not a time")),
    ("no interval", lambda: nc.Record("v", interval=0), V, ("Record.interval: 0 is not positive",)),
    ("a method of nobody", lambda: nc.Brian2(method="eulr"), V, ("Brian2.method: 'eulr'. Allowed: 'euler'",)),
    ("depression in volts", lambda: run(from_i(short_term=nc.ShortTerm({"x": (1.0, "100 ms")}, "U*x", after={"x": "x*(1 - U)"}, parameters={"U": "0.5 mV"}))), nc.RunError, ("DimensionMismatchError", "has unit V")),
    ("drawn voltages in siemens", lambda: run(populations=[cells(5, initial={"v": nc.Uniform("1 nS", "2 nS")})]), UNIT, ("initial['v']", "'v' is in 1")),
    ("negative target", lambda: nc.Vogels(0.1, "-3 Hz"), V, ("target = '-3 Hz'", "0 or more")),
    ("in-degree", lambda: run(from_i(connectivity=nc.FixedInDegree(9))), V, ("Synapses('I_to_E').connectivity", "9 inputs", "3 presynaptic")),
    ("weights with a unit", lambda: run(from_i(weights="3 nS")), UNIT, ("Synapses('I_to_E')", "'h' of 'E' is in 1")),
    ("equation", lambda: run(populations=[cells(5, equations="dv/dt = -v : 1")]), UNIT, ("second**-1 is needed",)),
    ("threshold in volts", lambda: run(populations=[cells(5, threshold="v > 3*mV")]), UNIT, (".threshold", "'v > 3*mV'")),
    ("threshold of nothing", lambda: run(populations=[cells(5, threshold="u > 1")]), V, ("unknown name 'u'", "Known:")),
    ("no condition", lambda: run(populations=[cells(5, threshold="v")]), V, ("'v' is no condition",)),
    ("reset of nothing", lambda: run(populations=[cells(5, reset="u = 0")]), V, ("changes 'u'", "'v', 'g', 'h'")),
    ("reset to volts", lambda: run(populations=[cells(5, reset="v = 1*mV")]), UNIT, (".reset", "'v = 1*mV'")),
    ("a rule that reads a label", lambda: run(from_i(rule=nc.Rule(on_post="w += label"))), V, ("I_to_E", "unknown name 'label'", "labels are never available while learning")),
    ("rule without events", lambda: run(from_i(rule=nc.Hebbian("1 Hz"))), V, ("rate of population 'I'", "'r += 1'", "Vogels or PairSTDP")),
    ("no time", lambda: nc.Phase("a"), V, ("Phase('a')", "duration")),
    ("stimulus and time", lambda: nc.Phase("a", {"S": nc.Patterns([[1.0]])}, duration="1 s"), V, ("Phase('a')",)),
    ("clamped spikes", lambda: run(interventions=[nc.Clamp("E")]), UNSUPPORTED, ("clamps population 'E'", "which spikes")),
    ("negative weights", lambda: run(from_i(weights=-1.0)), V, ("magnitudes", "'I' (inhibitory)")),
    ("spikes of nobody", lambda: run(record=nc.Record(spikes=("X",))), V, ("'X' does not spike", "'E', 'I'")),
    ("tied lists", lambda: run(from_i(), nc.Synapses("E", "I", weights=nc.Tied("I_to_E"))), V, ("'E' spikes", "Give each")),
    ("time constant of a trace", lambda: run(from_i(rule=nc.Vogels(0.1, "3 Hz")), parameters={"I_to_E.tau": "10 ms"}), V, ("'tau'", "cannot be overridden")),
    ("copies", lambda: run(from_i(rule=nc.Vogels(0.1, "3 Hz")), engine=nc.Brian2(batch=2)), UNSUPPORTED, ("batch=1",)),
    ("at rest", lambda: run(engine=nc.SteadyState()), UNSUPPORTED, ("'E' is spiking", "engines that can: 'brian2'")),
    ("twice connected", lambda: run(from_i(connectivity=nc.Explicit([0, 0], [1, 1]))), V, ("post 0, pre 1", "twice")),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "words"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_bad_input_gets_a_clear_error(given: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        given()
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.standalone
def test_a_build_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(nc.StorageError, match=r"Brian2.directory: .*file/build' cannot be written"):
        run(engine=nc.Brian2(device="cpp_standalone", directory=str(tmp_path / "file" / "build")))


def test_without_a_compiler_steps_are_numpys_or_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    run(from_i(), engine=nc.Brian2(dt="0.1 ms"))
    with pytest.raises(UNSUPPORTED, match=r"need g\+\+ and make on the PATH; install them or use device='runtime'"):
        run(from_i(), engine=nc.Brian2(dt="0.1 ms", device="cpp_standalone"))


def test_a_pathway_without_synapses_runs() -> None:
    run(
        from_i(connectivity=nc.Probability(0.0), rule=nc.Vogels(0.1, "3 Hz")),
        from_i(name="none", connectivity=nc.FixedInDegree(0)),
    )
