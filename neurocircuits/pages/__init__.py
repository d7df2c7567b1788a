"""Interactive pages for people: one file each, with style, script and data inside."""

from __future__ import annotations

from neurocircuits.pages.topics import topic_page

__all__ = ["topic_page"]
