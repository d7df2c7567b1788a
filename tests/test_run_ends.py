"""Runs that the user's own code ends, where results go, and snapshots: nothing that was computed is lost or kept twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.declare.serialise import declaration
from neurocircuits.engines.checkpoint import Checkpoint
from tests.references.circuits import learning_circuit, recorded, run, weights

U = np.random.default_rng(0).random((40, 6)) + 0.01
ENGINES = {
    "steady-state": nc.SteadyState(),
    "brian2": nc.Brian2(dt="0.5 ms", learning_step="5 ms", tolerance=None),
}


def phase(stimulus: Any = None, **settings: Any) -> nc.Phase:
    settings = {"record": nc.Record("r")} | settings
    return nc.Phase("learn", {"S": stimulus or nc.Patterns(U, duration="20 ms")}, **settings)


# -- errors of the user's own code --------------------------------------------------------------------------------------


@declaration
@dataclass(frozen=True)
class Recording(nc.Stimulus):
    """Rates that are read from elsewhere, which fails from some presentation on."""

    fails_at: int
    n_presentations: int = 40
    n_units: int = 6

    def at(self, indices: np.ndarray, streams: Any) -> nc.Presentations:
        if indices[-1] >= self.fails_at:
            raise OSError("the disk with the recording is gone")
        return nc.Presentations(U[indices], np.full(len(indices), 0.02), np.full(len(indices), -1), indices)


def check_kept(error: BaseException, n: int, store: Path, cause: type[Exception], *words: str) -> None:
    """What was recorded until then is in the error and on disk, with the weights of that moment."""
    assert type(error) is nc.RunError
    assert type(error.__cause__) is cause
    for word in (*words, f"after {n} of 40 presentations", f"saved as '{store}'"):
        assert word in str(error)
    for tree in (error.tree, nc.load(store)):
        assert tree.attrs["complete"] == 0
        assert len(recorded(tree)) == n
        snapshots = tree["/synapses/S_to_E"].ds
        assert snapshots["time"].values.tolist() == pytest.approx([0.0, n * 0.02])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "wrong", [KeyError("accuracy"), FloatingPointError("underflow"), nc.DataError("no labels"), nc.DataError()]
)
def test_a_watcher_that_fails_loses_nothing(tmp_path: Path, engine: str, wrong: Exception) -> None:
    """Rejects hours of learning that end in the traceback of a misspelt key."""

    def watch(simulation: Any, n: int) -> None:
        if n == 30:
            raise wrong

    store = tmp_path / "run.zarr"
    kept = {"engine": ENGINES[engine], "watch": watch, "watch_every": 10, "store": store}
    with pytest.raises(nc.NeurocircuitsError) as caught:
        run(learning_circuit(), phase(), **kept)
    if isinstance(wrong, nc.NeurocircuitsError):  # an error of the package stays what it is
        assert caught.value is wrong
        assert "after 30 of 40 presentations" in str(wrong)
        assert len(recorded(wrong.tree)) == len(recorded(nc.load(store))) == 30
    else:
        named = f"run: watch, called after 30 presentations, raised {type(wrong).__name__}: {wrong}"
        check_kept(caught.value, 30, store, type(wrong), named)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stimulus_that_fails_loses_nothing(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects the loss of what was recorded before a file became unreadable."""
    monkeypatch.setattr("neurocircuits.engines.brian2_runtime._PULL", 1)
    store = tmp_path / "run.zarr"
    with pytest.raises(nc.RunError) as caught:
        run(learning_circuit(), phase(Recording(25)), engine=ENGINES[engine], store=store)
    words = "Phase('learn').stimuli: reading presentations 25 to 25 of 'S' raised OSError: the disk with the recording"
    check_kept(caught.value, 25, store, OSError, words)


def test_any_other_error_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that gives up in the middle of a batch."""
    from neurocircuits.engines.steady_state import SteadyStateSimulation

    present = SteadyStateSimulation._present

    def fail(self: Any, parts: Any, progress: float) -> Any:
        if progress >= 0.5:
            raise MemoryError("2 TiB are not there")
        return present(self, parts, progress)

    monkeypatch.setattr(SteadyStateSimulation, "_present", fail)
    store = tmp_path / "run.zarr"
    with pytest.raises(nc.RunError) as caught:
        run(learning_circuit(), phase(), store=store)
    check_kept(caught.value, 20, store, MemoryError, "MemoryError: 2 TiB are not there")


# -- where results go ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
def test_an_earlier_result_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    """Rejects a second run that takes the place of the first, and a refusal that comes when all is computed."""
    store = tmp_path / name
    run(learning_circuit(), phase(), seed=1, store=store)

    def never(*_: object) -> bool:
        raise AssertionError("the run began")

    with pytest.raises(nc.StorageError, match=r"run\.z.* exists\. Choose another name or pass overwrite=True"):
        run(learning_circuit(), phase(), seed=2, store=store, checkpoint=tmp_path / "c", watch=never, watch_every=1)
    assert not (tmp_path / "c").exists()
    assert nc.load(store).attrs["seed"] == 1
    run(learning_circuit(), phase(), seed=2, store=store, overwrite=True)
    assert nc.load(store).attrs["seed"] == 2


def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Begin a run with seed 1 that ends after its third checkpoint as if it were killed."""
    save = Checkpoint.save

    def cut(self: Checkpoint, state: dict, cursor: dict) -> None:
        save(self, state, cursor)
        if cursor["number"] == 3:
            raise SystemExit

    monkeypatch.setattr(Checkpoint, "save", cut)
    with pytest.raises(SystemExit):
        run(learning_circuit(), phase(), seed=1, checkpoint=folder, checkpoint_every=-1, **settings)
    monkeypatch.setattr(Checkpoint, "save", save)


