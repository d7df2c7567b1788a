"""The command line. Heavy imports stand inside the commands, so that ``neurocircuits --help`` answers at once."""

from __future__ import annotations

from neurocircuits.cli.app import app, main

__all__ = ["app", "main"]
