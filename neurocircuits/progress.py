"""Progress with time left, on whatever takes longer than two seconds; a plain log line where there is no terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

_PATIENCE = 2.0
_LOG_EVERY = 30.0
logger = logging.getLogger("neurocircuits")


class Progress:
    """Count presentations and show how far a run is.

    Parameters
    ----------
    total : int
        Presentations of the whole run.
    done : int
        Presentations that a resumed run has behind it.
    show : bool
        Whether to show anything.
    unit : str
        What is counted.
    """

    def __init__(self, total: int, done: int = 0, show: bool = True, unit: str = "presentations") -> None:
        self.total, self.done, self.show, self.unit = total, done, show, unit
        self._first = done
        self._start = self._logged = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, n: int) -> None:
        """Say that ``n`` more are done."""
        self.done += n
        if not self.show:
            return
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(n)
        elif now - self._start > _PATIENCE and self.done < self.total:
            if sys.stderr.isatty() or "ipykernel" in sys.modules:
                from tqdm.auto import tqdm

                self._bar = tqdm(
                    total=self.total, initial=self.done, unit=self.unit.rstrip("s"), unit_scale=True, leave=False
                )
                self._bar.start_t -= now - self._start
            elif now - self._logged > _LOG_EVERY:
                left = (now - self._start) / max(self.done - self._first, 1) * (self.total - self.done)
                logger.info("%d of %d %s, about %.0f s left", self.done, self.total, self.unit, left)
                self._logged = now
