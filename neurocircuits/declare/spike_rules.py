"""Published rules of spiking synapses, written as text like those of `neurocircuits.declare.rules`."""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.checks import check_not_negative
from neurocircuits.declare.rule import Rule
from neurocircuits.errors import ValidationError
from neurocircuits.units import DIMENSIONLESS, Quantity, quantity, seconds


def Vogels(eta: Any, target: Any, tau: Any = "20 ms") -> Rule:  # noqa: N802
    """Return the rule of inhibitory synapses that holds postsynaptic cells at a target rate.

    A spike that arrives changes the weight by ``eta*(fired - alpha)`` with ``alpha = 2*target*tau``, a postsynaptic
    spike by ``eta*arrived``; the traces ``arrived`` and ``fired`` count the spikes of the two sides. An isolated pair
    at the lag D changes it by ``eta*(exp(-|D|/tau) - alpha)``. Between graded populations the same rule is
    ``dw/dt = 2*eta*tau*r_pre*(r_post - target)``, its mean over independent Poisson trains.

    Parameters
    ----------
    eta : quantity
        Change with each pair of coinciding spikes, in units of the weight.
    target : quantity
        Target rate in Hz; a plain number between graded populations whose rates are plain numbers.
    tau : quantity
        Time constant of the traces.

    Raises
    ------
    ValidationError
        If ``eta`` or the target is negative, or ``tau`` is not positive.

    References
    ----------
    Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), Science 334:1569-1573, doi:10.1126/science.1211095.
    """
    rate = quantity(target, "Vogels: target")
    check_not_negative("Vogels", eta=eta, target=target)
    plain = rate.dimension == DIMENSIONLESS
    return Rule(
        f"2*eta*tau*r_pre*(r_post - target){'*Hz**2' if plain else ''}",
        parameters={"eta": eta, "target": target, "tau": _time("Vogels: tau", tau)},
        traces={"arrived": ("pre", "tau"), "fired": ("post", "tau")},
        on_pre=f"w += eta*(fired - 2*target*tau{'*Hz' if plain else ''})",
        on_post="w += eta*arrived",
        fixed_point="<r_post*r_pre> = target*<r_pre> where w > 0; r_post = target for independent spikes",
        source="Vogels et al. (2011), doi:10.1126/science.1211095",
    )


def PairSTDP(  # noqa: N802
    a_plus: Any, a_minus: Any, tau_plus: Any = "20 ms", tau_minus: Any = "20 ms"
) -> Rule:
    """Return spike-timing-dependent plasticity of all pairs.

    A postsynaptic spike potentiates by ``a_plus*arrived``, a presynaptic one depresses by ``a_minus*fired``, so that an
    isolated pair changes the weight by ``a_plus*exp(-D/tau_plus)`` where the postsynaptic spike follows after D, and by
    ``-a_minus*exp(-D/tau_minus)`` where it precedes.

    Parameters
    ----------
    a_plus, a_minus : quantity
        Largest changes, in units of the weight, not negative.
    tau_plus, tau_minus : quantity
        Time constants.

    Raises
    ------
    ValidationError
        If a change is negative or a time constant not positive.

    References
    ----------
    Song, Miller and Abbott (2000), Nat. Neurosci. 3:919-926, doi:10.1038/78829.
    """
    check_not_negative("PairSTDP", a_plus=a_plus, a_minus=a_minus)
    times = {"tau_plus": _time("PairSTDP: tau_plus", tau_plus), "tau_minus": _time("PairSTDP: tau_minus", tau_minus)}
    return Rule(
        parameters={"a_plus": a_plus, "a_minus": a_minus, **times},
        traces={"arrived": ("pre", "tau_plus"), "fired": ("post", "tau_minus")},
        on_pre="w -= a_minus*fired",
        on_post="w += a_plus*arrived",
        source="Song, Miller and Abbott (2000), doi:10.1038/78829",
    )


def _time(what: str, value: Any) -> Quantity:
    read = seconds(value, what)
    if not read > 0:
        raise ValidationError(f"{what} {value!r} is not positive.")
    return Quantity(read, quantity("1 second").dimension)
