"""Runs that are watched, cut off, killed and resumed: nothing is lost, and a resumed run equals the unbroken one to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.engines.checkpoint import Checkpoint
from neurocircuits.results.collect import Collector
from tests.references.circuits import learning_circuit, recorded, run, weights

ROOT = Path(__file__).parents[1]
PASSING = ("wall_time", "created_at", "versions", "git_hash", "platform")


def images(n: int = 40, n_units: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_units)) + 0.01


def identical(a: object, b: object) -> None:
    """Every group, variable, coordinate and attribute to the bit, but for when and where it ran."""
    assert {node.path for node in a.subtree} == {node.path for node in b.subtree}
    for node in a.subtree:
        ours, theirs = node.to_dataset(inherit=False), b[node.path].to_dataset(inherit=False)
        assert ours.drop_attrs().identical(theirs.drop_attrs()), node.path
        for name in (*ours.data_vars, *ours.coords):
            assert ours[name].dtype == theirs[name].dtype
            if ours[name].dtype.kind == "f":
                assert ours[name].values.tobytes() == theirs[name].values.tobytes(), f"{node.path}/{name}"
        keep = [{k: v for k, v in data.attrs.items() if k not in PASSING} for data in (ours, theirs)]
        assert keep[0] == keep[1]


def long_protocol(n: int = 24) -> nc.Protocol:
    """Phases with everything that a resumed run has to find again."""
    u = images(n)
    labelled = nc.Patterns(u, labels=np.arange(n) % 7, duration="200 ms")
    everything = nc.Record("r", "excitation", "inhibition", weights_every=16)
    return nc.Protocol(
        [
            nc.Phase("warm", {"S": labelled.shuffled()}, epochs=2, record=everything, parameters={"E.q": 0.8}),
            nc.Phase(
                "learn",
                {"S": labelled.sampled(n) + nc.Patterns(0.1 * u)},
                plasticity={"S_to_E": nc.Linear(1.0, 0.2), "E": 0.5},
                interventions=[nc.Scale("S_to_E", 0.5, post=[0])],
            ),
            nc.Phase("probe", {"S": labelled}, plasticity=False, record=nc.Record("r", every=3)),
        ],
        name="long",
    )


def long_circuit() -> nc.Circuit:
    """A learning circuit whose recorded gain depends on a parameter that a phase overrides."""
    circuit = learning_circuit()
    cells = circuit.population("E")
    equations = cells.equations + "\nscaled = q*exp(log_gain) : 1"
    changed = nc.Population(
        "E",
        cells.n_units,
        equations,
        parameters=cells.parameters,
        initial=cells.initial,
        bounds=cells.bounds,
        steps=cells.steps,
    )
    return nc.Circuit("long", [changed if p.name == "E" else p for p in circuit.populations], circuit.synapses)


ENGINE = nc.SteadyState(batch=8, substeps=2)


@pytest.fixture(scope="module")
def unbroken() -> object:
    return nc.run(long_circuit(), long_protocol(), engine=ENGINE, seed=3, progress=False)


# -- resume ---------------------------------------------------------------------------------------------------------------------


def test_a_run_cut_off_at_any_checkpoint_resumes_to_the_bit(
    unbroken: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places where a state can be saved, ends of phases included. Rejects a state that leaves anything out."""
    saves = Checkpoint.save
    cut_at = 0

    def cut(self: Checkpoint, state: dict, cursor: dict) -> None:
        saves(self, state, cursor)
        if cursor["number"] == cut_at:
            raise KeyboardInterrupt

    ends = []
    for cut_at in range(1, 22):
        folder = tmp_path / str(cut_at)
        monkeypatch.setattr(Checkpoint, "save", cut)
        with pytest.raises(nc.InterruptedRun, match="Continue with resume"):
            nc.run(
                long_circuit(),
                long_protocol(),
                engine=ENGINE,
                seed=3,
                progress=False,
                checkpoint=folder,
                checkpoint_every=-1,
            )
        monkeypatch.setattr(Checkpoint, "save", saves)
        cursor = json.loads((folder / "latest.json").read_text())["cursor"]
        ends.append((cursor["phase"], cursor["position"]))
        settings = json.loads((folder / "run.json").read_text())
        settings["settings"]["checkpoint_every"] = 1e9
        (folder / "run.json").write_text(json.dumps(settings))
        identical(nc.resume(folder, progress=False), unbroken)
        if cursor["phase"] == 2:
            break
    assert {phase for phase, _ in ends} == {0, 1, 2}
    assert (0, 48) in ends


