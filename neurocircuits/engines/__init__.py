"""Engines: how plans run. Nothing here knows a published circuit."""
