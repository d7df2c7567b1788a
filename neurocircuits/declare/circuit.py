"""Circuits: populations and synapses together, checked for names, signs and shapes when they are declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neurocircuits.declare.checks import members
from neurocircuits.declare.functions import Function
from neurocircuits.declare.population import Population
from neurocircuits.declare.serialise import content_hash, declaration
from neurocircuits.declare.synapses import Synapses
from neurocircuits.declare.weights import Paired, Tied
from neurocircuits.errors import ValidationError, listed

declaration(Function)


def _unique(names: Iterable[str], owner: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValidationError(f"{owner}: the name {name!r} is used twice. Give one of them another name.")
        seen.add(name)


@declaration
@dataclass(frozen=True)
class Circuit:
    """Declare a circuit.

    Parameters
    ----------
    name : str
        Name, kept in results.
    populations : sequence of Population
        The populations.
    synapses : sequence of Synapses
        The pathways between them.
    functions : sequence of Function
        Named functions of the texts.
    dale : {"enforced", "unconstrained"}
        Whether Dale's law holds. Circuits that need signed weights say ``"unconstrained"``, and results are stamped.

    Raises
    ------
    ValidationError
        If a name is unknown or used twice, a source receives synapses, or a tie does not fit its owner.
    """

    name: str
    populations: Sequence[Population]
    synapses: Sequence[Synapses]
    functions: Sequence[Function] = ()
    dale: str = "enforced"

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        owner = f"Circuit({self.name!r})"
        for name, kind in (("populations", Population), ("synapses", Synapses), ("functions", Function)):
            set_(self, name, members(getattr(self, name), kind, f"{owner}.{name}"))
        if self.dale not in ("enforced", "unconstrained"):
            raise ValidationError(f"{owner}.dale: {self.dale!r} is not 'enforced' or 'unconstrained'.")
        if not self.populations:
            raise ValidationError(f"{owner}: no populations. Declare at least one Population.")
        _unique([p.name for p in self.populations] + [s.name for s in self.synapses], owner)
        _unique([f.name for f in self.functions], owner)
        for synapses in self.synapses:
            self._check(synapses)

    def _check(self, synapses: Synapses) -> None:
        where = f"Circuit({self.name!r}): Synapses({synapses.name!r})"
        for side in ("pre", "post"):
            if getattr(synapses, side) not in {p.name for p in self.populations}:
                known = listed(p.name for p in self.populations)
                raise ValidationError(f"{where}.{side}: no population {getattr(synapses, side)!r}. Known: {known}.")
        if self.population(synapses.post).is_source:
            raise ValidationError(
                f"{where}.post: population {synapses.post!r} is a source without equations and receives no synapses. "
                f"Give it equations, for example 'dr/dt = (drive - r)/tau : 1'."
            )
        if synapses.bounds is not None and synapses.bounds[0] < 0 and not self.unconstrained:
            sign = self.population(synapses.pre).sign
            raise ValidationError(
                f"{where}.bounds: the lower bound {synapses.bounds[0]} is negative. Weights are magnitudes; the sign "
                "comes "
                f"from population {synapses.pre!r} ({sign}). Use a bound of at least 0, or dale='unconstrained'."
            )
        if isinstance(synapses.weights, Tied | Paired):
            self._check_shared(synapses, where)

    def _check_shared(self, synapses: Synapses, where: str) -> None:
        name = synapses.weights.owner
        if name not in {s.name for s in self.synapses}:
            raise ValidationError(
                f"{where}.weights: no synapses {name!r} to share. Known: {listed(s.name for s in self.synapses)}."
            )
        other = self.pathway(name)
        if other is synapses:
            raise ValidationError(f"{where}.weights: the pathway shares its own array. Name the pathway that owns it.")
        if isinstance(other.weights, Tied | Paired):
            raise ValidationError(
                f"{where}.weights: {name!r} owns no array itself; name its owner {other.weights.owner!r}."
            )
        n_units = {p.name: p.n_units for p in self.populations}
        if isinstance(synapses.weights, Tied):
            shape = (n_units[other.post], n_units[other.pre])
            shape = shape[::-1] if synapses.weights.transposed else shape
            if (n_units[synapses.post], n_units[synapses.pre]) != shape:
                what = f"the transpose of {name!r}" if synapses.weights.transposed else repr(name)
                raise ValidationError(
                    f"{where}.weights: {what} has shape {shape}, not (post, pre) = ({n_units[synapses.post]}, "
                    f"{n_units[synapses.pre]})."
                )
            return
        if other.post != synapses.post or n_units[other.pre] != n_units[synapses.pre]:
            raise ValidationError(
                f"{where}.weights: a pair has one target and sources of one size; {name!r} does not fit."
            )
        if self.population(other.pre).sign == self.population(synapses.pre).sign:
            raise ValidationError(
                f"{where}.weights: a pair has opposite signs, but {other.pre!r} and {synapses.pre!r} are both "
                f"{self.population(other.pre).sign}."
            )

    @property
    def unconstrained(self) -> bool:
        """Whether the circuit has signed weights."""
        return self.dale == "unconstrained"

    @property
    def content_hash(self) -> str:
        """SHA-256 of the declaration."""
        return content_hash(self)

    def population(self, name: str) -> Population:
        """Return the population of that name.

        Raises
        ------
        ValidationError
            If there is none.
        """
        for population in self.populations:
            if population.name == name:
                return population
        known = listed(p.name for p in self.populations)
        raise ValidationError(f"Circuit({self.name!r}): no population {name!r}. Known: {known}.")

    def pathway(self, name: str) -> Synapses:
        """Return the synapses of that name.

        Raises
        ------
        ValidationError
            If there are none.
        """
        for synapses in self.synapses:
            if synapses.name == name:
                return synapses
        raise ValidationError(
            f"Circuit({self.name!r}): no synapses {name!r}. Known: {listed(s.name for s in self.synapses)}."
        )
