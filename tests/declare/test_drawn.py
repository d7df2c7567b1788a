"""What is drawn for synapses and units: in units, cut, and for each pair."""

from __future__ import annotations

import numpy as np

import neurocircuits as nc
from neurocircuits.declare.serialise import from_dict, to_dict, to_json


def rng() -> np.random.Generator:
    """Return equal random numbers."""
    return np.random.default_rng(0)


def test_values_in_units_are_the_numbers_in_si_units() -> None:
    """Rejects a prefix that is lost, and units that a declaration forgets when it is rebuilt."""
    for with_units, numbers in (
        (nc.Constant("3 nS"), nc.Constant(3e-9)),
        (nc.Uniform("1 nS", "3 nS"), nc.Uniform(1e-9, 3e-9)),
        (nc.Normal("-60 mV", "5 mV"), nc.Normal(-0.06, 0.005)),
        (nc.Lognormal("1.5 ms", 0.5), nc.Lognormal(1.5e-3, 0.5)),
        (nc.Clipped(nc.Normal("1 ms", "1 ms"), "0.1 ms", "2 ms"), nc.Clipped(nc.Normal(1e-3, 1e-3), 1e-4, 2e-3)),
        (nc.Uniform(0, "2 nS") + nc.Uniform("1 nS", "2 nS"), nc.Uniform(0, 2e-9) + nc.Uniform(1e-9, 2e-9)),
    ):
        np.testing.assert_allclose(with_units.draw(rng(), (40, 3)), numbers.draw(rng(), (40, 3)), rtol=1e-15)
        again = from_dict(to_dict(with_units))
        assert again == with_units
        assert to_json(again) == to_json(with_units)
        assert numbers.dimension is None
    synapses = nc.Synapses("S", "E", weights=nc.Uniform("1 nS", "3 nS"))
    assert str(synapses.unit) == "1.0 metre**-2*kilogram**-1*second**3*amp**2"
    assert from_dict(to_dict(synapses)) == synapses


def test_cut_values_keep_what_is_within() -> None:
    """Rejects values that are drawn again, and bounds that are swapped."""
    whole, cut = nc.Normal(1.0, 1.0).draw(rng(), (500,)), nc.Clipped(nc.Normal(1.0, 1.0), 0.5, 2.0).draw(rng(), (500,))
    within = (whole > 0.5) & (whole < 2.0)
    assert np.array_equal(cut[within], whole[within])
    assert np.array_equal(cut[~within], np.where(whole[~within] < 1, 0.5, 2.0))
