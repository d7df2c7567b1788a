"""Published circuits as scikit-learn transformers: declared in ``models``, run by the steady-state engine.

No rule is written here a second time. A transformer declares a circuit and a protocol, runs them, and keeps what was
learned as arrays; the estimators can stand in pipelines and grid searches.
"""

from __future__ import annotations

from neurocircuits.learn._base import CollapseWarning
from neurocircuits.learn.competing import CompetingHiddenUnits
from neurocircuits.learn.disynaptic import DisynapticFeatures
from neurocircuits.learn.topics import DisynapticTopics

__all__ = ["CollapseWarning", "CompetingHiddenUnits", "DisynapticFeatures", "DisynapticTopics"]
