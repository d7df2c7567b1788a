"""What a live spiking network needs besides its objects: random numbers of its own, arrivals, and spikes taken out."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from neurocircuits.compile.plan import Plan
from neurocircuits.errors import UnsupportedError
from neurocircuits.randomness import Streams

_BUFFERS = ("rand", "randn")


class RandomState:
    """The random numbers that a live network draws: its own while it runs, the caller's when it does not.

    They come from NumPy's global generator, and in compiled steps from buffers that Brian 2 fills from it.

    Parameters
    ----------
    streams : Streams
        Named random streams.
    plan : Plan
        The plan.
    """

    def __init__(self, streams: Streams, plan: Plan) -> None:
        self._seed = int(streams.generator("brian2").integers(2**31))
        self.used = plan.random
        self._numpy: Any = np.random.RandomState(self._seed).get_state()
        self._buffers = {name: np.zeros(1, dtype=np.intp) for name in _BUFFERS}  # addresses of buffers
        self._indices = {name: np.zeros(1, dtype=np.int32) for name in _BUFFERS}  # numbers taken; 0: fill it anew

    @contextmanager
    def own(self, b2: Any) -> Iterator[None]:
        """Let the network draw its own numbers, and give the caller's back."""
        if not self.used:
            yield
            return
        device = b2.get_device()
        self._swap(device)
        try:
            yield
        finally:
            self._swap(device)

    def _swap(self, device: Any) -> None:
        callers = np.random.get_state()  # noqa: NPY002, Brian 2 draws from this generator
        np.random.set_state(self._numpy)  # noqa: NPY002
        self._numpy = callers
        for name in _BUFFERS:
            for ours, theirs in (
                (self._buffers[name], getattr(device, f"{name}_buffer")),
                (self._indices[name], getattr(device, f"{name}_buffer_index")),
            ):
                ours[:], theirs[:] = theirs.copy(), ours.copy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name."""
        if not self.used:
            return {}
        _, keys, position, has_gauss, cached = self._numpy
        state = {"keys": np.array(keys), "position": np.array([position, has_gauss]), "cached": np.array([cached])}
        for name in _BUFFERS:
            state[f"{name}_index"] = self._indices[name].copy()
            if address := int(self._buffers[name][0]):
                state[f"{name}_buffer"] = np.array((ctypes.c_double * _size()).from_address(address))
        return {f"random/{key}": value for key, value in state.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a state back."""
        state = {key.removeprefix("random/"): value for key, value in arrays.items() if key.startswith("random/")}
        if not state:
            return
        position, has_gauss = state["position"].tolist()
        self._numpy = ("MT19937", np.array(state["keys"]), position, has_gauss, float(state["cached"][0]))
        for name in _BUFFERS:
            self._indices[name][:] = state[f"{name}_index"]
            if f"{name}_buffer" in state:
                values = np.ascontiguousarray(state[f"{name}_buffer"], dtype=float)
                memory = ctypes.CDLL(None).malloc  # compiled steps free what they have used up
                memory.restype, memory.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
                address = memory(values.nbytes)
                ctypes.memmove(address, values.ctypes.data, values.nbytes)
                self._buffers[name][:] = address


def _size() -> int:
    from brian2.codegen.generators.cython_generator import _BUFFER_SIZE

    return int(_BUFFER_SIZE)


