"""Named random streams: every random number of a run comes from the seed and the name of what it is for.

Streams belong to names ("weights/S_to_E", "stimulus/S"), not to engines or to the order of calls, so two engines given
the same seed start from the same weights and see the same stimuli.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from neurocircuits.errors import ValidationError


@dataclass(frozen=True)
class Streams:
    """Spawn independent random generators by name.

    Parameters
    ----------
    seed : int
        Non-negative seed of the run.
    path : tuple of str
        Names of the parents; use ``child`` instead of giving it.

    Raises
    ------
    ValidationError
        If the seed is not a non-negative integer.
    """

    seed: int
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise ValidationError(f"seed: {self.seed!r} is not a non-negative integer.")
        object.__setattr__(self, "seed", int(self.seed))

    def child(self, *names: object) -> Streams:
        """Return the streams below ``names``."""
        return Streams(self.seed, self.path + tuple(str(name) for name in names))

    def generator(self, *names: object) -> np.random.Generator:
        """Return a new generator for ``names``; equal names always give an equal generator."""
        path = "\x1f".join(self.path + tuple(str(name) for name in names))
        words = np.frombuffer(hashlib.sha256(path.encode()).digest(), dtype=np.uint32)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=tuple(int(word) for word in words)))
        )
