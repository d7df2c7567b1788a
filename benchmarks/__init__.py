"""Speed and memory, each against a named reference that is timed in the same run: ``python -m benchmarks``."""

import os

# Before anything imports NumPy, which reads these once: two BLAS threads collapse where a neighbour wants a core.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

NAMES = (
    "learning_mnist",
    "krotov_epoch",
    "zanola",
    "rate_network",
    "import_time",
    "fixed_cost",
    "memory",
    "topics",
    "dense_step",
    "vogels_recurrent",
    "vogels_scaling",
    "recurrent_cells",
    "spiking_copies",
)
