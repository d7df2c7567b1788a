"""How a spiking network with inhibitory plasticity grows, 2500 to 40 000 cells: time per event, bytes per synapse."""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
from pathlib import Path

import neurocircuits as nc
from benchmarks.harness import Result, child, peak_memory, result
from benchmarks.vogels_recurrent import DT, Live, Program, circuit, in_turn, phases

LIMIT_BYTES = 40.0  # of a plastic synapse, which leaves no room for traces of its own in double precision
SIZES, QUICK_SIZES = (2500, 5000, 10_000, 20_000, 40_000), (250, 500)
IN_DEGREE = (160, 40)  # those of the network of 10 000 cells with 2 % of all synapses
SECONDS, ROUNDS = 2.0, 5


def network(n_cells: int, in_degree: tuple[int, int] = IN_DEGREE) -> nc.Circuit:
    """Return the network with four excitatory cells for each inhibitory one."""
    return circuit(4 * n_cells // 5, in_degree)


def program(folder: Path, n_cells: int, in_degree: tuple[int, int], seconds: float) -> tuple[Program, float]:
    """Build a program, and return with it how many events its synapses receive."""
    engine = nc.Brian2(dt=DT, device="cpp_standalone", directory=str(folder))
    tree = nc.run(network(n_cells, in_degree), phases(seconds, nc.Record(spikes=True)), engine, progress=False)
    spikes = {name: tree[f"/spikes/{name}"].ds["unit"].size for name in "EI"}
    n_cells_of = {"E": 4 * n_cells // 5, "I": n_cells // 5}
    # a cell of a population has in-degree x (cells of all populations) / (cells of its own) synapses on average
    events = sum(spikes[name] * k * n_cells / n_cells_of[name] for name, k in zip("EI", in_degree, strict=True))
    return Program(folder, 0.0), events


def bytes_of_synapses(peaks: dict[tuple[int, int], float], n_cells: int, in_degree: tuple[int, int]) -> list[float]:
    """Return the bytes of a static and of a plastic synapse, from the peaks in MB of three networks.

    One has twice the excitatory in-degree, which adds static synapses only, one twice the inhibitory in-degree, which
    adds plastic ones on excitatory cells and static ones on inhibitory cells.
    """
    (k_e, k_i), n_i = in_degree, n_cells // 5
    n_e = n_cells - n_i
    static = (peaks[2 * k_e, k_i] - peaks[k_e, k_i]) * 2**20 / (k_e * n_cells)
    plastic = ((peaks[k_e, 2 * k_i] - peaks[k_e, k_i]) * 2**20 - static * k_i * n_i) / (k_i * n_e)
    return [static, plastic]


def run(quick: bool = False) -> list[Result]:
    """Time programs of growing size in turn, and measure what synapses add to programs and to live networks."""
    sizes, seconds, rounds = (QUICK_SIZES, 1.0, 2) if quick else (SIZES, SECONDS, ROUNDS)
    in_degree = (40, 10) if quick else IN_DEGREE
    found = []
    with tempfile.TemporaryDirectory() as folder:
        built = {f"{n}": program(Path(folder) / str(n), n, in_degree, seconds) for n in sizes}
        laps, _ = in_turn({name: made for name, (made, _) in built.items()}, rounds)
        per_event = {name: [1e9 * lap / built[name][1] for lap in laps[name]] for name in built}
        smallest, *others = built
        for name in others:
            rate = built[name][1] / seconds
            text = f"{name} cells, {sum(in_degree) * int(name):,} synapses, {rate:.3g} events per second of the network"
            found.append(result(text, per_event[name], per_event[smallest], "ns per event", f"{smallest} cells"))
    n_cells = sizes[-1] if quick else 20_000
    more = [in_degree, (2 * in_degree[0], in_degree[1]), (in_degree[0], 2 * in_degree[1])]
    peaks = {}
    for degrees in more:
        with tempfile.TemporaryDirectory() as folder:
            made, _ = program(Path(folder) / "program", n_cells, degrees, 0.1)
            peaks["program", degrees] = made.run()[1]
        peaks["live", degrees] = child("-m", "benchmarks.vogels_scaling", str(n_cells), *map(str, degrees))
    for mode in ("program", "live"):
        static, plastic = bytes_of_synapses({d: peaks[mode, d] for d in more}, n_cells, in_degree)
        found.append(
            result(
                f"{n_cells} cells, {mode}, a plastic synapse",
                [max(plastic, 1e-9)],
                [max(static, 1e-9)],
                "bytes",
                "a static synapse",
                None if quick else LIMIT_BYTES,
                "value",
            )
        )
    return found


def held() -> float:
    """Return the memory that this process holds now, in MB; its peak where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return peak_memory()


if __name__ == "__main__":
    live = Live(network(int(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3]))), 0.01, "cython", "float64")
    live()
    gc.collect()
    print(held())
