"""Supervised layers on learned features: scikit-learn classifiers that torch trains as the papers did."""

from __future__ import annotations

from neurocircuits.readout.classifiers import BackpropClassifier, PowerClassifier, SigmoidClassifier

__all__ = ["BackpropClassifier", "PowerClassifier", "SigmoidClassifier"]
