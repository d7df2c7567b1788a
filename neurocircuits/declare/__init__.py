"""Declarations: frozen values that say what a circuit and a protocol are. Nothing here simulates."""
