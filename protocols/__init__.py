"""Experiments, one module each: ``protocol(**settings)`` returns the `Protocol`."""
