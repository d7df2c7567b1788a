"""Run the command line as ``python -m neurocircuits.cli``."""

from __future__ import annotations

from neurocircuits.cli.app import main

main()
