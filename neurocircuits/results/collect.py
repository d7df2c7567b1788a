"""Collecting: recorded rows of all phases, kept in memory or spooled to files, then put into a labelled tree."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.declare.protocol import NOTHING, Phase, Protocol, Record
from neurocircuits.errors import StorageError, ValidationError, listed
from neurocircuits.randomness import Streams

_SPOOL_BYTES = 32 * 2**20

Read = Callable[[str, str], np.ndarray]


class Collector:
    """Collect what phases record.

    Parameters
    ----------
    plan : Plan
        The plan.
    folder : Path or None
        Where parts are spooled when memory fills or a checkpoint is written; None keeps all in memory.
    """

    def __init__(self, plan: Plan, folder: Path | None = None) -> None:
        self.plan, self.folder = plan, folder
        self.n_parts = 0
        self.summaries: list[dict[str, float]] = []
        self.phases: list[str] = ["initial"]
        self.units: dict[str, tuple[int, ...]] = {}
        self.pairs: dict[str, dict[str, np.ndarray]] = {}  # post, pre and delay of the synapses of lists
        self.keeps: Callable[[str], int | None] = lambda name: None
        self._kept: dict[str, Any] = {}
        self._label_type: Any = np.dtype(np.int8)
        self._within = False
        self._rows: dict[str, list[np.ndarray]] = {}
        self._bytes = 0
        self._latest: list[float] = []  # phase and time of the latest snapshot

    # -- collecting ----------------------------------------------------------------------------------------------------

    def begin(self, phase: Phase) -> None:
        """Say that a phase begins."""
        self.phases.append(phase.name)
        self.summaries.append(
            {"residual_worst": 0.0, "iterations": 0.0, "distance_worst": float("nan"), "n_presentations": 0.0}
        )

    def wanted(self, phase: Phase, population: str) -> list[str]:
        """Return the variables that a phase records of a population.

        Raises
        ------
        ValidationError
            If a name exists in no recorded population.
        """
        record = phase.record
        if record is None or (record.populations is None and self.plan.populations[population].is_source):
            return []
        chosen = record.populations if record.populations is not None else tuple(self.plan.driven)
        if population not in chosen:
            return []
        return [n for n in record.variables if n in self._recordable(population)]

    def prepare(self, protocol: Protocol) -> Protocol:
        """Return a protocol whose phases record the same variables and units of a population.

        Rows of different phases then fit together.

        Raises
        ------
        ValidationError
            If a phase records what no population has.
        """
        self.keeps = protocol.keeps
        phases = list(protocol.phases)
        records = {k: phase.record for k, phase in enumerate(phases) if phase.record is not None and phase.record.rows}
        chosen = {k: self._check(phases[k].name, record) for k, record in records.items()}
        for k, record in records.items():
            alike = [records[j] for j in records if chosen[j] & chosen[k]]
            names = tuple(dict.fromkeys(name for other in alike for name in other.variables))
            some = {unit for other in alike for unit in other.units or ()}
            units = None if any(other.units is None for other in alike) else tuple(sorted(some))
            phases[k] = replace(phases[k], record=replace(record, variables=names, units=units))
            self.units.update(dict.fromkeys(chosen[k], units) if units is not None else {})
            first = next(iter(phases[k].batch(0, 1, Streams(0)).values()))
            self._label_type = np.result_type(self._label_type, first.labels.dtype)
        self._within = any(record.interval is not None for record in records.values())
        return replace(protocol, phases=phases)

    def _check(self, name: str, record: Record) -> set[str]:
        """Return the populations that a phase records, and refuse to record what none of them has."""
        chosen = record.populations or tuple(self.plan.driven)
        known = {variable for population in chosen for variable in self._recordable(population)}
        for variable in record.variables:
            if variable not in known:
                raise ValidationError(
                    f"Phase({name!r}).record: {listed(chosen)} have no variable {variable!r}. Known: "
                    f"{listed(sorted(known))}."
                )
        for unit in record.units or ():
            if not 0 <= unit < min(self.plan.populations[p].n_units for p in chosen):
                raise ValidationError(
                    f"Phase({name!r}).record: unit {unit} does not exist in every one of {listed(chosen)}."
                )
        return set(chosen)

    def _recordable(self, population: str) -> tuple[str, ...]:
        plan = self.plan.populations[population]
        return ("r",) if plan.is_source else (*plan.variables, "excitation", "inhibition")

    def add(self, phase: Phase, start: int, first: int, t_start: float, group: int, readings: Any) -> None:
        """Add presentations.

        Parameters
        ----------
        phase : Phase
            The phase.
        start : int
            Number of the first of these presentations within the phase.
        first : int
            Number of presentations in earlier phases.
        t_start : float
            Time of onset of the first of these presentations' group, in seconds.
        group : int
            Presentations that share a time.
        readings : Readings
            What there is to record.
        """
        summary, n = self.summaries[-1], readings.n
        for what in ("residual", "distance"):  # fmax passes over NaN, where an engine has none
            largest = float(np.fmax.reduce(getattr(readings, what)))
            summary[f"{what}_worst"] = float(np.fmax(summary[f"{what}_worst"], largest))
        iterations = float(readings.iterations.sum())
        summary["iterations"] += 0.0 if math.isnan(iterations) else iterations
        summary["n_presentations"] += n
        record = phase.record
        for name, (units, times, rows) in readings.spikes.items():
            self._put(f"spikes/{name}/unit", units)
            self._put(f"spikes/{name}/time", t_start + times)
            if group > 1:
                self._put(f"spikes/{name}/presentation", first + start + rows)
        if record is None or not record.rows:
            return
        chosen = np.flatnonzero((start + np.arange(n)) % record.every == 0)
        if not len(chosen):
            return
        durations = next(iter(readings.presentations.values())).durations
        slots = np.arange(n) // group  # presentations of one slot share their time
        onsets = t_start + np.concatenate(
            [[0.0], np.cumsum(durations[np.searchsorted(slots, np.arange(slots[-1] + 1))])]
        )
        number = len(self.phases) - 1
        for name, part in readings.presentations.items():
            if name == NOTHING:
                continue
            self._put(f"stimuli/{name}/onset", onsets[slots[chosen]])
            self._put(f"stimuli/{name}/duration", part.durations[chosen])
            self._put(f"stimuli/{name}/label", np.asarray(part.labels)[chosen])
            self._put(f"stimuli/{name}/index", part.index[chosen])
            self._put(f"stimuli/{name}/presentation", first + start + chosen)
        labels = np.asarray(next(iter(readings.presentations.values())).labels).astype(self._label_type)
        samples = [(since, read) for since, read in readings.within]
        for since, read in samples or [(None, readings.read)]:
            rows = chosen if since is None or n > 1 else np.array([0])
            times = onsets[slots[rows] + 1] if since is None else onsets[slots[rows]] + since
            coordinates = {
                "time": times,
                "phase": np.full(len(rows), number, dtype=np.int16),
                "presentation": first + start + rows,
                "label": labels[rows],
            }
            if samples or self._within:
                coordinates["time_in_presentation"] = np.full(len(rows), np.nan if since is None else since)
            for population in self.plan.populations:
                if names := self.wanted(phase, population):
                    units = (
                        list(range(self.plan.populations[population].n_units))
                        if record.units is None
                        else list(record.units)
                    )
                    for key, value in coordinates.items():
                        self._put(f"populations/{population}/{key}", value)
                    for name in names:
                        self._put(f"populations/{population}/{name}", np.array(read(population, name)[rows][:, units]))
        times = onsets[slots[chosen] + 1]
        for key, value in {
            "time": times,
            "phase": np.full(len(chosen), number, dtype=np.int16),
            "presentation": first + start + chosen,
        }.items():
            self._put(f"diagnostics//{key}", value)
        for what in ("residual", "iterations", "distance"):
            self._put(f"diagnostics//{what}", getattr(readings, what)[chosen].astype(float))
        self._put("diagnostics//label", labels[chosen])
        if self.folder is not None and self._bytes > _SPOOL_BYTES:
            self.spool()

    def snapshot(self, simulation: Any, time: float) -> None:
        """Keep weights and slow variables, once for each moment of a phase."""
        if self._latest == [len(self.phases) - 1, time]:
            return
        self._latest = [len(self.phases) - 1, time]
        number = np.array([len(self.phases) - 1], dtype=np.int16)
        for name, (post, pre) in simulation.store.pairs.items() if not self.pairs else ():
            n_kept = self.keeps(name)
            kept: Any = slice(None)
            if n_kept is not None:
                kept = np.unique(np.linspace(0, len(post) - 1, min(n_kept, len(post))).astype(np.int64))
            self._kept[name], self.pairs[name] = kept, {"post": post[kept], "pre": pre[kept]}
            if name in simulation.store.delays:
                self.pairs[name]["delay"] = simulation.store.delays[name][kept]
        for name, pathway in self.plan.pathways.items():
            if (pathway.owns or pathway.part) and self.keeps(name) != 0:
                self._put(f"synapses/{name}/time", np.array([time]))
                self._put(f"synapses/{name}/phase", number)
                magnitude = simulation.store.shown(pathway)[self._kept.get(name, slice(None))]
                self._put(f"synapses/{name}/w", np.array(magnitude)[None])
        for name, population in self.plan.driven.items():
            if population.slow:
                self._put(f"slow/{name}/time", np.array([time]))
                self._put(f"slow/{name}/phase", number)
                for slow in population.slow_readouts():
                    self._put(f"slow/{name}/{slow}", np.array(simulation.slow(name, slow), dtype=float)[None])

    def _put(self, key: str, rows: np.ndarray) -> None:
        self._rows.setdefault(key, []).append(rows)
        self._bytes += rows.nbytes

    # -- spooling ------------------------------------------------------------------------------------------------------

    def spool(self) -> None:
        """Write what is in memory as a part of its own."""
        if self.folder is None or not self._rows:
            return
        arrays: dict[str, Any] = {key.replace("/", "|"): np.concatenate(rows) for key, rows in self._rows.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self._part(self.n_parts), "wb") as file:
                np.savez(file, **arrays)
        except OSError as error:
            raise StorageError(
                f"'{self.folder}' cannot be written: {error}. Free space, or name another place."
            ) from error
        self.n_parts += 1
        self._rows, self._bytes = {}, 0

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs besides the parts."""
        return {
            "n_parts": self.n_parts,
            "summaries": self.summaries,
            "phases": self.phases,
            "latest": self._latest,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue after the parts of an earlier process.

        Raises
        ------
        StorageError
            If a part is missing or damaged.
        """
        for k in range(state["n_parts"]):
            if not zipfile.is_zipfile(self._part(k)):
                raise StorageError(
                    f"'{self._part(k)}' is missing or damaged. Restore it from a copy, or start the run again."
                )
        self.n_parts, self.summaries, self.phases = state["n_parts"], list(state["summaries"]), list(state["phases"])
        self._latest = list(state["latest"])
        self._rows, self._bytes = {}, 0

    def _part(self, k: int) -> Path:
        return self.folder / f"part-{k:06d}.npz"  # type: ignore[operator]

    def rows(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield what was collected, part by part, as arrays by ``group/name``.

        The last part of a run that was interrupted may lack variables of a group; they are there without rows.
        """
        empty: dict[str, np.ndarray] = {}
        for k in range(self.n_parts):
            with np.load(self._part(k)) as file:
                part = {key.replace("|", "/"): file[key] for key in file.files}
            empty |= {key: values[:0] for key, values in part.items()}
            yield part
        if self._rows or not self.n_parts:
            groups = {key.rpartition("/")[0] for key in self._rows}
            lacking = {key: none for key, none in empty.items() if key.rpartition("/")[0] in groups}
            yield lacking | {key: np.concatenate(rows) for key, rows in self._rows.items()}


def attributes_of(plan: Plan, violations: int, wall_time: float, complete: bool) -> dict[str, Any]:
    """Return the root attributes that only a run knows."""
    return {
        "wall_time": float(wall_time),
        "dale_violations": int(violations),
        "unconstrained": int(plan.circuit.unconstrained),
        "complete": int(complete),
    }
