"""Plasticity rules: text for the drift of a weight, and a catalogue of published rules written with it.

Names in the drift: ``w`` (magnitude; the signed value in unconstrained circuits and pairs), ``x_pre`` and ``x_post``
for any variable, input or sub-expression ``x`` of the two populations, ``dale`` (+1 or -1 of the source), ``n_pre``,
``n_post``, the rule's parameters, aggregates and population terms. The drift is a rate of change, in units of the
weight per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurocircuits.declare.checks import check_numbers, is_whole
from neurocircuits.declare.functions import check_identifier
from neurocircuits.declare.serialise import FrozenMap, declaration
from neurocircuits.declare.steps import Euler, Step
from neurocircuits.errors import ValidationError
from neurocircuits.units import quantity, seconds


@declaration
@dataclass(frozen=True)
class Rule:
    """Declare how the weights of a pathway learn.

    Parameters
    ----------
    drift : str
        Right-hand side of dw/dt.
    parameters : mapping of str to quantity
        Constants of the texts.
    aggregates : mapping of str to str
        Sums over one side, ``"sum_over_pre(...)"`` (a value per target) or ``"sum_over_post(...)"`` (a value per
        source).
    terms : mapping of str to str
        Population terms, values that need the whole layer: expressions with ``ranked(x_post, k)`` (1 for the unit with
        the k-th largest value, 0 for others), ``winner(x_post)`` and ``total(x_post)``.
    traces : mapping of str to (str, str or quantity)
        Low-pass variables of an event form, ``name: (side, tau)``: 1 is added with each spike of a unit of that side
        (``"pre"`` or ``"post"``), and what there is decays with the time constant, a quantity or the name of a
        parameter. A spike arrives at the synapse after its delay; the trace of ``"pre"`` counts it from then on, that
        of ``"post"`` counts a spike from just after the changes that it causes.
    on_pre, on_post : str or None
        Event form, for spiking populations: what ``w`` becomes when a spike arrives and when the postsynaptic unit
        fires, a statement such as ``"w += eta*(fired - alpha)"``.
    step : Step
        How the mean drift becomes a change.
    fixed_point : str
        What holds where the rule is at rest, for documentation.
    source : str
        Author, year, equation.
    potential : str
        What of the drift, but for the product of rates, is the gradient of, where there is such a thing.

    Raises
    ------
    ValidationError
        If neither drift nor event form is given, or a name is reserved or used twice.
    """

    drift: str = ""
    parameters: Mapping[str, Any] = field(default_factory=FrozenMap)
    aggregates: Mapping[str, str] = field(default_factory=FrozenMap)
    terms: Mapping[str, str] = field(default_factory=FrozenMap)
    traces: Mapping[str, Any] = field(default_factory=FrozenMap)
    on_pre: str | None = None
    on_post: str | None = None
    step: Step = field(default_factory=Euler)
    fixed_point: str = ""
    source: str = ""
    potential: str = ""

    def __post_init__(self) -> None:
        owner = f"Rule({self.drift!r})"
        if not (self.drift or self.on_pre or self.on_post):
            raise ValidationError(f"{owner}: give a drift, for example 'eta*(r_post*r_pre - w)', or an event form.")
        names: list[str] = [*self.parameters, *self.aggregates, *self.terms, *self.traces]
        for name in names:
            check_identifier(name, owner)
            if names.count(name) > 1:
                raise ValidationError(f"{owner}: the name {name!r} is used twice.")
        parameters = {key: quantity(value, f"{owner}.parameters[{key!r}]") for key, value in self.parameters.items()}
        object.__setattr__(self, "parameters", FrozenMap(parameters))
        traces = {}
        for name, given in self.traces.items():
            if not isinstance(given, tuple | list) or len(given) != 2 or given[0] not in ("pre", "post"):
                raise ValidationError(f"{owner}.traces[{name!r}]: {given!r} is not ('pre' or 'post', time constant).")
            known = isinstance(given[1], str) and given[1] in parameters
            time = seconds(parameters[given[1]] if known else given[1], f"{owner}.traces[{name!r}]")
            tau = given[1] if known else time
            if not time > 0:
                raise ValidationError(f"{owner}.traces[{name!r}]: the time constant {given[1]!r} is not positive.")
            traces[name] = (given[0], tau)
        object.__setattr__(self, "traces", FrozenMap(traces))
        for name in ("aggregates", "terms"):
            object.__setattr__(self, name, FrozenMap(getattr(self, name)))
        if not isinstance(self.step, Step):
            raise ValidationError(
                f"{owner}.step: {self.step!r} is not a step. Use Euler, LargestChange, Cap or PerUnit."
            )

    @property
    def has_events(self) -> bool:
        """Whether the rule has an event form, which synapses that transmit spikes then learn by."""
        return bool(self.on_pre or self.on_post)


def Hebbian(eta: Any, gamma: float = 1.0, kappa: float = 0.0, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return the Hebbian rule with decay and competition among the synapses that converge on a unit.

    ``dw/dt = eta*(r_post*r_pre - gamma*w - kappa*sum_pre w)``. At rest a synapse survives if its correlation exceeds
    ``kappa * sum_pre w``, and then equals the excess divided by gamma. Weights are magnitudes, clipped at 0.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    gamma, kappa : float
        Decay and competition.
    step : Step
        How the mean drift becomes a change.

    References
    ----------
    Yang, Luther and Seung (2020), slides, Delta W; Seung (2018), arXiv:1812.11581.
    """
    return Rule(
        "eta*(r_post*r_pre - gamma*w - kappa*incoming)",
        parameters={"eta": eta, "gamma": gamma, "kappa": kappa},
        aggregates={"incoming": "sum_over_pre(w)"},
        step=step,
        fixed_point="w = rectify(<r_post*r_pre> - kappa*incoming)/gamma",
        potential="gamma/2*sum(w**2) + kappa/2*sum_over_post(incoming**2), games.weight_cost",
        source="Seung (2018), arXiv:1812.11581",
    )


