"""Tests run with one BLAS thread, whatever was loaded before they began."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from threadpoolctl import threadpool_info

ROOT = Path(__file__).resolve().parents[2]


def test_blas_has_one_thread() -> None:
    import scipy.linalg  # noqa: F401

    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert pools
    assert set(pools.values()) == {1}, pools


def test_blas_has_one_thread_where_nothing_says_so() -> None:
    # Rejects: variables that are set once a plugin of pytest has loaded NumPy, and a limit for some folders only.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    test = f"{Path(__file__).relative_to(ROOT)}::test_blas_has_one_thread"
    command = [sys.executable, "-c", "import numpy, pytest; raise SystemExit(pytest.main())", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "-q", test], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
