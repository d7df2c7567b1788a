"""A catalogue of published rules of graded synapses, written as text for `neurocircuits.declare.rule.Rule`."""

from __future__ import annotations

from typing import Any

from neurocircuits.declare.checks import check_not_negative, check_numbers, is_whole
from neurocircuits.declare.rule import Rule
from neurocircuits.declare.steps import Euler, Step
from neurocircuits.errors import ValidationError


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

    Raises
    ------
    ValidationError
        If a value is negative.

    References
    ----------
    Yang, Luther and Seung (2020), slides, Delta W; Seung (2018), arXiv:1812.11581.
    """
    check_not_negative("Hebbian", eta=eta, gamma=gamma, kappa=kappa)
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
        Unless 0 < p < q, or if ``eta`` is negative.

    References
    ----------
    Yang, Luther and Seung (2020), slides, Delta A; Seung (2018), arXiv:1812.11581.
    """
    if not 0 < p < q:
        raise ValidationError(f"AntiHebbian: p = {p!r} and q = {q!r}; 0 < p < q is needed.")
    check_not_negative("AntiHebbian", eta=eta)
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

    Raises
    ------
    ValidationError
        If ``eta`` is negative.

    References
    ----------
    Seung and Zung (2017), arXiv:1704.00646, Delta L. Foldiak (1990), Biol. Cybern. 64:165-170, Delta w, has the same
    between outputs of 0 and 1.
    """
    check_not_negative("LateralAntiHebbian", eta=eta)
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

    Raises
    ------
    ValidationError
        If ``eta`` is negative.

    References
    ----------
    Oja (1982), J. Math. Biol. 15:267-273, eq. 3, doi:10.1007/BF00275687.
    """
    check_not_negative("Oja", eta=eta)
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

    Raises
    ------
    ValidationError
        If ``eta`` is negative.

    References
    ----------
    King, Zylberberg, DeWeese (2013), J. Neurosci. 33:5475-5485, doi:10.1523/JNEUROSCI.4188-12.2013.
    """
    check_not_negative("CorrelationMeasuring", eta=eta)
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

    Raises
    ------
    ValidationError
        If ``eta`` is negative.

    References
    ----------
    Foldiak (1990), Biol. Cybern. 64:165-170, doi:10.1007/BF02331346, Delta q.
    """
    check_not_negative("Foldiak", eta=eta)
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
        If ``eta`` or ``epsilon`` is negative.

    References
    ----------
    Bienenstock, Cooper and Munro (1982), J. Neurosci. 2:32-48, doi:10.1523/JNEUROSCI.02-01-00032.1982, asks of phi only
    where it changes sign. Law and Cooper (1994), PNAS 91:7797-7801, divides by the threshold, so that cells that have
    become selective, with large rates and thresholds, do not learn faster than others.
    """
    check_not_negative("BCM", eta=eta, epsilon=epsilon)
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
    check_numbers("Krotov", p=p, R=R)
    check_not_negative("Krotov", delta=delta, eta=eta)
    if not p >= 2:
        raise ValidationError(f"Krotov: p = {p!r}; at least 2 is needed, or the metric |w|**(p - 2) diverges at w = 0.")
    if not R > 0:
        raise ValidationError(f"Krotov: R = {R!r} is not positive.")
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