def AntiHebbian(eta: Any, p: float, q: float = 1.0, step: Step = Euler(), *, diverging: bool = False) -> Rule:  # noqa: N802
    """Return the rule of synapses onto inhibitory cells, with competition among those that converge on one cell.

    ``dw/dt = eta*(r_post*r_pre - (q**2 - p**2)*w - p**2*sum_pre w)``. With the reverse pathway tied to it, inhibition
    learns to decorrelate: for cells with power q**2 the second moments <r_i r_j> are held at p**2 or below. With
    ``diverging`` synapses compete that leave one cell: so those from an inhibitory cell learn what those onto it do.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    p, q : float
        Targets, 0 < p < q.
    step : Step
        How the mean drift becomes a change.
    diverging : bool
        Whether the sum is over synapses of the presynaptic cell.

    Raises
    ------
    ValidationError
        Unless 0 < p < q.

    References
    ----------
    Yang, Luther and Seung (2020), slides, Delta A; Seung (2018), arXiv:1812.11581.
    """
    if not 0 < p < q:
        raise ValidationError(f"AntiHebbian: p = {p!r} and q = {q!r}; 0 < p < q is needed.")
    competing = "outgoing" if diverging else "incoming"
    return Rule(
        f"eta*(r_post*r_pre - (q**2 - p**2)*w - p**2*{competing})",
        parameters={"eta": eta, "p": p, "q": q},
        aggregates={competing: f"sum_over_{'post' if diverging else 'pre'}(w)"},
        step=step,
        fixed_point=f"<r_post*r_pre> = (q**2 - p**2)*w + p**2*{competing} where w > 0",
        potential="trace(w D w')/2 with D = q**2 on the diagonal and p**2 elsewhere, games.inhibition_cost",
        source="Seung (2018), arXiv:1812.11581",
    )


