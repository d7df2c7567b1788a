"""The catalogue of published rules refuses values that would turn a rule around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import neurocircuits as nc

RULES: dict[str, Callable[..., Any]] = {
    "Hebbian": nc.Hebbian,
    "AntiHebbian": lambda eta: nc.AntiHebbian(eta, p=0.3),
    "LateralAntiHebbian": lambda eta: nc.LateralAntiHebbian(eta, p=0.3),
    "Oja": nc.Oja,
    "CorrelationMeasuring": nc.CorrelationMeasuring,
    "Foldiak": nc.Foldiak,
    "BCM": nc.BCM,
    "Krotov": lambda eta: nc.Krotov(k=2, eta=eta),
    "Vogels": lambda eta: nc.Vogels(eta, "5 Hz"),
    "PairSTDP": lambda a_plus: nc.PairSTDP(a_plus, 0.1),
}


@pytest.mark.parametrize("name", RULES)
def test_rates_of_learning_are_not_negative(name: str) -> None:
    """A rule of the opposite sign is another rule, and its weights run away."""
    with pytest.raises(nc.ValidationError, match=rf"{name}: (eta|a_plus) = '-2 Hz'; 0 or more is needed, and finite"):
        RULES[name]("-2 Hz")
    assert RULES[name]("0 Hz") != RULES[name]("1 Hz")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nc.Hebbian("1 Hz", gamma=-1.0),
        lambda: nc.Hebbian("1 Hz", kappa=float("inf")),
        lambda: nc.BCM("1 Hz", epsilon=-0.1),
        lambda: nc.Krotov(k=2, delta=-0.4),
        lambda: nc.Vogels(0.1, "-5 Hz"),
        lambda: nc.PairSTDP(0.1, -0.1),
    ],
)
def test_constants_of_rules_are_not_negative(make: Callable[[], Any]) -> None:
    with pytest.raises(nc.ValidationError, match="0 or more is needed, and finite"):
        make()
