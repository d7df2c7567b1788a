"""Networks that learn delayed addition: settings, and training that goes on where a checkpoint ended."""

from __future__ import annotations

from typing import Any

from neurocircuits.protocols import addition
from neurocircuits.reproduce import figure_cache

# 50 units, 50 sequences an update, RMSProp with momentum and gradients clipped at 1 as in the group's public code, but
# at a rate of 1e-3; a pass has 5000 new sequences. "reached" is the share of the baseline at which training stops. The
# plain network stays at the baseline with RMSProp at any rate from 1e-4 to 3e-3, so it has Adam and a rate that falls.
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"length": 8, "long": 0, "units": 20, "epochs": 12, "rate": 5e-3, "reached": 0.1, "n": 1000},
    False: {"length": 50, "long": 200, "units": 50, "epochs": 100, "rate": 1e-3, "reached": 0.01, "n": 5000},
}
OWN: dict[str, dict[str, Any]] = {"RNN": {"optimiser": "adam", "decay": 0.97, "decay_after": 60}}
LONGER = {"RNN": 2}  # times as many passes at most


def task(quick: bool, length: int | None = None) -> Any:
    """Return delayed addition over as many steps as the setting says, or over ``length``."""
    s = SETTINGS[quick]
    return addition.delayed(length or s["length"], sizes={"train": s["n"], "validation": 1000, "test": 2000})


def trained(quick: bool, what: Any, cell: str, seed: int, epochs: int | None = None, stop: bool = True) -> Any:
    """Return a network trained until it is below a share of the baseline, and its result.

    Parameters
    ----------
    quick : bool
        Setting; without checkpoints if quick.
    what : Task
        What it learns.
    cell : str
        Kind of its layers.
    seed : int
        Seed.
    epochs : int, optional
        Passes at most, if not those of the setting.
    stop : bool
        Whether it stops there.
    """
    import neurocircuits.recurrent as recurrent

    s = SETTINGS[quick]
    most = s["epochs"] * LONGER.get(cell, 1)
    training = recurrent.Training(epochs=epochs or most, batch=50, rate=s["rate"], **OWN.get(cell, {}))
    name = f"{what.name}, {cell}, {training.epochs}, {seed}.pt".replace(" ", "_")
    file = None if quick else figure_cache() / "costa2017_addition" / name
    below = s["reached"] * what.baselines["mean"] if stop else None
    kind = getattr(recurrent, cell)
    return recurrent.train(what, kind, s["units"], training, seed=seed, checkpoint=file, stop_below=below)
