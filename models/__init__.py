"""Published circuits, one module per publication: ``circuit(**settings)`` returns the `Circuit`."""
