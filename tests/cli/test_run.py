"""run, info, compare and resume: what is stored is what the package computes, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np

import neurocircuits as nc
from neurocircuits import datasets
from neurocircuits.models import seung2018
from neurocircuits.protocols import features

RUN = ("run", "seung2018.bars", "features", "--set", "data.n=300", "--set", "protocol.n_probe=50")
STATES = ("--checkpoint", "states", "--checkpoint-every", "0")  # after every batch, which also makes it slow enough
LONG = (*RUN, "--set", "protocol.n_learn=600", "--set", "engine.batch=5")


def test_run_is_the_package(invoke, tmp_path: Path) -> None:
    # Rejects: settings that do not arrive, data that are not scaled, another seed.
    text = invoke(
        *RUN, "--set", "n_excitatory=6", "--set", "p=0.4", "--set", "protocol.n_learn=600", "--set", "engine.batch=20",
        "--set", "eta_gain=0.3 Hz", "--seed", "3", "-o", "result.zarr",
    )  # fmt: skip
    assert "seung2018 (S 64, E 6, I 8)" in text
    assert "batch=20" in text
    images, _ = datasets.bars(300, rng=3).unit_power()
    circuit = seung2018.bars(n_excitatory=6, p=0.4, eta_gain="0.3 Hz")
    expected = nc.run(
        circuit,
        features.protocol(images.values, n_learn=600, n_probe=50),
        engine=nc.SteadyState(batch=20),
        seed=3,
        progress=False,
    )
    stored = nc.load(tmp_path / "result.zarr")
    assert stored.attrs["content_hash"] == expected.attrs["content_hash"]
    for path in ("/synapses/S_to_E", "/synapses/E_to_I"):
        np.testing.assert_array_equal(stored[path].ds["w"].values, expected[path].ds["w"].values)
    np.testing.assert_array_equal(stored["/populations/E"].ds["r"].values, expected["/populations/E"].ds["r"].values)


def test_data_follow_the_name_of_the_circuit(invoke) -> None:
    short = ("--set", "protocol.n_learn=10", "--set", "protocol.n_probe=5")
    assert "'bars', 20000 x 64" in invoke("run", "seung2018.bars", "features", *short)
    assert "'digits', 1797 x 64" in invoke("run", "seung2018", "features", *short)
    assert "'digits', 1797 x 64" in invoke("run", "seung2018.bars", "features", *short, "--data", "digits")


def test_run_on_brian2(invoke) -> None:
    text = invoke(*RUN, "--engine", "brian2", "--set", "protocol.n_learn=50", "--set", "engine.batch=50")
    assert "Brian2(" in text
    assert "not stored; -o FILE keeps it" in text


def test_info_says_where_a_result_is_from_and_what_it_holds(invoke) -> None:
    invoke(*RUN, "--set", "protocol.n_learn=300", "-o", "result.zip")
    text = invoke("info", "result.zip")
    for expected in (
        "SteadyState(batch=1",
        "seed",
        "numpy",
        "Dale's law",
        "probe",
        "/populations/E",
        "time 50 x unit 16",
    ):
        assert expected in text
    assert "the transpose of E_to_I" in text


def test_compare_tells_equal_from_different(invoke) -> None:
    for seed in ("0", "1"):
        invoke(*RUN, "--set", "protocol.n_learn=300", "--seed", seed, "-o", f"{seed}.zarr")
    same, other = (invoke("compare", "0.zarr", f"{seed}.zarr").splitlines() for seed in ("0", "1"))
    row = ["/synapses/S_to_E/w", "learn"]
    weights = [next(line.split() for line in lines if line.split()[:2] == row) for lines in (same, other)]
    assert [float(value) for value in weights[0][2:]] == [0, 0, 0, 1]
    assert float(weights[1][4]) > 0.1


def test_overwrite_replaces_a_result(invoke, tmp_path: Path) -> None:
    for seed, extra in (("0", ()), ("1", ("--overwrite",))):
        invoke(*RUN, "--set", "protocol.n_learn=100", "--seed", seed, "-o", "result.zarr", *extra)
    assert nc.load(tmp_path / "result.zarr").attrs["seed"] == 1


def started(command: tuple[list[str], dict[str, str]], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    start, environment = command
    pipe = subprocess.PIPE
    return subprocess.Popen([*start, *arguments], cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def wait_for_states(folder: Path, n: int, process: subprocess.Popen[str]) -> None:
    """Wait until ``n`` states have been saved while the process is still at work."""
    end = time.monotonic() + 120
    while not any(int(path.stem.partition("-")[2]) >= n for path in folder.glob("state-*.npz")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_killed_run_resumes_to_the_bit(command, invoke, tmp_path: Path) -> None:
    # Rejects: a checkpoint that forgets the order of stimuli, or rates recorded before the kill.
    process = started(command, tmp_path, *LONG, *STATES)
    wait_for_states(tmp_path / "states", 15, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    text = invoke("info", "states")
    assert "a checkpoint" in text
    assert "neurocircuits resume states" in text
    invoke("resume", "states", "-o", "resumed.zarr")
    invoke(*LONG, "-o", "whole.zarr")
    a, b = (nc.load(tmp_path / f"{name}.zarr") for name in ("resumed", "whole"))
    assert a.attrs["content_hash"] == b.attrs["content_hash"]
    for node in b.subtree:
        for name, values in node.ds.data_vars.items():
            np.testing.assert_array_equal(a[node.path].ds[name].values, values.values, err_msg=f"{node.path}/{name}")


def test_an_interrupted_run_keeps_what_there_is(command, invoke, tmp_path: Path) -> None:
    # Rejects: a traceback on Ctrl-C, and hours of learning gone.
    process = started(command, tmp_path, *LONG, "-o", "part.zarr", *STATES)
    wait_for_states(tmp_path / "states", 15, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "interrupted" in stderr
    assert "phase 'learn'" in stderr
    assert "CUT OFF" in invoke("info", "part.zarr")
