"""What a live spiking network needs besides its objects: random numbers of its own, and spikes taken out on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.randomness import Streams


class RandomState:
    """The random numbers that a live network draws: its own while it runs, the caller's when it does not.

    Parameters
    ----------
    streams : Streams
        Named random streams.
    plan : Plan
        The plan.
    """

    def __init__(self, streams: Streams, plan: Plan) -> None:
        self._seed = int(streams.generator("brian2").integers(2**31))
        self.used = any(p.random or "rand" in p.threshold for p in plan.driven.values())
        self.state: dict[str, Any] | None = None

    def seed(self, b2: Any) -> None:
        """Start from the seed."""
        if not self.used:
            return
        device = b2.get_device()
        callers = device.get_random_state()
        b2.seed(self._seed)
        self.state = device.get_random_state()
        device.set_random_state(callers)

    @contextmanager
    def own(self, b2: Any) -> Iterator[None]:
        """Let the network draw its own numbers, and give the caller's back."""
        if not self.used:
            yield
            return
        device = b2.get_device()
        callers = device.get_random_state()
        device.set_random_state(self.state)
        try:
            yield
        finally:
            self.state = device.get_random_state()
            device.set_random_state(callers)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name."""
        if self.state is None:
            return {}
        _, keys, position, has_gauss, cached = self.state["numpy_state"]
        own = {key: np.array(value) for key, value in self.state.items() if key != "numpy_state"}
        own |= {"keys": np.array(keys), "position": np.array([position, has_gauss]), "cached": np.array(cached)}
        return {f"random/{key}": value for key, value in own.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a state back."""
        own = {key.removeprefix("random/"): np.array(v) for key, v in arrays.items() if key.startswith("random/")}
        if own:
            keys, (position, has_gauss), cached = own.pop("keys"), own.pop("position"), own.pop("cached")
            self.state = own | {"numpy_state": ("MT19937", keys, int(position), int(has_gauss), float(cached))}


class SpikeRecorder:
    """Record spikes of groups, and take them out at the end of each presentation so that memory does not grow.

    Parameters
    ----------
    b2 : module
        Brian 2.
    groups : dict
        Groups by population.
    """

    def __init__(self, b2: Any, groups: Mapping[str, Any]) -> None:
        self.monitors = {name: b2.SpikeMonitor(group, name=f"spikes_{name}") for name, group in groups.items()}

    def drain(self, onset: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the units that fired since the last call and when, in seconds since ``onset``."""
        taken = {}
        for name, monitor in self.monitors.items():
            units = np.array(monitor.variables["i"].get_value(), dtype=np.int32)
            taken[name] = (units, np.array(monitor.variables["t"].get_value()) - onset)
            monitor.resize(0)
            monitor.variables["N"].set_value(0)
        return taken
