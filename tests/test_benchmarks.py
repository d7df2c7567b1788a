"""The benchmarks run, say what they found to people and machines, and their references do the same work as the engines."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
import neurocircuits as nc
from benchmarks import dense_step, krotov_epoch, learning_mnist, zanola
from benchmarks.__main__ import main
from benchmarks.harness import InTurn, Result, result
from neurocircuits.models import seung2018, zanola2021
from neurocircuits.randomness import Streams

SLOW = ("vogels_recurrent", "vogels_scaling", "topics")  # take minutes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in benchmarks.NAMES]
)
def test_a_benchmark_prints_json(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rejects a benchmark that fails, or that gives numbers which are not finite and positive."""
    monkeypatch.delenv("NEUROCIRCUITS_DATA", raising=False)
    if name == "recurrent_cells":
        pytest.importorskip("torch")
    assert main([name, "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["benchmarks"][name]
    assert found["results"]
    for line in found["results"]:
        assert all(np.isfinite(line[key]) and line[key] > 0 for key in ("value", "reference", "ratio", "low", "high"))
        assert line["low"] <= line["ratio"] <= line["high"]


def test_an_epoch_on_a_device_is_timed_beside_numpy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rejects times of fewer epochs than were asked for, or that count the first, and silence where there is no GPU."""
    pytest.importorskip("torch", reason="torch is not installed; get it with: pip install 'neurocircuits[torch]'")
    data = np.random.default_rng(0).random((200, 784), dtype=np.float32)
    monkeypatch.setattr(krotov_epoch, "HIDDEN", 20)
    for device in ("cpu", "torch:cpu"):
        found = krotov_epoch.epochs(data, device, 3)
        assert len(found) == 3
        assert min(found) > 0
    assert "200 images with device='torch:cpu', 784-20" in str(krotov_epoch.beside(data, "torch:cpu", "noise", 2))
    monkeypatch.setattr(krotov_epoch, "missing", lambda device: f"device {device!r} is not there")
    monkeypatch.setattr(krotov_epoch, "timed", lambda *_: InTurn(lambda simulation: lambda: None, 1, 1))
    monkeypatch.setattr(krotov_epoch, "result", lambda *_: "a line")
    krotov_epoch.run(quick=True)
    assert "no time per epoch with device='cuda': device 'cuda' is not there" in capsys.readouterr().err


def test_every_module_with_a_run_is_listed() -> None:
    """Rejects a benchmark that `make bench` leaves out."""
    folder = benchmarks.__path__[0]
    modules = {path.stem for path in Path(folder).glob("*.py")} - {"__init__", "__main__", "harness"}
    assert modules == set(benchmarks.NAMES)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Rejects a typing error that runs nothing and says that all limits hold."""
    with pytest.raises(SystemExit):
        main(["learning-mnist"])
    assert "learning_mnist" in capsys.readouterr().err


def test_a_missed_limit_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Rejects a run that prints a missed limit and ends well."""
    module = importlib.import_module("benchmarks.memory")
    for values, code, word in (([3.0, 1.0, 1.1], 0, "holds"), ([3.0, 2.5, 1.1], 1, "MISSED")):
        found = result("something", values, [1.0, 1.0, 1.0], "s", "nothing", 2.0)
        monkeypatch.setattr(module, "run", lambda quick, found=found: [found])
        assert main(["memory"]) == code
        assert word in capsys.readouterr().out
    assert (found.ratio, found.low, found.high) == (2.5, 1.1, 3.0)
    assert not Result("import", 0.6, 2.0, "s", "another", 0.3, 0.3, 0.3, 0.5, "value").holds


def _images(n: int) -> np.ndarray:
    generator = np.random.default_rng(5)
    values = generator.random((n, 784)) * (generator.random((n, 784)) < 0.2)
    return values / np.sqrt((values**2).sum(axis=1).mean())


def _state(
    circuit: nc.Circuit, engine: Any, phase: nc.Phase, stop: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the states before and after ``stop`` presentations."""
    states: list[dict[str, np.ndarray]] = [engine.open(nc.compile_circuit(circuit), Streams(3)).state()]

    def watch(simulation: Any, n: int) -> None:
        states.append(simulation.state())

    nc.run(circuit, nc.Protocol([phase]), engine, seed=3, progress=False, watch=watch, watch_every=stop)
    return states[0], states[-1]


def test_the_minibatch_by_hand_is_that_of_the_engine() -> None:
    """Rejects a reference that saves work: other weights, gains or residuals than the engine's after ten minibatches."""
    values = _images(1000)
    circuit = seung2018.mnist(p=learning_mnist.P, kappa=learning_mnist.KAPPA)
    phase = nc.Phase("learn", {"S": nc.Patterns(values, duration=learning_mnist.DURATION)})
    before, after = _state(circuit, nc.SteadyState(batch=100), phase, 1000)
    by_hand = learning_mnist.ByHand({name: array.copy() for name, array in before.items()}, values)
    for start in range(0, 1000, 100):
        by_hand.minibatch(np.arange(start, start + 100))
    assert by_hand.worst < 1e-6
    np.testing.assert_allclose(by_hand.weights, after["weights/S_to_E"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_hand.inhibition, after["weights/E_to_I"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_hand.log_gain, after["values/E/log_gain"], rtol=0, atol=1e-9)
    assert np.abs(after["weights/S_to_E"] - before["weights/S_to_E"]).max() > 1e-3


@pytest.mark.parametrize("every", [20, 5])
def test_the_step_by_hand_is_that_of_the_engine(every: int) -> None:
    """Rejects a reference that saves work: other rates, weights or gains than the engine's after ten presentations."""
    values = _images(10)
    circuit = seung2018.mnist(gain_floor=dense_step.FLOOR)
    engine = nc.Brian2(dt=dense_step.DT, learning_step=every * dense_step.DT, tolerance=None, target="numpy")
    phase = nc.Phase("learn", {"S": nc.Patterns(values, duration=dense_step.STEPS * dense_step.DT)})
    before, after = _state(circuit, engine, phase, 10)
    by_hand = dense_step.ByHand({name: array.copy() for name, array in before.items()}, every)
    for row in values:
        by_hand.present(row)
    np.testing.assert_allclose(by_hand.x, after["values/E/r"][0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_hand.weights, after["weights/S_to_E"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_hand.inhibition, after["weights/E_to_I"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_hand.log_gain, after["values/E/log_gain"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", [nc.Brian2(dt="0.5 ms", tolerance=None), nc.SteadyState(solver="relaxation")])
@pytest.mark.filterwarnings("ignore:Brian2. dt:RuntimeWarning")
def test_the_image_by_hand_is_that_of_the_engine(engine: Any) -> None:
    """Rejects a reference that saves work: other activity or weights than the engine's after four images."""
    values = _images(4)
    values /= values.max()
    phase = zanola2021.protocol(values).phases[0]
    before, after = _state(zanola2021.circuit(), engine, phase, 4)
    by_hand = zanola.ByHand({name: array.copy() for name, array in before.items()})
    for row in values:
        by_hand.present(row)
    np.testing.assert_allclose(by_hand.h, after["values/E/h"][0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_hand.weights, after["weights/S_to_E"], rtol=0, atol=1e-9)
    assert np.abs(after["weights/S_to_E"] - before["weights/S_to_E"]).max() > 0.2
