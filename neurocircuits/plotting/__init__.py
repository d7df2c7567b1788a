"""One drawing vocabulary for all figures: functions that take arrays and an Axes, and return what they drew.

Red excites, blue inhibits, everywhere. Nothing here computes a result, and nothing uses pyplot: a figure is an object
(:func:`panels`), drawn inside :func:`style`.
"""

from __future__ import annotations

from neurocircuits.plotting.matrices import cosine_matrix, mosaic, weights
from neurocircuits.plotting.network import network
from neurocircuits.plotting.style import (
    EXCITATORY,
    EXCITATORY_MAP,
    FAINT,
    INHIBITORY,
    INHIBITORY_MAP,
    NEUTRAL,
    SIGNED_MAP,
    panel_letters,
    panels,
    style,
)
from neurocircuits.plotting.traces import curve, raster, scatter_balance, tuning

__all__ = [
    "EXCITATORY",
    "EXCITATORY_MAP",
    "FAINT",
    "INHIBITORY",
    "INHIBITORY_MAP",
    "NEUTRAL",
    "SIGNED_MAP",
    "cosine_matrix",
    "curve",
    "mosaic",
    "network",
    "panel_letters",
    "panels",
    "raster",
    "scatter_balance",
    "style",
    "tuning",
    "weights",
]