def LateralAntiHebbian(eta: Any, p: float, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return the rule of direct lateral inhibition, ``dw/dt = eta*(r_post*r_pre - p**2)``.

    At rest the second moment of two cells is p**2, or smaller where the synapse is gone.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    p : float
        Target of the pair, positive.
    step : Step
        How the mean drift becomes a change.

    References
    ----------
    Seung and Zung (2017), arXiv:1704.00646, Delta L. Foldiak (1990), Biol. Cybern. 64:165-170, Delta w, has the same
    between outputs of 0 and 1.
    """
    return Rule(
        "eta*(r_post*r_pre - p**2)",
        parameters={"eta": eta, "p": p},
        step=step,
        fixed_point="<r_post*r_pre> = p**2 where w > 0",
        potential="p**2*sum(w)",
        source="Seung and Zung (2017), arXiv:1704.00646",
    )


def Oja(eta: Any, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return Oja's rule, ``dw/dt = eta*r_post*(r_pre - r_post*w)``.

    Rows tend to unit length along the principal direction of their input.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    step : Step
        How the mean drift becomes a change.

    References
    ----------
    Oja (1982), J. Math. Biol. 15:267-273, eq. 3, doi:10.1007/BF00275687.
    """
    return Rule(
        "eta*r_post*(r_pre - r_post*w)",
        parameters={"eta": eta},
        step=step,
        fixed_point="<r_post*r_pre> = <r_post**2>*w",
        source="Oja (1982), doi:10.1007/BF00275687",
    )


def CorrelationMeasuring(eta: Any, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return the rule that measures correlations, ``dw/dt = eta*(r_post*r_pre - mean_post*mean_pre*(1 + w))``.

    A weight tends to the covariance of two rates over the product of their means, where that is positive: it stays
    bounded under correlations that persist. Both populations have a variable ``mean``, the mean rate over a long time.
    The rule is symmetric, so that pathways there and back become transposes of each other.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    step : Step
        How the mean drift becomes a change.

    References
    ----------
    King, Zylberberg, DeWeese (2013), J. Neurosci. 33:5475-5485, doi:10.1523/JNEUROSCI.4188-12.2013.
    """
    return Rule(
        "eta*(r_post*r_pre - mean_post*mean_pre*(1 + w))",
        parameters={"eta": eta},
        step=step,
        fixed_point="w = rectify(<r_post*r_pre>/(mean_post*mean_pre) - 1)",
        source="King, Zylberberg and DeWeese (2013), doi:10.1523/JNEUROSCI.4188-12.2013",
    )


def Foldiak(eta: Any, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return the rule ``dw/dt = eta*r_post*(r_pre - w)``: a cell that fires moves its weights towards its input.

    At rest the weights of a cell that is either silent or fires are the mean of the inputs that it fires for. The
    lateral rule of the same network is `LateralAntiHebbian`.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    step : Step
        How the mean drift becomes a change.

    References
    ----------
    Foldiak (1990), Biol. Cybern. 64:165-170, doi:10.1007/BF02331346, Delta q.
    """
    return Rule(
        "eta*r_post*(r_pre - w)",
        parameters={"eta": eta},
        step=step,
        fixed_point="w = <r_post*r_pre>/<r_post>",
        source="Foldiak (1990), doi:10.1007/BF02331346",
    )


def BCM(eta: Any, epsilon: float = 0.0, step: Step = Euler()) -> Rule:  # noqa: N802
    """Return the rule of Bienenstock, Cooper and Munro, ``dw/dt = eta*(phi*r_pre - epsilon*w)``.

    Here ``phi = r_post*(r_post - theta_post)/theta_post``. The postsynaptic population has a variable ``theta``, the
    threshold between depression and potentiation, which must be positive and rise faster than in proportion to the mean
    rate; see `neurocircuits.models.bcm1982`. Nothing ties units to each other, so two of them may become the same.

    Parameters
    ----------
    eta : quantity
        Learning rate, 1/s.
    epsilon : float
        Decay, in units of ``eta``.
    step : Step
        How the mean drift becomes a change.

    Raises
    ------
    ValidationError
        If ``epsilon`` is negative.

    References
    ----------
    Bienenstock, Cooper and Munro (1982), J. Neurosci. 2:32-48, doi:10.1523/JNEUROSCI.02-01-00032.1982, asks of phi only
    where it changes sign. Law and Cooper (1994), PNAS 91:7797-7801, divides by the threshold, so that cells that have
    become selective, with large rates and thresholds, do not learn faster than others.
    """
    if not epsilon >= 0:
        raise ValidationError(f"BCM: epsilon = {epsilon!r}; a decay of 0 or more is needed.")
    return Rule(
        "eta*(r_post*(r_post - theta_post)/theta_post*r_pre - epsilon*w)",
        parameters={"eta": eta, "epsilon": epsilon},
        step=step,
        fixed_point="r_post = theta_post or r_post = 0 for each pattern, if patterns are independent",
        source="Bienenstock, Cooper and Munro (1982), doi:10.1523/JNEUROSCI.02-01-00032.1982",
    )


def Krotov(  # noqa: N802
    p: float = 2.0,
    R: float = 1.0,
    delta: float = 0.4,
    k: int | None = None,
    h_star: float | None = None,
    eta: Any = "1 Hz",
    step: Step = Euler(),
) -> Rule:
    """Return the rule of competing hidden units, ``dw/dt = eta*g*(R**p*r_pre - current_post*w)``.

    The postsynaptic population has an input ``current``, fed with ``sign(w)*abs(w)**(p - 1)*r_pre``. While ``g`` times
    the current is positive, rows tend to the sphere ``sum_pre |w|**p = R**p``. The gate g is 1 for the winner and
    ``-delta`` for the runner-up: by rank (``k``), or by the activity ``h`` at rest (``h_star``), where g is 1 from
    ``h_star`` on, ``-delta`` from 0 to there, and 0 below.

    Parameters
    ----------
    p : float
        Exponent of the norm, at least 2.
    R : float
        Radius of the sphere.
    delta : float
        Size of the depression.
    k : int, optional
        Rank by current, counted from 1, of the one unit that is depressed; at least 2.
    h_star : float, optional
        Activity from which a unit is potentiated; the postsynaptic population has a variable ``h``.
    eta : quantity
        Learning rate, 1/s; what is called 1/tau_L.
    step : Step
        How the mean drift becomes a change; the public notebook uses `LargestChange`.

    Raises
    ------
    ValidationError
        If a value is not allowed, or not exactly one of ``k`` and ``h_star`` is given.

    References
    ----------
    Krotov and Hopfield (2019), arXiv:1806.10181, eq. 2 and section 3; fig. 2 for g.
    """
    check_numbers("Krotov", p=p, R=R, delta=delta)
    if not p >= 2:
        raise ValidationError(f"Krotov: p = {p!r}; at least 2 is needed, or the metric |w|**(p - 2) diverges at w = 0.")
    if not R > 0 or not delta >= 0:
        raise ValidationError(f"Krotov: R = {R!r} and delta = {delta!r}; R > 0 and delta >= 0 are needed.")
    if (k is None) == (h_star is None):
        raise ValidationError("Krotov: give either k, to rank units by current, or h_star, a threshold of activity.")
    parameters = {"eta": eta, "delta": delta, "scale": float(R) ** p}
    if k is not None:
        if not is_whole(k) or k < 2:
            raise ValidationError(f"Krotov: k = {k!r}; a whole number of at least 2 is needed (1 is the winner).")
        gate, parameters["k"] = "ranked(current_post, 1) - delta*ranked(current_post, k)", k
    else:
        if not h_star > 0:  # type: ignore[operator]
            raise ValidationError(f"Krotov: h_star = {h_star!r} is not positive.")
        gate = "(1 + delta)*int(h_post >= h_star) - delta*int(h_post > 0)"
        parameters["h_star"] = h_star
    return Rule(
        "eta*gate*(scale*r_pre - current_post*w)",
        parameters=parameters,
        terms={"gate": gate},
        step=step,
        fixed_point="w = R*r_pre/|r_pre|_p where one pattern is shown and g > 0",
        source="Krotov and Hopfield (2019), arXiv:1806.10181, eq. 2",
    )
