"""Short-term plasticity: variables of a synapse that change with each presynaptic spike and scale what it passes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocircuits.declare.checks import check_numbers
from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.serialise import FrozenMap, declaration
from neurocircuits.errors import ValidationError
from neurocircuits.units import quantity, seconds


@declaration
@dataclass(frozen=True)
class ShortTerm:
    """Declare variables of a synapse that follow its presynaptic spikes.

    Between spikes each variable relaxes to its value at rest. When a spike arrives, ``before`` is carried out,
    ``factor`` times the weight is passed on, then ``after`` is carried out.

    Parameters
    ----------
    rest : mapping of str to (float, quantity)
        Variables: value at rest and time constant.
    factor : str
        What the weight is multiplied by, in terms of variables and parameters.
    before, after : mapping of str to str
        What variables become, one after the other.
    parameters : mapping of str to quantity
        Constants of the texts.
    source : str
        Author, year, equation.

    Raises
    ------
    ValidationError
        If a name is reserved, or a statement changes what is not a variable.
    """

    rest: Mapping[str, Any]
    factor: str
    before: Mapping[str, str] = field(default_factory=FrozenMap)
    after: Mapping[str, str] = field(default_factory=FrozenMap)
    parameters: Mapping[str, Any] = field(default_factory=FrozenMap)
    source: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        rest = {}
        for name, given in self.rest.items():
            check_identifier(name, "ShortTerm.rest")
            if not isinstance(given, tuple | list) or len(given) != 2:
                raise ValidationError(f"ShortTerm.rest[{name!r}]: {given!r} is not (value at rest, time constant).")
            check_numbers(f"ShortTerm.rest[{name!r}]", value=given[0])
            tau = seconds(given[1], f"ShortTerm.rest[{name!r}]")
            if not tau > 0:
                raise ValidationError(f"ShortTerm.rest[{name!r}]: the time constant {given[1]!r} is not positive.")
            rest[name] = (float(given[0]), tau)
        set_(self, "rest", FrozenMap(rest))
        for what in ("before", "after"):
            for name in getattr(self, what):
                if name not in rest:
                    raise ValidationError(f"ShortTerm.{what}: {name!r} is no variable. Variables: {', '.join(rest)}.")
            set_(self, what, FrozenMap(getattr(self, what)))
        set_(self, "parameters", FrozenMap({key: quantity(value, key) for key, value in self.parameters.items()}))


def TsodyksMarkram(U: float, tau_recovery: Any, tau_facilitation: Any = None) -> ShortTerm:  # noqa: N802
    """Return short-term depression, with facilitation if a time constant of it is given.

    A spike first facilitates, ``u = u + U*(1 - u)``, passes on ``u*x`` of the weight, then depletes, ``x = x*(1 - u)``;
    between spikes u returns to 0 and x to 1, so that the first spike of a rested synapse passes on U. Without
    facilitation u is U.

    Parameters
    ----------
    U : float
        Share of the resources that the first spike uses, between 0 and 1.
    tau_recovery, tau_facilitation : quantity
        Time constants of x and u.

    Raises
    ------
    ValidationError
        Unless 0 < U <= 1.

    References
    ----------
    Markram, Wang and Tsodyks (1998), PNAS 95:5323-5328, doi:10.1073/pnas.95.9.5323.
    """
    check_numbers("TsodyksMarkram", U=U)
    if not 0 < U <= 1:
        raise ValidationError(f"TsodyksMarkram: U = {U!r} is not between 0 and 1.")
    source = "Markram, Wang and Tsodyks (1998), doi:10.1073/pnas.95.9.5323"
    if tau_facilitation is None:
        return ShortTerm(
            {"x": (1.0, tau_recovery)}, "U*x", after={"x": "x*(1 - U)"}, parameters={"U": U}, source=source
        )
    return ShortTerm(
        {"u": (0.0, tau_facilitation), "x": (1.0, tau_recovery)},
        "u*x",
        before={"u": "u + U*(1 - u)"},
        after={"x": "x*(1 - u)"},
        parameters={"U": U},
        source=source,
    )
