"""Compilation: how a declaration reads, as an engine-neutral plan."""

from neurocircuits.compile.compiler import compile_circuit
from neurocircuits.compile.plan import Plan

__all__ = ["Plan", "compile_circuit"]
