"""Colours with a meaning, the style sheet, and canvases that need neither a display nor global state."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from neurocircuits.errors import ValidationError

EXCITATORY = "#B2182B"
INHIBITORY = "#2166AC"
NEUTRAL = "#4D4D4D"
FAINT = "#C8C8C8"

# One scale: white is no weight, red excites, blue inhibits. The signed map joins the two others at white, so a colour
# means the same in all three. The tones are those of ColorBrewer's RdBu, safe for readers with red-green blindness.
_REDS = ("#FFFFFF", "#FDDBC7", "#F4A582", "#D6604D", "#B2182B", "#67001F")
_BLUES = ("#FFFFFF", "#D1E5F0", "#92C5DE", "#4393C3", "#2166AC", "#053061")
EXCITATORY_MAP = LinearSegmentedColormap.from_list("excitatory", _REDS)
INHIBITORY_MAP = LinearSegmentedColormap.from_list("inhibitory", _BLUES)
SIGNED_MAP = LinearSegmentedColormap.from_list("signed", _BLUES[:0:-1] + _REDS, N=511)

STYLE = Path(__file__).with_name("style.mplstyle")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the package, whatever the user's own settings are, and restore those.

    Examples
    --------
    >>> with style():
    ...     figure, axes = panels(1, 2)
    >>> axes.shape
    (2,)
    """
    with matplotlib.rc_context(fname=str(STYLE)):
        yield


def panels(n_rows: int = 1, n_columns: int = 1, *, size: tuple[float, float] | None = None, **keywords: Any) -> Any:
    """Make a figure with a grid of axes, on a canvas of its own.

    Parameters
    ----------
    n_rows, n_columns : int
        The grid.
    size : (float, float), optional
        Width and height in inches; 2.4 x 2.2 for each panel unless given.
    **keywords
        Passed to ``Figure.subplots``, such as ``width_ratios`` or ``sharey``.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure.
    axes : matplotlib.axes.Axes or ndarray of Axes
        One, a row or column, or a grid.
    """
    figure = Figure(figsize=size or (2.4 * n_columns, 2.2 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns, **keywords)


def panel_letters(axes: Iterable[Axes], *, first: str = "a") -> None:
    """Mark panels with bold letters at their upper left.

    Parameters
    ----------
    axes : iterable of Axes
        Panels in reading order; an array of them is flattened.
    first : str
        Letter of the first.

    Raises
    ------
    ValidationError
        If ``first`` is not a letter, or the letters do not suffice.
    """
    panels_ = list(np.ravel(np.asarray(axes, dtype=object)))
    alphabet = string.ascii_uppercase if first.isupper() else string.ascii_lowercase
    start = alphabet.find(first) if len(first) == 1 else -1
    if start < 0 or start + len(panels_) > len(alphabet):
        raise ValidationError(f"panel_letters: no letters for {len(panels_)} panels from {first!r} on.")
    for ax, letter in zip(panels_, alphabet[start:], strict=False):
        ax.annotate(
            letter,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-4, 5),
            textcoords="offset points",
            fontsize="large",
            fontweight="bold",
            ha="right",
            va="bottom",
        )
