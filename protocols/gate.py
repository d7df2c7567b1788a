"""Learn detailed balance, then probe what passes at each of several values of a gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from neurocircuits.declare.checks import is_number
from neurocircuits.declare.interventions import Scale
from neurocircuits.declare.protocol import Phase, Protocol, Record
from neurocircuits.declare.steps import Steps
from neurocircuits.errors import ValidationError
from neurocircuits.units import seconds

GATES = (1.0, 0.75, 0.5, 0.25, 0.0)


def protocol(
    pool: Sequence[int],
    gates: Sequence[float] = GATES,
    pathway: str = "L_to_R",
    balance: Any = None,
    levels: Sequence[float] = (),
    probe: Any = "20 s",
    hold: Any = "4 s",
    stretch: Any = "10 s",
    interval: Any = "1 ms",
    spikes: Sequence[str] = (),
) -> Protocol:
    """Return a protocol of phases "balance", "level_0", "level_1", ..., "gate_0", "gate_1", ..., those asked for.

    Weights learn in "balance" alone. The circuit has populations "signals", whose ``r`` is recorded, and receivers "R",
    whose ``r`` is recorded where they have one; "L_to_R" learns. A gate scales synapses of the pool of one channel; the
    other channels are shut.

    Parameters
    ----------
    pool : sequence of int
        The units of "L" that belong to the channel with the gate.
    gates : sequence of float
        Value of the gate in each probe, from 0 (open) to 1 (shut). Only the last may be 0: weights that were
        multiplied by 0 do not come back.
    pathway : str
        What the gate scales: "L_to_R", the inhibition by the pool, or a pathway onto "L", the drive of the pool.
    balance : quantity, optional
        How long "L_to_R" learns before the probes, with all gates shut: at a fifth of its rate from 30 % of that time
        on, since weights that learn fast follow the signals and keep inhibition from being detailed.
    levels : sequence of float
        Rates in Hz at which all signals are held in turn, with all gates shut.
    probe, hold : quantity
        Duration of each probe of a gate, and of each level.
    stretch : quantity
        Length of the stretches in which the balance is learned, with a snapshot of weights after each; a divisor of
        ``balance``.
    interval : quantity
        Interval of the recording.
    spikes : sequence of str
        Populations whose spikes all phases but the first record.

    Raises
    ------
    ValidationError
        If a gate or a level is not allowed, or a stretch does not divide the time of learning.

    Notes
    -----
    Gates stand for those of Vogels and Abbott (2009), doi:10.1038/nn.2276, who modulate gains in other ways, too.
    Their protocol was not available; the durations are defaults of this package.
    """
    values = tuple(gates)
    if not values or not all(is_number(g) and 0 <= g <= 1 for g in values) or 0 in values[:-1]:
        raise ValidationError(
            f"gate: gates {gates!r} must be one or more numbers from 0 to 1, and only the last may be 0, since weights "
            "that were multiplied by 0 do not come back. Put 0 last."
        )
    if not all(is_number(level) and 0 <= level < math.inf for level in levels):
        raise ValidationError(f"gate: levels {levels!r} must be rates of 0 Hz or more.")
    side = "pre" if pathway == "L_to_R" else "post"
    units = tuple(pool)
    phases = [] if balance is None else [_learning(balance, stretch)]
    record = Record("r", populations=("signals", "R"), interval=interval, spikes=tuple(spikes))
    for k, level in enumerate(levels):
        held = {"signals.mean": float(level), "signals.sd": 0.0}
        phases.append(Phase(f"level_{k}", duration=hold, plasticity=False, parameters=held, record=record))
    for k, (before, value) in enumerate(zip((1.0, *values), values, strict=False)):
        scaled = [] if value == before else [Scale(pathway, value / before, **{side: units})]
        phases.append(Phase(f"gate_{k}", duration=probe, plasticity=False, interventions=scaled, record=record))
    return Protocol(phases, name="gate", weights=("L_to_R",))


def _learning(balance: Any, stretch: Any) -> Phase:
    lasts, length = seconds(balance, "gate: balance"), seconds(stretch, "gate: stretch")
    n = round(lasts / length) if length > 0 else 0
    if n < 1 or abs(n * length - lasts) > 1e-9 * lasts:
        raise ValidationError(f"gate: a balance of {lasts:g} s is no multiple of the stretch of {length:g} s.")
    return Phase(
        "balance",
        duration=length,
        epochs=n,
        plasticity={"L_to_R": Steps((1.0, 0.2), (0.0, 0.3))},
        record=Record(weights_every=1),
    )
