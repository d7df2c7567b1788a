"""run(): the one place where circuit, protocol, engine and results meet."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.compile.plan import Plan
from neurocircuits.declare.checks import is_whole
from neurocircuits.declare.circuit import Circuit
from neurocircuits.declare.protocol import Phase, Protocol
from neurocircuits.declare.serialise import to_json
from neurocircuits.engines.base import Engine, Feed, Readings, check_supported, engines
from neurocircuits.engines.checkpoint import Checkpoint
from neurocircuits.errors import (
    DivergenceError,
    InterruptedRun,
    NeurocircuitsError,
    RunError,
    StorageError,
    UnsupportedError,
    ValidationError,
    listed,
)
from neurocircuits.progress import Progress
from neurocircuits.randomness import Streams
from neurocircuits.results.assemble import assemble, stream
from neurocircuits.results.collect import Collector, attributes_of
from neurocircuits.results.storage import check_destination, stored_hash, write_tree

if TYPE_CHECKING:
    import xarray as xr

Watcher = Callable[[Any, int], bool | None]


def run(
    circuit: Circuit,
    protocol: Protocol,
    engine: Engine | None = None,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 60.0,
    store: str | os.PathLike[str] | None = None,
    watch: Watcher | None = None,
    watch_every: int = 1000,
    overwrite: bool = False,
) -> xr.DataTree:
    """Run a protocol on a circuit.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    protocol : Protocol
        The protocol.
    engine : Engine
        How to run; `SteadyState` with its defaults unless given.
    seed : int
        Seed of all random streams.
    progress : bool
        Whether to show progress once a run takes longer than two seconds.
    checkpoint : path, optional
        Folder for checkpoints, new or empty; `resume` continues from it.
    checkpoint_every : float
        Seconds of wall time between checkpoints.
    store : path, optional
        Where the result is saved as well (``.zarr`` or ``.zip``), also when the run ends early.
    watch : callable, optional
        ``watch(simulation, n_presentations)`` is called every ``watch_every`` presentations; returning True ends the
        run early.
    watch_every : int
        Presentations between calls of ``watch``.
    overwrite : bool
        Whether an earlier result at ``store`` is replaced. Anything else there is never replaced.

    Returns
    -------
    xarray.DataTree
        The labelled result.

    Raises
    ------
    ValidationError
        If something does not fit; nothing has run then.
    UnsupportedError
        If the engine cannot run the circuit.
    StorageError
        If ``store`` or ``checkpoint`` is taken or cannot be written.
    DivergenceError
        If a variable is no longer finite or no steady state is found; ``error.tree`` holds what was recorded.
    InterruptedRun
        After Ctrl-C; ``error.tree`` holds what was recorded.
    RunError
        If ``watch`` or a stimulus raises an error on the way, which is its ``__cause__``; ``error.tree`` holds what was
        recorded.
    """
    from neurocircuits.engines.steady_state import SteadyState

    engine = SteadyState() if engine is None else engine
    for what, kind, value in (
        ("circuit", Circuit, circuit),
        ("protocol", Protocol, protocol),
        ("engine", Engine, engine),
    ):
        if not isinstance(value, kind):
            hint = f" Call it: {value.__name__}()." if isinstance(value, type) and issubclass(value, kind) else ""
            given = f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
            raise ValidationError(f"run: {what} is {given}, not of type {kind.__name__}.{hint}")
    if not is_whole(watch_every) or watch_every < 1:
        raise ValidationError(f"run: watch_every {watch_every!r} is not a positive whole number of presentations.")
    live = [what for what, value in (("checkpoint", checkpoint), ("watch", watch)) if value is not None]
    if live and engine.not_live:
        raise UnsupportedError(f"run: {' and '.join(live)} need a live simulation, but {engine.not_live}.")
    job = _Run(circuit, protocol, engine, seed, progress, checkpoint_every, store, watch, watch_every, overwrite)
    if checkpoint is not None:
        job.checkpoint = Checkpoint(checkpoint)
        place = None if store is None else str(store)
        settings = {"checkpoint_every": checkpoint_every, "store": place, "overwrite": overwrite}
        job.checkpoint.create(circuit, protocol, engine, job.streams.seed, settings)
    return job.execute()


def resume(checkpoint: str | os.PathLike[str], progress: bool = True) -> xr.DataTree:
    """Continue a run from its last checkpoint; the result equals that of the unbroken run.

    Parameters
    ----------
    checkpoint : path
        The folder that was given to `run`.
    progress : bool
        Whether to show progress.

    Returns
    -------
    xarray.DataTree
        The whole result, with what was recorded before the run was cut off.

    Raises
    ------
    StorageError
        If the folder is no checkpoint, or damaged, or if another result has been stored where this one goes.
    """
    engines()
    folder = Checkpoint(checkpoint)
    run_of = folder.declarations()
    settings = run_of.pop("settings")
    store = settings["store"]
    job = _Run(**run_of, progress=progress, checkpoint_every=settings["checkpoint_every"], store=store, overwrite=True)
    if store is not None and not settings.get("overwrite") and stored_hash(store) not in (None, job.content_hash):
        raise StorageError(f"store: '{store}' holds the result of another run by now. Move that away, then resume.")
    job.checkpoint = folder
    return job.execute()


class _Run:
    """One run: cursor, collector, checkpoints and what to do when it ends early."""

    def __init__(
        self,
        circuit: Circuit,
        protocol: Protocol,
        engine: Engine,
        seed: int,
        progress: bool = True,
        checkpoint_every: float = 60.0,
        store: str | os.PathLike[str] | None = None,
        watch: Watcher | None = None,
        watch_every: int = 1000,
        overwrite: bool = False,
    ) -> None:
        self.circuit, self.engine = circuit, engine
        self.streams = Streams(seed)
        self.show, self.every, self.store = progress, checkpoint_every, store
        self.watch, self.watch_every = watch, watch_every
        self.checkpoint: Checkpoint | None = None
        protocol.check(circuit)
        self.plan: Plan = compile_circuit(engine.reads(circuit))
        check_supported(engine, self.plan, protocol)
        for phase in protocol.phases:
            self.plan.with_parameters({key: value.value for key, value in phase.parameters.items()})
        self.collector = Collector(self.plan)
        self.protocol = self.collector.prepare(protocol)
        self.texts = [to_json(part) for part in (circuit, protocol, engine)]
        if store is not None:
            check_destination(Path(store), overwrite)
            _check_writable(Path(store))
        self.time, self.phase_index, self.position, self.number = 0.0, 0, 0, 0
        self.clock, self.saved = time.monotonic(), time.monotonic()
        self.stopped = False

    @property
    def content_hash(self) -> str:
        """Identity of the run, as in its result."""
        from neurocircuits.results.provenance import content_hash

        circuit, protocol, engine = self.texts
        return content_hash(circuit, protocol, engine, self.streams.seed)

    def execute(self) -> xr.DataTree:
        """Run to the end, or save what there is and say why not."""
        spooled = Path(self.store).with_name(f".{Path(self.store).name}.parts") if self.store is not None else None
        self.collector.folder = spooled if self.checkpoint is None else self.checkpoint.parts
        try:
            return self._execute()
        finally:
            if spooled is not None and self.collector.folder == spooled:
                shutil.rmtree(spooled, ignore_errors=True)

    def _execute(self) -> xr.DataTree:
        simulation = self.engine.open(self.plan, self.streams)
        simulation.prepare(self.protocol)
        total = sum(phase.n_presentations for phase in self.protocol.phases)
        kept = None if self.checkpoint is None else self.checkpoint.latest()
        if kept is None:
            self.collector.snapshot(simulation, 0.0)
        else:
            self._restore(simulation, *kept)
        done = sum(phase.n_presentations for phase in self.protocol.phases[: self.phase_index]) + self.position
        try:
            with Progress(total, done, self.show) as self.bar:
                self._phases(simulation)
        except KeyboardInterrupt:
            tree, ending = self._end_early(simulation)
            raise InterruptedRun(f"The run was interrupted.{ending}", tree) from None
        except NeurocircuitsError as error:
            error.tree, ending = self._end_early(simulation)
            error.args = (f"{error}{ending}",)
            raise
        except FloatingPointError as error:
            tree, ending = self._end_early(simulation)
            raise DivergenceError(f"{error}{ending}", tree) from error
        except Exception as error:  # whatever it is, what was computed is kept
            tree, ending = self._end_early(simulation)
            cause: BaseException = error
            while type(cause).__name__ == "BrianObjectException" and cause.__cause__ is not None:
                cause = cause.__cause__  # which says what is wrong
            raise RunError(f"{type(cause).__name__}: {cause}{ending}", tree) from error
        return self._tree(simulation, not self.stopped)

    def _phases(self, simulation: Any) -> None:
        while self.phase_index < len(self.protocol.phases) and not self.stopped:
            phase = self.protocol.phases[self.phase_index]
            if self.position == 0:
                self.collector.begin(phase)
            simulation.begin(phase, resumed=self.position > 0)
            feed = Feed(partial(self._batch, phase), phase.n_presentations, self.position)
            while self.position < phase.n_presentations and not self.stopped:
                simulation.go(feed, partial(self._observe, simulation, phase))
                self._save_state(simulation)
            self.collector.snapshot(simulation, self.time)
            self.phase_index, self.position = self.phase_index + 1, 0

    def _batch(self, phase: Phase, start: int, size: int) -> Any:
        rows = f"presentations {start} to {min(start + size, phase.n_presentations) - 1}"
        with _naming(f"Phase({phase.name!r}).stimuli: reading {rows} of {listed(phase.stimuli)}"):
            parts = phase.batch(start, size, self.streams)
        if self.circuit.unconstrained:
            return parts
        for name, part in parts.items():
            low = (part.values.data if hasattr(part.values, "indptr") else part.values).min(initial=0.0)
            if low < 0:
                raise ValidationError(
                    f"Phase({phase.name!r}).stimuli[{name!r}]: the stimulus has negative values (down to {low:.4g}), "
                    "but rates of "
                    f"population {name!r} are not negative. Shift or split the data, or declare dale='unconstrained'."
                )
        return parts

    def _observe(self, simulation: Any, phase: Phase, readings: Readings) -> bool:
        before = sum(p.n_presentations for p in self.protocol.phases[: self.phase_index])
        self.collector.add(phase, self.position, before, self.time, self.engine.group, readings)
        durations = next(iter(readings.presentations.values())).durations
        self.time = math.fsum([self.time, *durations[:: self.engine.group]])
        earlier, self.position = self.position, self.position + readings.n
        self.bar.update(readings.n)
        record = phase.record
        if (
            record is not None
            and record.weights_every
            and earlier // record.weights_every != self.position // record.weights_every
        ):
            self.collector.snapshot(simulation, self.time)
        if (
            self.watch is not None
            and (before + earlier) // self.watch_every != (before + self.position) // self.watch_every
        ):
            with _naming(f"run: watch, called after {before + self.position} presentations,"):
                self.stopped = bool(self.watch(simulation, before + self.position))
        return self.stopped or (self.checkpoint is not None and time.monotonic() - self.saved > self.every)

    # -- checkpoints and ends ------------------------------------------------------------------------------------------

    def _save_state(self, simulation: Any) -> None:
        if self.checkpoint is None or time.monotonic() - self.saved <= self.every:
            return
        self.collector.spool()
        self.number += 1
        cursor = {"number": self.number, "time": self.time, "phase": self.phase_index, "position": self.position}
        self.checkpoint.save(simulation.state(), cursor | {"collector": self.collector.state()})
        self.saved = time.monotonic()

    def _restore(self, simulation: Any, state: dict[str, Any], cursor: dict[str, Any]) -> None:
        self.collector.load(cursor["collector"])
        self.time, self.phase_index = cursor["time"], cursor["phase"]
        self.position, self.number = cursor["position"], cursor["number"]
        if self.position == self.protocol.phases[self.phase_index].n_presentations:
            simulation.begin(self.protocol.phases[self.phase_index], resumed=True)
            simulation.load(state)
            self.collector.snapshot(simulation, self.time)
            self.phase_index, self.position = self.phase_index + 1, 0
        if self.phase_index < len(self.protocol.phases) and self.position > 0:
            simulation.begin(self.protocol.phases[self.phase_index], resumed=True)
        simulation.load(state)

    def _where(self) -> str:
        phase = self.protocol.phases[min(self.phase_index, len(self.protocol.phases) - 1)]
        done = f"{self.position} of {phase.n_presentations} presentations"
        return f"In phase {phase.name!r} after {done}, at t = {self.time:g} s."

    def _end_early(self, simulation: Any) -> tuple[Any, str]:
        """Return what was recorded, with the present weights, and words on where the run ended and what was kept."""
        if self.position:
            self.collector.snapshot(simulation, self.time)
        ending = f"\n  {self._where()} What was recorded until then is in the error's attribute 'tree'"
        try:
            tree = self._tree(simulation, False)
            ending += "" if self.store is None else f" and saved as '{self.store}'"
        except StorageError as error:
            tree, ending = error.tree, f"{ending}, but could not be saved ({error})"
        return tree, f"{ending}." + (f" Continue with resume('{self.checkpoint.folder}')." if self.checkpoint else "")

    def _tree(self, simulation: Any, complete: bool) -> Any:
        """Return the tree of what was recorded, stored if that was asked for; an error of that carries the tree."""
        from neurocircuits.results.provenance import provenance
        from neurocircuits.results.schema import validate

        circuit, protocol, engine = self.texts
        attributes = provenance(circuit, protocol, engine, self.streams.seed)
        attributes |= attributes_of(self.plan, simulation.store.violations(), time.monotonic() - self.clock, complete)
        try:
            if self.store is not None and self.collector.n_parts and Path(self.store).suffix != ".zip":
                return stream(self.collector, attributes, self.store)
            tree = assemble(self.collector, attributes)
            if complete:
                validate(tree)
            if self.store is not None:
                write_tree(tree, self.store, overwrite=True)
        except NeurocircuitsError as error:
            error.tree = assemble(self.collector, attributes)
            raise
        return tree


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Let an error of the user's own code say whose it is, and end the run as every other error does."""
    try:
        yield
    except NeurocircuitsError:
        raise
    except Exception as error:
        raise RunError(f"{what} raised {type(error).__name__}: {error}") from error


def _check_writable(path: Path) -> None:
    parent = path.parent if str(path.parent) else Path(".")
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise StorageError(
            f"store: the folder '{parent}' does not exist or cannot be written. Make it, or name another place."
        )


__all__ = ["resume", "run"]
