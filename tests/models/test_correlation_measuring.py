"""The rule that measures correlations, against its fixed point."""

from __future__ import annotations

import numpy as np

import neurocircuits as nc


def test_a_weight_becomes_the_covariance_over_the_means() -> None:
    """Rejects a rule that subtracts another product of means, or lets weights of cells that avoid each other be."""
    generator = np.random.default_rng(0)
    common = generator.uniform(0, 1, (400, 1))
    rates = {"A": common + generator.uniform(0, 0.5, (400, 3)), "B": np.hstack([common, 1 - common])}
    cell = "r = drive : 1\nx : 1 (input)\ndmean/dt = (r - mean)/(50*ms) : 1 (slow)"
    circuit = nc.Circuit(
        "measured",
        [
            *(nc.Population(f"S{name}", each.shape[1]) for name, each in rates.items()),
            *(nc.Population(name, each.shape[1], cell, initial={"mean": 0.5}) for name, each in rates.items()),
        ],
        [
            *(nc.Synapses(f"S{name}", name, connectivity=nc.OneToOne()) for name in rates),
            nc.Synapses("A", "B", input="x", weights=0.2, rule=nc.CorrelationMeasuring("20 Hz")),
        ],
    )
    shown = {f"S{name}": nc.Patterns(each, duration="20 ms") for name, each in rates.items()}
    tree = nc.run(circuit, nc.Protocol([nc.Phase("learn", shown, epochs=200)]), nc.SteadyState(batch=400))
    a, b = rates["A"], rates["B"]
    expected = np.maximum(b.T @ a / 400 / np.outer(b.mean(0), a.mean(0)) - 1, 0)
    np.testing.assert_allclose(tree["/synapses/A_to_B"].ds["w"].values[-1], expected, rtol=1e-6, atol=1e-9)
    assert (expected[0] > 0.1).all() and (expected[1] == 0).all()
