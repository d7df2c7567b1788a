"""What a record asks for is what is kept: snapshots of weights alone take no row for each presentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurocircuits as nc
from neurocircuits.models import seung2018
from neurocircuits.results.collect import Collector
from tests.references.circuits import learning_circuit
from tests.test_simulation import images


def test_snapshots_alone_keep_no_rows_and_take_none_from_other_phases() -> None:
    """Rejects: times and labels of every presentation, or the rates that another phase asks for, while learning."""
    stimulus = {"S": nc.Patterns(images(60))}
    phases = [
        nc.Phase("learn", stimulus, record=nc.Record(weights_every=20)),
        nc.Phase("probe", stimulus, plasticity=False, record=nc.Record("r")),
    ]
    tree = nc.run(learning_circuit(), nc.Protocol(phases), nc.SteadyState(batch=10), progress=False)
    assert tree["/populations/E"].ds["r"].shape[0] == 60
    assert set(np.unique(tree["/populations/E"].ds["phase"])) == {"probe"}
    assert tree["/stimuli/S"].ds["index"].shape == (60,) and tree["/diagnostics"].ds["residual"].shape == (60,)
    assert list(tree["/synapses/S_to_E"].ds["phase"].values) == ["initial", *["learn"] * 3, "probe"]


def test_an_interrupt_between_two_variables_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rejects a stored result whose last part has one variable of a group and not the other."""
    put = Collector._put

    def interrupted(self: Collector, key: str, rows: np.ndarray) -> None:
        if self.n_parts == 2 and key.endswith("/inhibition"):
            raise KeyboardInterrupt
        put(self, key, rows)

    monkeypatch.setattr(Collector, "_put", interrupted)
    record = nc.Record("excitation", "inhibition")
    protocol = nc.Protocol([nc.Phase("learn", {"S": nc.Patterns(np.full((40, 64), 0.2))}, record=record)])
    kept = {"store": tmp_path / "run.zarr", "checkpoint": tmp_path / "kept", "checkpoint_every": 0}
    with pytest.raises(nc.InterruptedRun) as caught:
        nc.run(seung2018.bars(), protocol, nc.SteadyState(batch=5), progress=False, **kept)
    data = caught.value.tree["/populations/E"].ds
    assert data.sizes["time"] == 10
    assert data["excitation"].shape == data["inhibition"].shape
