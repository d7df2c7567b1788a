"""What all tests share: no windows, and the marks by what a test needs."""

from __future__ import annotations

import os

os.environ["MPLBACKEND"] = "Agg"  # before anything imports Matplotlib, which reads it once

import importlib.util
import shutil
from pathlib import Path

import hypothesis
import pooch
import pytest

VARIABLE = "NEUROCIRCUITS_DATA"
FILES = {
    "mnist": (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    "ptb": ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
    "wikitext-2": ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
}

LOADERS = {
    "mnist": "mnist; mnist('train'), mnist('test')",
    "ptb": "penn_treebank; penn_treebank()",
    "wikitext-2": "wikitext2; wikitext2()",
}

# The time of one example says little on a machine that others use too.
hypothesis.settings.register_profile("neurocircuits", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)  # pytest --hypothesis-profile explore
hypothesis.settings.load_profile("neurocircuits")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs this machine does not meet, and say what is missing and how to get it."""
    if item.get_closest_marker("standalone") and not shutil.which("g++"):
        pytest.skip("needs the C++ compiler g++ (Debian or Ubuntu: apt-get install g++)")
    if (mark := item.get_closest_marker("data")) and (reason := missing_data(*(mark.args or ("mnist",)))):
        pytest.skip(reason)
    if item.get_closest_marker("gpu") and (reason := missing_gpu()):
        pytest.skip(reason)


def missing_data(*names: str) -> str:
    """Return what is missing of the data sets and how to get it, or an empty string."""
    folders = [Path(os.environ[VARIABLE]).expanduser()] if os.environ.get(VARIABLE) else []
    folders.append(Path(pooch.os_cache("neurocircuits")))
    for name in names:
        for file in FILES[name]:
            if not any((folder / name / file).is_file() for folder in folders):
                call = f"from neurocircuits.datasets import {LOADERS[name]}"
                return (
                    f"needs {name}/{file}, which is not in {' or '.join(map(str, folders))}. With a connection, "
                    f'python -c "{call}" downloads it; files that are elsewhere are found through the environment '
                    f"variable {VARIABLE}."
                )
    return ""


def missing_gpu() -> str:
    """Return what keeps torch from using a GPU, or an empty string."""
    if importlib.util.find_spec("torch") is None:
        return 'needs torch: pip install "neurocircuits[torch]"'
    import torch

    return "" if torch.cuda.is_available() else "needs a GPU that torch can use; torch.cuda.is_available() is False"
