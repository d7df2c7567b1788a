"""The demonstration: one circuit learns features of digits on both engines; what it learned is compared and drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurocircuits.cli.reports import table
from neurocircuits.errors import StorageError

if TYPE_CHECKING:
    import xarray as xr

    from neurocircuits.declare.circuit import Circuit
    from neurocircuits.declare.protocol import Protocol

CIRCUIT: dict[str, Any] = {
    "n_sensory": 64,
    "n_excitatory": 16,
    "n_inhibitory": 8,
    "p": 0.3,
    "q": 1.0,
    "kappa": 0.05,
    "gain_floor": 0.002,
    "eta_excitatory": "4 Hz",
    "eta_inhibitory": "6 Hz",
    "eta_gain": "40 Hz",
}
"""Settings of the circuit. The floor of the gain keeps the loop soft enough for an explicit step of 0.0125 tau."""
BATCH = 100
N_IMAGES = 1700
N_EPOCHS = 12
STEADY, CONTINUOUS = "steady states", "continuous time"
SETTLE, LEARN, DT = "30 ms", "5 ms", "0.0625 ms"


def run_demo(
    out: Path, say: Callable[[str], Any] = print, n_images: int = N_IMAGES, n_epochs: int = N_EPOCHS, seed: int = 0
) -> dict[str, Any]:
    """Learn with both engines from the same seed, say how they compare, and write figures and results.

    Parameters
    ----------
    out : Path
        Folder for ``steady-state.zarr``, ``brian2.zarr``, ``untrained.zarr`` and the pictures; made if missing.
    say : callable
        What prints a text.
    n_images : int
        How many of the digits, a multiple of 100, because both engines learn on the mean of 100 presentations.
    n_epochs : int
        How often they are gone through.
    seed : int
        Seed of weights and orders.

    Returns
    -------
    dict of str to xarray.DataTree
        The results: ``steady-state``, ``brian2`` and ``untrained``.

    Raises
    ------
    StorageError
        If the folder cannot be made or written; nothing has run in the first case.
    """
    from neurocircuits import datasets
    from neurocircuits.engines.brian2_engine import Brian2
    from neurocircuits.engines.steady_state import SteadyState
    from neurocircuits.models import seung2018
    from neurocircuits.results.storage import save
    from neurocircuits.simulation import run

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder '{out}' cannot be made: {error}. Name another one.") from error
    data, _ = datasets.digits().unit_power()
    circuit = seung2018.circuit(**CIRCUIT)
    protocol = learn_and_probe(data[:n_images], n_epochs)
    cells = ", ".join(f"{population.n_units} {population.name}" for population in circuit.populations)
    say(f"{circuit.name} ({cells}) on {n_images} digits, gone through {n_epochs} times, {BATCH} at a time; seed {seed}")
    trees = {}
    for engine in (SteadyState(batch=BATCH), Brian2(dt=DT, batch=BATCH)):
        trees[engine.name] = run(circuit, protocol, engine=engine, seed=seed)
        say(f"  {engine.name}: {trees[engine.name].attrs['wall_time']:.1f} s")
    gain = float(np.median(trees["steady-state"]["/slow/E"].ds["gain"].values[-1]))
    control = seung2018.circuit(**CIRCUIT, initial_gain=gain)
    trees["untrained"] = run(control, learn_and_probe(data[:n_images], 0), engine=SteadyState(batch=BATCH), seed=seed)

    say(f"\nThe two engines agree, from the same seed:\n{comparison_table(trees['steady-state'], trees['brian2'])}")
    say(f"\nBalance and decorrelation; the untrained circuit has the same gain:\n{measures_table(trees)}")
    for name, tree in trees.items():
        save(tree, out / f"{name}.zarr", overwrite=True)
    pictures = draw_all(circuit, trees, out)
    say(f"\nWritten to {out}: {', '.join([*pictures, *(f'{name}.zarr' for name in trees)])}")
    return trees


def learn_and_probe(data: Any, n_epochs: int) -> Protocol:
    """Return the protocol: in each presentation the circuit settles, then learns; at the end it is probed.

    Parameters
    ----------
    data : Dataset
        Images of unit power.
    n_epochs : int
        How often it learns from all of them; 0 probes only.
    """
    from neurocircuits.declare.protocol import Phase, Protocol, Record, Window
    from neurocircuits.declare.stimulus import Patterns

    images = Patterns(data.values, labels=data.labels, duration="50 ms")
    probe = Phase("probe", {"S": images}, plasticity=False, record=Record("r", "excitation", "inhibition"))
    if not n_epochs:
        return Protocol([probe], name="probe")
    windows = (Window(SETTLE, plastic=False), Window(LEARN))
    learn = Phase("learn", {"S": images.shuffled()}, epochs=n_epochs, timetable=windows)
    return Protocol([learn, probe], name="learn and probe")


def comparison_table(a: xr.DataTree, b: xr.DataTree) -> str:
    """Return how weights, gains and rates of two results differ."""
    from neurocircuits.analysis import compare

    wanted = {
        ("/synapses/S_to_E/w", "learn"): "weights S to E, learned",
        ("/synapses/E_to_I/w", "learn"): "weights E to I, learned",
        ("/slow/E/gain", "learn"): "gains of E, learned",
        ("/populations/E/r", "probe"): "rates of E, probed",
        ("/populations/I/r", "probe"): "rates of I, probed",
    }
    data = compare(a, b).to_dataset()
    keys = list(zip(data["variable"].values.tolist(), data["phase"].values.tolist(), strict=True))
    rows = []
    for key, text in wanted.items():
        k = keys.index(key)
        relative, correlation = (float(data[name].values[k]) for name in ("relative", "correlation"))
        rows.append((text, f"{100 * relative:.1f} %", f"{correlation:.4f}"))
    return table(rows, ["", "rms difference", "correlation"])


def measures_table(trees: dict[str, xr.DataTree]) -> str:
    """Return balance, decorrelation and diversity of each result, one column each."""
    columns = {name: _measures(tree) for name, tree in trees.items()}
    first = next(iter(columns.values()))
    return table([(row, *(column[row] for column in columns.values())) for row in first], ["", *columns])


def _measures(tree: xr.DataTree) -> dict[str, str]:
    from neurocircuits import analysis

    balance = analysis.ei_balance(tree)
    cosines = analysis.decorrelation(tree, p=CIRCUIT["p"], q=CIRCUIT["q"])
    rates = tree["/populations/E"].ds["r"].values
    return {
        "inhibition on excitation, slope": f"{float(balance['slope']):.3f}",
        "inhibition and excitation, correlation": f"{float(balance['correlation']):.3f}",
        "mean cosine of E cells": f"{float(cosines['mean_cosine']):.3f} (bound {float(cosines['bound']):.3f})",
        "largest cosine": f"{float(cosines['largest_cosine']):.3f}",
        "silent cells": f"{int(cosines['silent'].sum())} of {rates.shape[1]}",
        "median power (target 1)": f"{float(np.median((rates**2).mean(axis=0))):.2f}",
        "pairs of features alike (cosine > 0.9)": str(int(analysis.duplicate_features(tree)["n_pairs"])),
    }


def draw_all(circuit: Circuit, trees: dict[str, xr.DataTree], out: Path) -> list[str]:
    """Write network, features, comparison and balance, each and together, and return the names of the files."""
    from neurocircuits import plotting

    a, b = trees["steady-state"], trees["brian2"]
    drawings: dict[str, tuple[tuple[float, float], list[Callable[[Any], None]]]] = {
        "network": ((3.2, 2.4), [lambda ax: _network(ax, circuit)]),
        "features": ((5.4, 2.9), [lambda ax: _features(ax, a, STEADY), lambda ax: _features(ax, b, CONTINUOUS)]),
        "comparison": ((5.4, 2.7), [lambda ax: _weights(ax, a, b), lambda ax: _rates(ax, a, b)]),
        "balance": ((2.9, 2.9), [lambda ax: _balance(ax, b)]),
    }
    everything = [draw for _, draws in drawings.values() for draw in draws]
    with plotting.style():
        for name, (size, draws) in drawings.items():
            figure, axes = plotting.panels(1, len(draws), size=size)
            for ax, draw in zip(np.ravel(axes), draws, strict=True):
                draw(ax)
            figure.savefig(out / f"{name}.png", dpi=150)
        figure, axes = plotting.panels(2, 3, size=(8.4, 5.6))
        for ax, draw in zip(np.ravel(axes), everything, strict=True):
            draw(ax)
        plotting.panel_letters(np.ravel(axes))
        figure.savefig(out / "demo.png", dpi=110)
    return [f"{name}.png" for name in ("demo", *drawings)]


def _network(ax: Any, circuit: Circuit) -> None:
    from neurocircuits import plotting

    plotting.network(ax, circuit)
    ax.set_title("the circuit, declared once")


def _features(ax: Any, tree: xr.DataTree, title: str) -> None:
    from neurocircuits import analysis, plotting

    fields = analysis.receptive_fields(tree).values
    padded = np.pad(fields, ((0, 0), (1, 1), (1, 1)))  # the digits fill their images from top to bottom
    plotting.mosaic(ax, padded.reshape(len(fields), -1), padded.shape[1:], scale="each")
    ax.set_title(f"features, {title}")


def _weights(ax: Any, a: xr.DataTree, b: xr.DataTree) -> None:
    from neurocircuits import plotting

    x, y = (tree["/synapses/S_to_E"].ds["w"].values[-1].ravel() for tree in (a, b))
    _identity(ax, x, y, plotting.EXCITATORY, 0.5)
    ax.set(title="weights S to E", xlabel=STEADY, ylabel=CONTINUOUS)


def _rates(ax: Any, a: xr.DataTree, b: xr.DataTree) -> None:
    from neurocircuits import plotting

    x, y = (tree["/populations/E"].ds["r"].values.ravel() for tree in (a, b))
    _identity(ax, x, y, plotting.NEUTRAL, 0.1)
    ax.set(title="rates of E", xlabel=STEADY, ylabel=CONTINUOUS)


def _identity(ax: Any, x: np.ndarray, y: np.ndarray, colour: str, alpha: float) -> None:
    from neurocircuits import plotting

    end = 1.05 * max(float(x.max()), float(y.max()))
    ax.plot([0, end], [0, end], color=plotting.FAINT, linestyle="--", linewidth=1, zorder=1.5)
    ax.scatter(x, y, s=4, color=colour, alpha=alpha, linewidths=0, rasterized=True)
    ax.set(xlim=(0, end), ylim=(0, end), aspect="equal")


def _balance(ax: Any, tree: xr.DataTree) -> None:
    from neurocircuits import analysis, plotting

    rates, excitation, inhibition = (
        tree["/populations/E"].ds[name].values for name in ("r", "excitation", "inhibition")
    )
    shown = rates > float(analysis.ei_balance(tree).attrs["threshold"]) * np.sqrt(np.mean(rates**2))
    plotting.scatter_balance(ax, excitation, inhibition, active=shown, colour=plotting.NEUTRAL)
    ax.set_title("balance of active E cells")
