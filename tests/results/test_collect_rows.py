"""What a record asks for is what is kept: snapshots of weights alone take no row for each presentation."""

from __future__ import annotations

import numpy as np

import neurocircuits as nc
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
