"""Gated recurrent networks as torch modules: cells whose gates multiply or subtract, their training and analysis.

The cells need torch, an optional extra; without it, importing a name from here says so in one line.
"""

from __future__ import annotations

import importlib
from typing import Any

from neurocircuits.errors import UnsupportedError

_HOME = {
    "analysis": ("column_weights", "gate_traces", "gradient_reach", "learned_leaks", "with_held_gates"),
    "cells": ("GRU", "LSTM", "RNN", "FixSubLSTM", "SubLSTM"),
    "network": ("Network", "evaluate"),
    "settings": ("Training",),
    "tasks": ("Drawn", "Images", "Task", "Words"),
    "training": ("train",),
}

__all__ = [name for names in _HOME.values() for name in names]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            try:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                raise UnsupportedError(
                    f"neurocircuits.recurrent.{name} needs torch, which is not installed. Install it with: pip install "
                    "'neurocircuits[torch]'"
                ) from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
