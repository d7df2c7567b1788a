"""The protocol of balance: phases, switches, and what is recorded in each."""

from __future__ import annotations

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.models import vogels2011
from neurocircuits.protocols import balance


def test_weights_move_in_the_middle_phase_alone() -> None:
    """Rejects plasticity that stays on for a probe, samples of all phases, and stretches without a snapshot."""
    protocol = balance.protocol(
        "0.1 s", "0.2 s", "0.1 s", "50 ms", ("cell",), ("v",), "5 ms", weights=["I_to_cell"], weights_every=1
    )
    tree = nc.run(vogels2011.feedforward(), protocol, nc.Brian2(dt="0.1 ms", method="euler"), progress=False)
    w = tree["/synapses/I_to_cell"].ds
    assert w["phase"].values.tolist() == ["initial", "before", *["learn"] * 4, "after"]
    moved = np.abs(np.diff(w["w"].values, axis=0)).max(axis=1) > 0
    assert moved.tolist() == [False, True, True, True, True, False]
    sampled = tree["/populations/cell"].ds["phase"].values
    assert [int((sampled == name).sum()) for name in ("before", "learn", "after")] == [20, 0, 20]
    assert list(tree["/spikes"].children) == ["cell"]


def test_a_stretch_divides_the_time_of_learning() -> None:
    with pytest.raises(nc.ValidationError, match=r"balance: learn of 2 s is no multiple of the stretch of 1\.5 s"):
        balance.protocol(learn="2 s")
    assert [phase.name for phase in balance.protocol(after=None).phases] == ["before", "learn"]