class SpikeRecorder:
    """Record spikes of groups, and take them out at the end of each presentation so that memory does not grow.

    Parameters
    ----------
    b2 : module
        Brian 2.
    groups : dict
        Groups by population.
    copies : int
        Copies of every population, one after the other in a group.
    """

    def __init__(self, b2: Any, groups: Mapping[str, Any], copies: int = 1) -> None:
        self._sizes = {name: len(group) // copies for name, group in groups.items()}
        self.monitors = {name: b2.SpikeMonitor(group, name=f"spikes_{name}") for name, group in groups.items()}

    def drain(self, onset: float) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the units that fired since the last call, when, in seconds since ``onset``, and in which copy."""
        taken = {}
        for name, monitor in self.monitors.items():
            copy, unit = np.divmod(np.array(monitor.variables["i"].get_value(), dtype=np.int32), self._sizes[name])
            taken[name] = (unit, np.array(monitor.variables["t"].get_value()) - onset, copy)
            monitor.resize(0)
            monitor.variables["N"].set_value(0)
        return taken


class OnTheirWay:
    """Spikes that have left and not arrived, by time step.

    Parameters
    ----------
    name : str
        Name, the same in another process.

    Attributes
    ----------
    waiting : deque
        Units that fired in each of the last time steps.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Any] = deque()

    def state(self) -> dict[str, np.ndarray]:
        """Return the spikes on their way as arrays by name."""
        lengths = np.array([len(units) for units in self.waiting], dtype=np.int64)
        units = np.array([unit for units in self.waiting for unit in units], dtype=np.int32)
        return {f"network/{self.name}/lengths": lengths, f"network/{self.name}/queued": units}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Put the spikes on their way back."""
        ends = np.cumsum(state[f"network/{self.name}/lengths"])
        parts = np.split(state[f"network/{self.name}/queued"], ends[:-1]) if len(ends) else []
        self.waiting = deque([self._kept(part) for part in parts])

    def forget(self) -> None:
        """Let none be on its way."""
        self.waiting = deque([self._kept(np.zeros(0, np.int32)) for _ in self.waiting])

    def _kept(self, units: np.ndarray) -> Any:
        return units


class Arrivals(OnTheirWay):
    """Raise traces of a live group a delay after its units fire.

    Parameters
    ----------
    b2 : module
        Brian 2.
    clock : Clock
        Clock of the group.
    group : NeuronGroup
        The group.
    delay : float
        In seconds.
    traces : list of str
        Traces, variables of the group.
    name : str
        Name, the same in another process.
    """

    def __init__(self, b2: Any, clock: Any, group: Any, delay: float, traces: list[str], name: str) -> None:
        super().__init__(name)
        # few units fire in a time step, and single items of a memoryview cost less than a call of NumPy
        self._fired = memoryview(group.variables["_spikespace"].get_value())  # units, and last how many of them count
        self._raised: list[Any] = [memoryview(group.variables[trace].get_value()) for trace in traces]
        self.waiting = deque([[]] * round(delay / float(clock.dt_)))
        self.operation = b2.NetworkOperation(self._step, clock=clock, when="synapses", order=-1)

    def _step(self) -> None:
        self.waiting.append(self._fired[: self._fired[-1]].tolist())
        for unit in self.waiting.popleft():
            for trace in self._raised:
                trace[unit] += 1.0

    def _kept(self, units: np.ndarray) -> list[int]:
        return [int(unit) for unit in units]


def network_state(objects: Iterable[Any], clock: Any) -> dict[str, np.ndarray]:
    """Return what changes in groups and synapses besides what simulations keep: variables, and spikes on their way.

    Parameters
    ----------
    objects : iterable
        Groups, synapses and what is on its way, under names that another process gives them, too.
    clock : Clock
        Their clock.

    Raises
    ------
    UnsupportedError
        If spikes on their way cannot be read.
    """
    state = {"network/timestep": np.array(clock.variables["timestep"].get_value())}
    for owner in objects:
        if isinstance(owner, OnTheirWay):
            state |= owner.state()
            continue
        for name, variable in _own(owner).items():
            state[f"network/{owner.name}/{name}"] = np.array(variable.get_value())
        for pathway in getattr(owner, "_pathways", ()):
            if pathway.queue is None:
                continue
            offset, rows = _queued(pathway.queue)
            lengths = np.array([offset, *(len(row) for row in rows)], dtype=np.int64)
            state[f"network/{pathway.name}/lengths"] = lengths
            state[f"network/{pathway.name}/queued"] = np.array([k for row in rows for k in row], dtype=np.int32)
    return state


def _queued(queue: Any) -> tuple[int, list[Any]]:
    """Return the offset of a queue and the synapses to which spikes are on their way, by time step."""
    state = queue._full_state()
    if len(state) != 2:
        raise UnsupportedError(
            "Brian2: this installation has no compiled spike queue, whose spikes can be kept. Install Brian 2 from a "
            "wheel, or run without checkpoints and restarts."
        )
    return state[0], state[1]


def forget_spikes(objects: Iterable[Any]) -> None:
    """Let no spike be on its way."""
    for owner in objects:
        if isinstance(owner, OnTheirWay):
            owner.forget()
            continue
        for pathway in getattr(owner, "_pathways", ()):
            if pathway.queue is not None:
                offset, rows = _queued(pathway.queue)
                pathway.queue._restore_from_full_state((offset, [[] for _ in rows]))


def load_network(objects: Iterable[Any], network: Any, clock: Any, state: Mapping[str, np.ndarray], b2: Any) -> None:
    """Put the state of groups and synapses back."""
    for owner in objects:
        if isinstance(owner, OnTheirWay):
            owner.load(state)
            continue
        for name, variable in _own(owner).items():
            variable.get_value()[...] = state[f"network/{owner.name}/{name}"]
        for pathway in getattr(owner, "_pathways", ()):
            if f"network/{pathway.name}/lengths" in state:
                offset, *lengths = state[f"network/{pathway.name}/lengths"].tolist()
                parts = np.split(state[f"network/{pathway.name}/queued"], np.cumsum(lengths)[:-1])
                if pathway.queue is None:
                    pathway.queue = b2.get_device().spike_queue(pathway.source.start, pathway.source.stop)
                pathway.queue._restore_from_full_state((offset, [part.tolist() for part in parts]))
    timestep = state["network/timestep"]
    clock.variables["timestep"].get_value()[...] = timestep
    clock.variables["t"].get_value()[...] = timestep * float(clock.dt_)
    network.t_ = float(timestep[0]) * float(clock.dt_)


def _own(owner: Any) -> dict[str, Any]:
    """Return the variables of an object that change while it runs."""
    from brian2.core.variables import ArrayVariable

    return {
        name: variable
        for name, variable in owner.variables.items()
        if isinstance(variable, ArrayVariable)
        and variable.owner is not None
        and variable.owner.name == owner.name
        and not variable.constant
        and name not in ("_spikespace", "delay", "w")  # weights are kept by their owners
        and not name.startswith("_synaptic")
    }