def test_a_resumed_run_can_be_resumed(unbroken: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off twice. Rejects parts that a second process overwrites."""
    saves = Checkpoint.save
    left = [4]

    def cut(self: Checkpoint, state: dict, cursor: dict) -> None:
        saves(self, state, cursor)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", cut)
    with pytest.raises(nc.InterruptedRun):
        nc.run(
            long_circuit(),
            long_protocol(),
            engine=ENGINE,
            seed=3,
            progress=False,
            checkpoint=tmp_path,
            checkpoint_every=-1,
        )
    left[0] = 5
    with pytest.raises(nc.InterruptedRun):
        nc.resume(tmp_path, progress=False)
    left[0] = -1
    identical(nc.resume(tmp_path, progress=False), unbroken)


def test_what_the_parts_hold_is_not_in_memory_twice(
    tmp_path: Path, unbroken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spooling after every few rows gives the same tree, in memory and streamed to a store."""
    from neurocircuits.results import collect

    monkeypatch.setattr(collect, "_SPOOL_BYTES", 2000)
    identical(
        nc.run(long_circuit(), long_protocol(), engine=ENGINE, seed=3, progress=False, checkpoint=tmp_path / "c"),
        unbroken,
    )
    streamed = nc.run(
        long_circuit(), long_protocol(), engine=ENGINE, seed=3, progress=False, store=tmp_path / "run.zarr"
    )
    identical(streamed.load(), unbroken)
    identical(nc.load(tmp_path / "run.zarr"), unbroken)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


SCRIPT = """
import sys, time
import neurocircuits as nc
from tests.test_simulation import ENGINE, long_circuit, long_protocol
folder, store = sys.argv[1:3]
settings = {"checkpoint": folder, "checkpoint_every": 0.05} if folder != "-" else {}
settings |= {"store": store} if store != "-" else {}
print("started", flush=True)
try:
    nc.run(long_circuit(), long_protocol(), engine=ENGINE, seed=3, progress=False,
           watch=lambda simulation, n: time.sleep(0.03), watch_every=8, **settings)
except nc.InterruptedRun as error:
    print("interrupted", error.tree.attrs["complete"], error, flush=True)
    sys.exit(7)
"""


def child(*arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, *map(str, arguments)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until(process: subprocess.Popen, happened: object) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def cursors(folder: Path) -> Iterator[dict]:
    pointer = folder / "latest.json"
    if pointer.exists():
        yield json.loads(pointer.read_text())["cursor"]


@pytest.mark.parametrize("phase", [0, 1])
def test_a_run_killed_by_the_system_resumes_in_another_process(unbroken: object, tmp_path: Path, phase: int) -> None:
    """SIGKILL, then resume here. Rejects a checkpoint that is only whole if the process ends well."""
    folder = tmp_path / "checkpoint"
    process = child(folder, "-")
    wait_until(process, lambda: any(c["phase"] == phase for c in cursors(folder)))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    settings = json.loads((folder / "run.json").read_text())
    assert settings["settings"]["checkpoint_every"] == 0.05
    identical(nc.resume(folder, progress=False), unbroken)


def test_a_run_killed_before_its_first_checkpoint_starts_again(unbroken: object, tmp_path: Path) -> None:
    """Rejects a folder that is useless because no state was written yet."""
    run_folder = Checkpoint(tmp_path / "checkpoint")
    run_folder.create(long_circuit(), long_protocol(), ENGINE, 3, {"checkpoint_every": 60.0, "store": None})
    identical(nc.resume(tmp_path / "checkpoint", progress=False), unbroken)


def test_ctrl_c_saves_what_was_recorded(tmp_path: Path, unbroken: object) -> None:
    """SIGINT in another process: InterruptedRun with the partial tree, saved, with the weights as they were then."""
    folder, store = tmp_path / "checkpoint", tmp_path / "run.zarr"
    process = child(folder, store)
    wait_until(process, lambda: any(c["position"] >= 16 for c in cursors(folder)))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 7, errors
    assert "interrupted 0 The run was interrupted" in output
    assert f"saved as '{store}'" in output
    assert f"Continue with resume('{folder}')" in output
    tree = nc.load(store)
    assert tree.attrs["complete"] == 0
    r = recorded(tree)
    assert len(r) >= 16
    np.testing.assert_array_equal(r, recorded(unbroken)[: len(r)])
    snapshots = tree["/synapses/S_to_E"].ds
    assert snapshots["time"].values[-1] == pytest.approx(tree["/populations/E"].ds["time"].values[-1])
    identical(nc.resume(folder, progress=False), unbroken)
    assert nc.load(store).attrs["complete"] == 1


def test_an_interrupt_in_the_middle_of_a_snapshot_loses_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a result that cannot be assembled because one variable has a row more than the others."""
    put, seen = Collector._put, []

    def interrupted(self: Collector, key: str, rows: np.ndarray) -> None:
        put(self, key, rows)
        seen.append(key)
        if seen.count("slow/E/log_gain") == 2 and key == "slow/E/log_gain":
            raise KeyboardInterrupt

    monkeypatch.setattr(Collector, "_put", interrupted)
    with pytest.raises(nc.InterruptedRun) as caught:
        nc.run(long_circuit(), long_protocol(), ENGINE, progress=False)
    tree = caught.value.tree
    assert tree.attrs["complete"] == 0
    assert tree["/slow/E"].ds.sizes["time"] == 1
    assert tree["/populations/E"].ds.sizes["time"] > 10


def test_bad_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(nc.StorageError, match="is not a checkpoint folder.*Pass the folder given as checkpoint="):
        nc.resume(tmp_path)
    folder = tmp_path / "checkpoint"
    phase = nc.Phase("learn", {"S": nc.Patterns(images())})
    run(learning_circuit(), phase, checkpoint=folder, checkpoint_every=-1)
    with pytest.raises(nc.StorageError, match="is not empty. Resume it, remove it, or name another folder"):
        run(learning_circuit(), phase, checkpoint=folder)
    part = next((folder / "parts").iterdir())
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(nc.StorageError, match="part-000000.npz' is missing or damaged"):
        nc.resume(folder, progress=False)
    part.write_bytes(content)
    state = next(folder.glob("state-*.npz"))
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    with pytest.raises(nc.StorageError, match="is damaged"):
        nc.resume(folder, progress=False)
    state.unlink()
    with pytest.raises(nc.StorageError, match="is damaged"):
        nc.resume(folder, progress=False)
    with pytest.raises(nc.StorageError, match="is damaged"):
        Checkpoint(folder).latest()
    (folder / "run.json").write_text("{}")
    with pytest.raises(nc.StorageError, match="is damaged"):
        nc.resume(folder, progress=False)


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    """Same circuit, protocol, engine and seed: identical. Another seed: other weights, other order."""
    protocol = long_protocol()
    first, second, other = (
        nc.run(long_circuit(), protocol, engine=ENGINE, seed=seed, progress=False) for seed in (1, 1, 2)
    )
    identical(first, second)
    assert first.attrs["content_hash"] == second.attrs["content_hash"] != other.attrs["content_hash"]
    assert not np.array_equal(weights(first, "S_to_E", 0), weights(other, "S_to_E", 0))
    assert not np.array_equal(first["/stimuli/S"].ds["index"].values, other["/stimuli/S"].ds["index"].values)
