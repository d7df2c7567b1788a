"""Supervised layers on learned features, scikit-learn classifiers that torch trains as the papers did, under attack."""

from __future__ import annotations

from neurocircuits.readout.attacks import fgsm, gradients, pgd, random_directions, vanished_share
from neurocircuits.readout.classifiers import BackpropClassifier, PowerClassifier
from neurocircuits.readout.sigmoid import SigmoidBackpropClassifier, SigmoidClassifier

__all__ = [
    "BackpropClassifier",
    "PowerClassifier",
    "SigmoidBackpropClassifier",
    "SigmoidClassifier",
    "fgsm",
    "gradients",
    "pgd",
    "random_directions",
    "vanished_share",
]
