"""One BLAS thread in every test, also in those of docstrings: two collapse where a neighbour wants a core."""

from __future__ import annotations

import importlib.util
import os

# For processes that tests start and for libraries that are loaded later.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from threadpoolctl import threadpool_limits  # noqa: E402

# For NumPy, which a plugin of pytest may have imported by now: it reads the variables once.
threadpool_limits(1)

# These modules are torch through and through; the package says what is missing when one asks it for a name.
_OF_TORCH = ("analysis", "cells", "compiled", "course", "kernel", "likelihood", "network", "settings", "training")
if importlib.util.find_spec("torch") is None:
    collect_ignore = ["neurocircuits/onednn.py", *(f"neurocircuits/recurrent/{name}.py" for name in _OF_TORCH)]
