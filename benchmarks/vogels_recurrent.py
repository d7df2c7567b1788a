"""A recurrent network with inhibitory plasticity, 2 million synapses, against Brian 2 scripts written by hand."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import neurocircuits as nc
from benchmarks.harness import Result, one_thread, result
from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.engines.base import Feed
from neurocircuits.engines.brian2_objects import owned
from neurocircuits.engines.values import WeightStore, initial_values
from neurocircuits.models import vogels2011
from neurocircuits.randomness import Streams

LIMIT, LIMIT_WITH_BUILDING = 1.1, 1.2
ROUNDS = 9
DT, TAU, ETA, ALPHA, LARGEST, DELAY = 1e-4, 20e-3, 1e-9, 0.2, 300e-9, 0.8e-3
CELL = """
dv/dt = (g_leak*(v_rest - v) + g_e*(0*mV - v) + g_i*(-80*mV - v) + 200*pA)/(200*pF) : volt (unless refractory)
dg_e/dt = -g_e/(5*ms) : siemens
dg_i/dt = -g_i/(10*ms) : siemens
"""
PER_SYNAPSE = "w : siemens\ndarrived/dt = -arrived/tau : 1 (event-driven)\ndfired/dt = -fired/tau : 1 (event-driven)"
CHANGES: dict[str, tuple[str, str, str, str]] = {  # traces: cells, synapses, on_pre, on_post
    "synapse": (
        "",
        PER_SYNAPSE,
        "g_i_post += w\narrived += 1\nw = clip(w + eta*(fired - alpha), 0*siemens, w_max)",
        "fired += 1\nw = clip(w + eta*arrived, 0*siemens, w_max)",
    ),
    "neuron": (
        "dtrace/dt = -trace/(20*ms) : 1",
        "w : siemens",
        "g_i_post += w\nw = clip(w + eta*(trace_post - alpha), 0*siemens, w_max)",
        "w = clip(w + eta*trace_pre, 0*siemens, w_max)",
    ),
}


def circuit(n_excitatory: int = 8000, in_degree: tuple[int, int] | None = None, scale: float = 1.0) -> nc.Circuit:
    """Return the network of the comparison: weights of 3 and 30 nS, target 5 Hz, eta 1 nS."""
    return vogels2011.recurrent(
        "auryn",
        n_excitatory,
        n_excitatory // 4,
        in_degree=in_degree,
        scale=scale,
        target="5 Hz",
        eta=f"{scale} nS",
    )


class ByHand:
    """The same network on the same connections, written for Brian 2 in the usual way.

    Parameters
    ----------
    b2 : module
        Brian 2.
    store : WeightStore
        Connections and initial weights.
    traces : {"synapse", "neuron"}
        Where traces are kept.
    start : dict of str to ndarray
        Initial voltages.
    """

    def __init__(self, b2: Any, store: WeightStore, traces: str, start: dict[str, np.ndarray]) -> None:
        of_cells, of_synapses, on_pre, on_post = CHANGES[traces]
        b2.seed(1)
        clock = b2.Clock(dt=DT * b2.second)
        reset = "v = v_rest" + ("\ntrace += 1" if of_cells else "")
        names = {"g_leak": 10 * b2.nS, "v_rest": -60 * b2.mV}
        cells = {}
        for name, v in start.items():
            cells[name] = b2.NeuronGroup(
                len(v), CELL + of_cells, threshold="v > -50*mV", reset=reset, refractory=5 * b2.ms, method="euler",
                namespace=names, clock=clock, name=f"cells_{name}",
            )  # fmt: skip
            cells[name].v = v * b2.volt
        constants = {"tau": TAU * b2.second, "eta": ETA * b2.siemens, "alpha": ALPHA, "w_max": LARGEST * b2.siemens}
        synapses = []
        for name, (post, pre) in store.pairs.items():
            source, target = name.split("_to_")
            plastic = name == "I_to_E"
            made = b2.Synapses(
                cells[source],
                cells[target],
                of_synapses if plastic else "",
                on_pre=on_pre if plastic else f"g_{source.lower()}_post += weight",
                on_post=on_post if plastic else None,
                delay={"pre": DELAY * b2.second},
                namespace=constants if plastic else {"weight": float(store.arrays[name][0]) * b2.siemens},
                clock=clock,
                name=f"by_hand_{name}",
            )
            made.connect(i=pre, j=post)
            if plastic:
                made.w = store.arrays[name] * b2.siemens
            synapses.append(made)
        self.network = b2.Network(*cells.values(), *synapses)


@dataclass
class Program:
    """A compiled program that can be run again."""

    folder: Path
    building: float

    def run(self) -> tuple[float, float]:
        """Run it; return user CPU seconds and the peak of its memory in MB."""
        done = subprocess.run([sys.executable, "-S", "-c", _MEASURE], cwd=self.folder, capture_output=True, check=True)
        seconds, kibibytes = map(float, done.stdout.split())
        return seconds, kibibytes / 1024


# A small process of its own: the peak of a child counts what its parent held when it was started.
_MEASURE = """\
import resource, subprocess
subprocess.run(["./main"], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime, used.ru_maxrss)
"""


def spent() -> float:
    """Return the user CPU seconds of this process and of the children that it waited for."""
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def phases(seconds: float, record: nc.Record | None = None) -> nc.Protocol:
    """Return a protocol that learns for a time."""
    return nc.Protocol([nc.Phase("learn", duration=seconds, record=record)])


def drawn(network: nc.Circuit) -> tuple[WeightStore, dict[str, np.ndarray]]:
    """Return connections and initial voltages as a run with seed 0 draws them."""
    plan, streams = compile_circuit(network), Streams(0)
    values = initial_values(plan, plan.with_parameters({}), "float64", streams)
    return WeightStore(plan, streams), {name: values[name].data["v"][0] for name in plan.populations}


def standalone(folder: Path, network: nc.Circuit, traces: str, seconds: float, dtype: str) -> dict[str, Program]:
    """Build the program of the package and the one by hand, each run once."""
    programs = {}
    begin = spent()
    engine = nc.Brian2(dt=DT, device="cpp_standalone", dtype=dtype, directory=str(folder / "package"))
    nc.run(network, phases(seconds), engine, progress=False)
    programs["package"] = Program(folder / "package", spent() - begin)
    begin = spent()
    store, start = drawn(network)
    with owned("numpy", dtype, "cpp_standalone", str(folder / traces)) as b2:
        by_hand = ByHand(b2, store, traces, start)
        by_hand.network.run(seconds * b2.second, namespace={})
        b2.device.build(directory=str(folder / traces), compile=True, run=True, with_output=False)
    programs["by hand"] = Program(folder / traces, spent() - begin)
    return programs


def in_turn(programs: dict[str, Program], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return user CPU seconds of each round and the peaks of memory, of programs that run in turn."""
    laps: dict[str, list[float]] = {name: [] for name in programs}
    peaks = dict.fromkeys(programs, 0.0)
    for _ in range(rounds):
        for name, program in programs.items():
            seconds, peak = program.run()
            laps[name].append(seconds)
            peaks[name] = max(peaks[name], peak)
    return laps, peaks


