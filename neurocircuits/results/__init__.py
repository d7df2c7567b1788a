"""What came out of a run: the schema of the result tree, its storage and its provenance."""

from __future__ import annotations

from neurocircuits.results.provenance import content_hash, provenance
from neurocircuits.results.schema import SCHEMA_VERSION, validate
from neurocircuits.results.storage import load, save

__all__ = ["SCHEMA_VERSION", "content_hash", "load", "provenance", "save", "validate"]