@pytest.mark.parametrize("name", ["run.zarr", "run.zip"])
def test_a_resumed_run_replaces_its_own_result_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Rejects a run of last week that, resumed, takes the place of what was stored since."""
    store = tmp_path / name
    cut_off(tmp_path / "c", monkeypatch, store=store)
    other = run(learning_circuit(), phase(), seed=2, store=store)
    with pytest.raises(nc.StorageError, match="holds the result of another run by now. Move that away"):
        nc.resume(tmp_path / "c", progress=False)
    assert nc.load(store).attrs["content_hash"] == other.attrs["content_hash"]
    store.rename(tmp_path / "moved.zarr")
    stopped = run(learning_circuit(), phase(), seed=1, store=store, watch=lambda *_: True, watch_every=10)
    assert stopped.attrs["complete"] == 0
    nc.resume(tmp_path / "c", progress=False)
    assert nc.load(store).attrs["complete"] == 1


def test_a_resumed_run_may_replace_what_the_run_might(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a resume that forgets that replacing was asked for."""
    store = tmp_path / "run.zarr"
    run(learning_circuit(), phase(), seed=2, store=store)
    cut_off(tmp_path / "c", monkeypatch, store=store, overwrite=True)
    assert nc.load(store).attrs["seed"] == 2
    nc.resume(tmp_path / "c", progress=False)
    assert nc.load(store).attrs["seed"] == 1


# -- snapshots ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("every", [10, 20, 40])
def test_no_moment_is_kept_twice(engine: str, every: int) -> None:
    """The last snapshot within a phase is that of its end. Rejects two at one time, and a lost one where they differ."""
    phases = [
        phase(record=nc.Record("r", weights_every=every)),
        nc.Phase("probe", {"S": nc.Patterns(U[:3], duration="20 ms")}, plasticity=False),
    ]
    tree = run(learning_circuit(), *phases, engine=ENGINES[engine])
    once = run(learning_circuit(), phase(record=None), engine=ENGINES[engine])
    for group in ("/synapses/S_to_E", "/synapses/E_to_I", "/slow/E"):
        data = tree[group].ds
        times = [0.0, *(0.02 * np.arange(every, 41, every)), 0.86]
        np.testing.assert_allclose(data["time"].values, times, rtol=1e-12)
        assert data["phase"].values.tolist() == ["initial", *["learn"] * (40 // every), "probe"]
    np.testing.assert_array_equal(weights(tree, "S_to_E", -2), weights(once, "S_to_E"))
    np.testing.assert_array_equal(weights(tree, "S_to_E", -1), weights(once, "S_to_E"))


def test_a_run_that_is_stopped_keeps_its_last_moment_once() -> None:
    """A watcher that stops the run where weights have just been kept."""
    watched = run(
        learning_circuit(), phase(record=nc.Record("r", weights_every=10)), watch=lambda _, n: n == 20, watch_every=10
    )
    assert watched["/synapses/S_to_E"].ds["time"].values.tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert watched.attrs["complete"] == 0


def test_a_run_cut_off_at_a_snapshot_resumes_without_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is saved right after a snapshot, at the end of a phase, too."""
    record = nc.Record("r", weights_every=10)
    whole = run(learning_circuit(), phase(record=record), seed=1)
    save = Checkpoint.save
    for number in (10, 40):

        def cut(self: Checkpoint, state: dict, cursor: dict, number: int = number) -> None:
            save(self, state, cursor)
            if cursor["number"] == number:
                raise SystemExit

        monkeypatch.setattr(Checkpoint, "save", cut)
        folder = tmp_path / str(number)
        with pytest.raises(SystemExit):
            run(learning_circuit(), phase(record=record), seed=1, checkpoint=folder, checkpoint_every=-1)
        monkeypatch.setattr(Checkpoint, "save", save)
        resumed = nc.resume(folder, progress=False)
        for group in ("/synapses/S_to_E", "/slow/E"):
            assert resumed[group].ds.drop_attrs().identical(whole[group].ds.drop_attrs())