class Live:
    """The network live in the package, advanced in stretches."""

    def __init__(self, network: nc.Circuit, seconds: float, target: str, dtype: str) -> None:
        plan, engine = compile_circuit(network), nc.Brian2(dt=DT, target=target, dtype=dtype)
        self.simulation = engine.open(plan, Streams(0))
        self.phase = nc.Phase("learn", duration=seconds)
        self.simulation.prepare(nc.Protocol([self.phase]))
        self.simulation.begin(self.phase)

    def __call__(self) -> None:
        """Advance by a stretch."""
        feed = Feed(lambda start, size: self.phase.batch(start, size, Streams(0)), 1)
        self.simulation.go(feed, lambda readings: False)


def live(network: nc.Circuit, traces: str, seconds: float, dtype: str, rounds: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of stretches of both networks, live with compiled steps, in turn."""
    package = Live(network, seconds, "cython", dtype)
    store, start = drawn(network)
    with owned("cython", dtype) as b2:
        by_hand = ByHand(b2, store, traces, start)
    package()
    laps: tuple[list[float], list[float]] = ([], [])
    for k in range(rounds + 1):
        begin = time.thread_time()
        package()
        middle = time.thread_time()
        with owned("cython", dtype) as b2:
            begun = time.thread_time()
            by_hand.network.run(seconds * b2.second, namespace={})
            end = time.thread_time()
        if k:
            laps[0].append(middle - begin)
            laps[1].append(end - begun)
    return laps


def run(quick: bool = False) -> list[Result]:
    """Time both forms of the script by hand; the better one counts, so each must be met."""
    network, seconds, rounds = (circuit(200), 5.0, 3) if quick else (circuit(), 3.0, ROUNDS)
    what = "10 000 cells, 2 million synapses" if not quick else "250 cells"
    found, dtypes = [], ("float64",) if quick else ("float64", "float32")
    for dtype in dtypes:
        for traces in CHANGES:
            against = f"by hand, traces per {traces}"
            with tempfile.TemporaryDirectory() as folder:
                programs = standalone(Path(folder), network, traces, seconds, dtype)
                laps, peaks = in_turn(programs, rounds)
            name = f"{what}, compiled program, {dtype}, {seconds:g} s"
            found.append(result(name, laps["package"], laps["by hand"], "s", against, None if quick else LIMIT))
            whole = [[programs[n].building + lap for lap in laps[n]] for n in ("package", "by hand")]
            limit = None if quick else LIMIT_WITH_BUILDING
            found.append(result(f"{name}, with building", *whole, "s", against, limit))
            found.append(result(f"{name}, memory", [peaks["package"]], [peaks["by hand"]], "MB", against))
    with one_thread():
        for traces in CHANGES:
            laps_live = live(network, traces, 0.1 if quick else 0.5, "float64", rounds)
            name = f"{what}, live, Cython, float64, {0.1 if quick else 0.5:g} s"
            against = f"by hand, traces per {traces}"
            found.append(result(name, *laps_live, "s", against, None if quick else LIMIT))
    return found
